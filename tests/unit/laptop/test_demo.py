"""How long the demonstration waits for each sample, and what it says meanwhile."""

import io
from datetime import UTC, datetime
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest

from headrace.cli.output import Output
from headrace.laptop import demo
from headrace.laptop.following import Hop
from headrace.laptop.ingress_client import Acceptance
from headrace.laptop.uploads import Upload
from tests.waiting import eventually

NOW = datetime(2026, 11, 30, tzinfo=UTC)


class Flow:
    """A flow that is slow: each payload takes as long as it may."""

    def __init__(self, clock):
        self._clock = clock
        self.given = []

    async def hops(self, request_id, org_id=""):
        return []

    async def follow(self, trail, *, services, within_seconds, **_):
        self.given.append(within_seconds)
        self._clock.now += within_seconds
        yield Hop(1, "ingress", "received", "", NOW)
        yield Hop(2, "ingress", "success", "Sent", NOW)


class Clock:
    now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(demo, "time", clock)
    return clock


@pytest.fixture
def tools(clock):
    ingress = AsyncMock()
    ingress.send.return_value = Acceptance("r1", 202, "1", NOW, 0.1)
    flow: Any = Flow(clock)
    return demo.Tools(ingress, flow, Mock(), Mock(), Mock(), (), Mock())


def upload(tmp_path):
    file = tmp_path / "ols.tgz"
    file.write_bytes(b"x")
    return Upload(path=file, content_type="application/vnd.redhat.ols.periodic+tar", headers={})


async def test_a_slow_sample_takes_no_time_from_those_after_it(tools, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "CHECKS", ())
    for _ in range(3):
        await demo._step(tools, Mock(), upload(tmp_path), Output(io.StringIO()))
    assert tools.flow.given == [demo.ARRIVES_WITHIN_SECONDS] * 3


async def test_statuses_that_say_nothing_are_left_out(tools, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "CHECKS", ())
    stream = io.StringIO()
    await demo._step(tools, Mock(), upload(tmp_path), Output(stream))
    assert "success" in stream.getvalue()
    assert "received" not in stream.getvalue()


async def test_what_is_waited_for_is_said_with_the_time(clock, monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(demo, "_TICK_SECONDS", 0.0)
    monkeypatch.setattr("headrace.cli.output._PROGRESS_SECONDS", 0.0)
    async with demo._progress(Output(stream), lambda: "cost: waiting for koku"):
        clock.now += 12
        await eventually(stream.getvalue)
    assert stream.getvalue().startswith("cost: waiting for koku (12 s)\n")
