"""Fault points are off unless the variable names one, and each passage is counted."""

import asyncio

import pytest

from headrace.runtime import faultpoints
from headrace.runtime.errors import ConfigurationError, Retryable
from headrace.runtime.faultpoints import Fault, FaultPoints, from_environment, parse


def test_without_the_variable_nothing_is_armed(monkeypatch):
    monkeypatch.delenv(faultpoints.VARIABLE, raising=False)
    assert from_environment() is None
    assert faultpoints.armed is None


def test_faults_are_read_from_the_variable(monkeypatch):
    monkeypatch.setenv(faultpoints.VARIABLE, "after_effect:kill:7 before_commit:hang:1:0.5")
    assert parse("after_effect:kill:7 before_commit:hang:1:0.5") == [
        Fault("after_effect", "kill", 7),
        Fault("before_commit", "hang", 1, 0.5),
    ]
    assert from_environment() is not None


@pytest.mark.parametrize(
    "text",
    [
        "after_effect",
        "nowhere:kill:1",
        "after_effect:burn:1",
        "after_effect:kill:x",
        "after_store:hang:1:x",
        "a:b:1:2:3",
    ],
)
def test_a_fault_that_is_none_is_named(text):
    with pytest.raises(ConfigurationError, match="HEADRACE_FAULT_POINTS: got"):
        parse(text)


async def test_a_point_raises_what_a_real_fault_would_at_its_passage_only():
    points = FaultPoints([Fault("after_store", "raise", 2)])
    await points.reach("after_store", Retryable)
    await points.reach("before_commit", Retryable)
    with pytest.raises(Retryable, match="fault point after_store:raise:2"):
        await points.reach("after_store", Retryable)
    await points.reach("after_store", Retryable)
    assert points.passed == {"after_store": 3, "before_commit": 1}


async def test_a_hang_lasts_until_it_is_cancelled():
    points = FaultPoints([Fault("after_effect", "hang", 1)])
    hanging = asyncio.create_task(points.reach("after_effect"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not hanging.done()
    hanging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hanging
