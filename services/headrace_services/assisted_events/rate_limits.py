"""Discards events that come too often before they are stored. No I/O."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from headrace.database.pool import Record
from headrace.runtime.logging import get_logger
from headrace_services.assisted_events import metrics

_log = get_logger(__name__)

Key = tuple[str, str | None, str | None, str | None]


def key_of(event: Mapping[str, Any] | Record) -> Key:
    """Return the key of a limit: name, cluster, host, infra-env."""
    return event["name"], event.get("cluster_id"), event.get("host_id"), event.get("infra_env_id")


@dataclass
class RateLimiter:
    """``limits`` are seconds by event name; ``last`` is the newest known stored event of each key."""

    limits: Mapping[str, float]
    last: dict[Key, datetime] = field(default_factory=dict)
    discarded: int = field(default=0, init=False)

    def pass_through(self, events: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yield the events that may be stored; each discarded one is logged as a warning."""
        for event in events:
            limit = self.limits.get(event["name"])
            if limit is None or self._may_pass(event, limit):
                yield event
                continue
            self.discarded += 1
            metrics.DISCARDED_EVENTS.labels(event["name"]).inc()
            _log.warning("event_over_its_rate_limit", event_name=event["name"], limit_seconds=limit)

    def _may_pass(self, event: Mapping[str, Any], limit: float) -> bool:
        key, when = key_of(event), event["event_time"]
        last = self.last.get(key)
        if last is not None and 0 <= (when - last).total_seconds() < limit:
            return False
        self.last[key] = when if last is None else max(last, when)
        return True
