"""Whose last word a followed upload waits for."""

from datetime import UTC, datetime, timedelta

import pytest

from headrace.bus.consumption import Consumption
from headrace.contracts.topics import ARCHIVE_SYNCED, PAYLOAD_STATUS, UPLOAD_ANNOUNCE
from headrace.laptop.following import Flow, Hop, Trail
from headrace.runtime.errors import Retryable
from headrace.service.flow import consumers_of
from headrace.service.row import Service

ROWS = (
    Service("ingress", "takes"),
    Service("payload_tracker", "keeps", consumes=(Consumption(PAYLOAD_STATUS, group="t"),)),
    Service("takes_all", "all", consumes=(Consumption(UPLOAD_ANNOUNCE, group="a"),)),
    Service(
        "takes_ols",
        "some",
        consumes=(Consumption(UPLOAD_ANNOUNCE, group="o", header="service", values=frozenset({"ols"})),),
        produces=(ARCHIVE_SYNCED, PAYLOAD_STATUS),
    ),
    Service("takes_from_ols", "more", consumes=(Consumption(ARCHIVE_SYNCED, group="f"),)),
)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def hop(service, status, message=""):
    return Hop(1, service, status, message, NOW)


def test_consumers_are_those_whose_filter_lets_the_service_through():
    assert set(consumers_of(ROWS, "ols")) == {"ingress", "takes-all", "takes-ols", "takes-from-ols"}
    assert set(consumers_of(ROWS, "hccm")) == {"ingress", "takes-all"}


def test_consumers_further_on_name_those_they_get_nothing_without():
    assert consumers_of(ROWS, "ols")["takes-from-ols"] == {"ingress", "takes-ols"}


def test_trail_without_errors_and_with_every_last_word_has_no_problems():
    trail = Trail("r1", hops=[hop("ingress", "received"), hop("ingress", "success")])
    assert trail.problems == []


def test_trail_tells_errors_and_who_is_silent():
    trail = Trail("r1", hops=[hop("archiver", "error", "no cluster id")], missing=frozenset({"b", "a"}))
    assert trail.problems == ["archiver reports: no cluster id", "no final status from a, b"]


def test_time_of_a_hop_counts_from_sending():
    assert hop("ingress", "received").milliseconds_after(NOW - timedelta(seconds=1.5)) == 1500


class Answers(Flow):
    """A tracker that gives these answers in turn, the last one for ever."""

    def __init__(self, *answers):
        self._answers = list(answers)

    async def hops(self, request_id, org_id=""):
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


async def follow(flow):
    trail = Trail("r1")
    return [seen async for seen in flow.follow(trail, services={"ingress": frozenset()}, within_seconds=60)]


async def test_one_read_of_the_tracker_that_times_out_ends_nothing():
    end = hop("ingress", "success")
    assert await follow(Answers(Retryable("cannot be read: TimeoutError"), [], [end])) == [end]


async def test_a_tracker_that_never_answers_ends_the_following(monkeypatch):
    monkeypatch.setattr("headrace.laptop.following._SILENT_SECONDS", 0.2)
    with pytest.raises(Retryable, match="refused"):
        await follow(Answers(Retryable("connection refused")))
