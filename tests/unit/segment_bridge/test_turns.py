"""When the service runs, and how far back it looks."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from headrace_services.segment_bridge.handlers import Schedule
from headrace_services.segment_bridge.settings import BridgeSettings
from headrace_services.segment_bridge.store import RunState

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def state(**changes):
    return replace(RunState(NOW, None, 0, None, None, None, None), **changes)


@pytest.fixture
def bridge():
    return Schedule(
        settings=BridgeSettings(),
        segment=None,
        runs=None,
        ledger=None,
        letters=None,
        read_maps=None,
        fetch=None,
    )


def test_the_first_run_is_due_at_once_and_looks_back_four_hours(bridge):
    assert bridge.wait(state(), starting=True) == 0
    assert bridge.earliest(state()) == NOW - 4 * HOUR


def test_the_next_run_is_due_an_hour_after_the_last_began(bridge):
    last = state(began_at=NOW - timedelta(minutes=20), ended_at=NOW - timedelta(minutes=10), succeeded=True)
    assert bridge.wait(last, starting=False) == 40 * 60


def test_a_process_that_starts_runs_at_once_unless_another_has_just_done(bridge):
    last = state(began_at=NOW - timedelta(minutes=20), ended_at=NOW - timedelta(minutes=10), succeeded=True)
    assert bridge.wait(last, starting=True) < 0
    just = state(began_at=NOW - timedelta(seconds=5), ended_at=NOW, succeeded=True)
    assert bridge.wait(just, starting=True) == 55


def test_a_run_whose_process_was_killed_is_due_again_at_once(bridge):
    assert bridge.wait(state(began_at=NOW - timedelta(seconds=5)), starting=False) == 0


def test_after_failures_the_window_reaches_back_to_what_the_first_of_them_would_have_seen(bridge):
    assert bridge.earliest(state(good_began_at=NOW - HOUR)) == NOW - 4 * HOUR
    assert bridge.earliest(state(good_began_at=NOW - 10 * HOUR)) == NOW - 13 * HOUR
    assert bridge.earliest(state(good_began_at=NOW - 1000 * HOUR)) == NOW - timedelta(days=7)
