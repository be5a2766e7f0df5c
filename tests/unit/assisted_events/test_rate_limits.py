from datetime import UTC, datetime, timedelta
from typing import Any

from headrace_services.assisted_events.rate_limits import RateLimiter, key_of

START = datetime(2026, 1, 1, tzinfo=UTC)


def event(minutes: float, name: str = "upgrade_agent_failed", **ids: str) -> dict[str, Any]:
    return {"name": name, "event_time": START + timedelta(minutes=minutes), "cluster_id": "c", **ids}


def kept(limiter: RateLimiter, *events: dict[str, Any]) -> list[dict[str, Any]]:
    return list(limiter.pass_through(events))


def test_an_event_within_the_limit_of_a_kept_one_is_discarded() -> None:
    limiter = RateLimiter({"upgrade_agent_failed": 3600})
    events = [event(0), event(30), event(59.9), event(60), event(90), event(120)]
    assert kept(limiter, *events) == [events[0], events[3], events[5]]
    assert limiter.discarded == 3


def test_limits_hold_for_each_cluster_host_and_infra_env() -> None:
    limiter = RateLimiter({"upgrade_agent_failed": 3600})
    events = [event(0), event(1, host_id="h"), event(2, infra_env_id="i"), event(3, cluster_id="d")]
    assert kept(limiter, *events) == events


def test_other_events_pass() -> None:
    events = [event(n / 10, "host_status_updated") for n in range(5)]
    assert kept(RateLimiter({"upgrade_agent_failed": 3600}), *events) == events


def test_what_is_stored_already_counts() -> None:
    limiter = RateLimiter({"upgrade_agent_failed": 3600}, {key_of(event(0)): START})
    assert kept(limiter, event(10)) == []
