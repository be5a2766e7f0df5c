"""Bars of a payload: what waited, what worked, what is silent, and whose clock is wrong."""

from datetime import timedelta

from headrace.service.flow import consumers_of
from headrace_services.console.waterfall import bars_of, hops_of, waterfall
from headrace_services.registry import SERVICES
from tests.unit.console.made import NOW, status

UPSTREAM = consumers_of(SERVICES, "hccm")
STATUSES = [
    status("ingress", "received", 0),
    status("ingress", "success", 0.1, "sent"),
    status("koku", "received", 0.6),
    status("koku", "success", 2.6, "2 files"),
    status("ros-processor", "received", 3.6),
    status("ros-processor", "error", 5, "no such column"),
]


def made(statuses, silent=(), after=10.0):
    now = NOW + timedelta(seconds=after)
    bars = bars_of(hops_of(statuses), UPSTREAM, silent, now)
    return {bar.name: bar for bar in bars}, waterfall(bars, now)


def test_time_in_kafka_is_told_from_work():
    bars, picture = made(STATUSES)
    assert list(bars) == ["ingress", "koku", "ros-processor"]
    assert (round(bars["koku"].waited, 3), round(bars["koku"].worked(NOW), 3)) == (0.5, 2.0)
    assert round(bars["ros-processor"].waited, 3) == 1.0
    assert [bar.state for bar in bars.values()] == ["done", "done", "failed"]
    drawn = {one.bar.name: one for one in picture.drawn}
    assert drawn["koku"].wait_x + drawn["koku"].wait_width <= drawn["koku"].x + 0.2
    assert drawn["koku"].width > drawn["ingress"].width
    assert picture.is_over


def test_a_failures_reason_comes_first_and_whole():
    _, picture = made(STATUSES)
    assert next((bar.name, bar.reason) for bar in picture.reasons) == ("ros-processor", "no such column")


def test_who_should_have_spoken_is_silent_after_half_a_minute_and_expected_before():
    statuses = STATUSES[:2]
    bars, picture = made(statuses, ["koku"], after=10)
    assert (bars["koku"].state, picture.is_over) == ("expected", False)
    bars, picture = made(statuses, ["koku"], after=40)
    assert bars["koku"].state == "silent"
    assert picture.reasons[0].name == "koku"


def test_nothing_is_awaited_behind_a_failure():
    failed = [*STATUSES[:3], status("koku", "error", 2, "bad manifest")]
    bars, picture = made(failed, ["ros-processor"], after=100)
    assert "ros-processor" not in bars
    assert picture.is_over


def test_a_service_that_works_on_has_not_ended():
    bars, _ = made([*STATUSES[:2], status("koku", "error", 1, "once"), status("koku", "received", 2)])
    assert (bars["koku"].state, bars["koku"].ended) == ("in_progress", None)
    assert bars["koku"].worked(NOW + timedelta(seconds=10)) == 9


def test_a_clock_that_runs_backward_is_flagged():
    bars, _ = made([*STATUSES[:2], status("koku", "received", -5), status("koku", "success", -4)])
    assert bars["koku"].runs_backward
    assert bars["koku"].waited == 0
    bars, _ = made([status("ingress", "received", 1, created_at="2026-11-30T12:00:02Z"),
                    status("ingress", "success", 2, created_at="2026-11-30T12:00:01Z")])  # fmt: skip
    assert bars["ingress"].runs_backward
    assert not made(STATUSES)[0]["koku"].runs_backward


def test_sources_of_a_service_have_bars_of_their_own():
    bars, _ = made([status("koku", "success", 0, source="a"), status("koku", "error", 1, source="b")])
    assert list(bars) == ["koku (a)", "koku (b)"]


def test_statuses_without_a_time_and_no_statuses_at_all_are_survived():
    bars, picture = made([status("koku", "success", 0) | {"date": "yesterday"}])
    assert (bars, picture.drawn, picture.is_over) == ({}, [], True)


def test_every_bar_lies_within_the_picture():
    _, picture = made(STATUSES, ["ros-poller"], after=1000)
    for one in picture.drawn:
        assert picture.label <= one.wait_x <= one.x
        assert one.x + one.width <= picture.width
        assert one.y < picture.height
