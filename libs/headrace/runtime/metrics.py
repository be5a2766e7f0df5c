"""The runtime's metrics; a service's own metrics are in its ``metrics.py``.

All services of a process share one registry; the ``service`` label separates them.
"""

import re
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

REGISTRY: Final = CollectorRegistry(auto_describe=True)

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

# The outcomes are processed, rejected, dead_lettered and filtered; their sum is the number of consumed messages.
MESSAGES: Final = Counter(
    "headrace_messages", "Messages by outcome", ["service", "topic", "outcome"], registry=REGISTRY
)
# The label `error` is the class of the exception. If they rise without dead letters, an engine is unreliable.
ATTEMPT_FAILURES: Final = Counter(
    "headrace_attempt_failures", "Failed attempts", ["service", "topic", "error"], registry=REGISTRY
)
# Only time in the handler counts. If it is near the deadline, raise the deadline or find what is slow.
HANDLER_SECONDS: Final = Histogram(
    "headrace_handler_seconds",
    "Duration of one attempt",
    ["service", "topic"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
# The age counts from the record's timestamp, so it is the latency of the flow up to this service.
MESSAGE_AGE_SECONDS: Final = Histogram(
    "headrace_message_age_seconds",
    "Age of a message when it ends",
    ["service", "topic"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
# If their number grows, add replicas or look for a hold.
CONSUMER_LAG: Final = Gauge(
    "headrace_consumer_lag",
    "Records that are not committed yet",
    ["service", "topic", "partition"],
    registry=REGISTRY,
)
# They wait for an engine; /health/ready gives the reason.
HELD_PARTITIONS: Final = Gauge(
    "headrace_held_partitions", "Partitions on hold", ["service", "topic"], registry=REGISTRY
)
IN_FLIGHT: Final = Gauge(
    "headrace_in_flight",
    "Messages that were fetched and have not ended",
    ["service", "topic"],
    registry=REGISTRY,
)
PRODUCED: Final = Counter(
    "headrace_produced", "Messages that the broker acknowledged", ["service", "topic"], registry=REGISTRY
)
PRODUCE_FAILURES: Final = Counter(
    "headrace_produce_failures", "Messages that could not be sent", ["service", "topic"], registry=REGISTRY
)
REDELIVERIES: Final = Counter(
    "headrace_duplicates", "Messages whose effect already existed", ["service"], registry=REGISTRY
)
# `headrace clusters list` shows the clusters and both organisations.
FOREIGN_CLUSTERS: Final = Counter(
    "headrace_foreign_clusters",
    "Reports refused because another organisation owns their cluster",
    ["service"],
    registry=REGISTRY,
)
# It is the delay of a timer that is due at once. Above 0.1 something blocks the loop.
LOOP_LAG_SECONDS: Final = Gauge("headrace_loop_lag_seconds", "Delay of the event loop", registry=REGISTRY)
# The log's disk is full, or its reader has ended.
LOG_LINES_LOST: Final = Counter("headrace_log_lines_lost", "Log lines that were lost", registry=REGISTRY)
# Each lasted longer than HEADRACE_STALL_SECONDS; the log line `loop_stalled` has every stack.
LOOP_STALLS: Final = Counter(
    "headrace_loop_stalls", "Times that the event loop was blocked", registry=REGISTRY
)
# If their number grows under steady load, something starts tasks that never end.
TASKS: Final = Gauge("headrace_tasks", "Tasks of the event loop that have not ended", registry=REGISTRY)


OTHER: Final = "other"


class Capped:
    """Limits the values of a label that come from outside: after the first ``most``, all others share one value.

    Each value is one series, in memory and in every scrape, until the process ends.
    """

    def __init__(self, form: str, most: int) -> None:
        self._form = re.compile(form, re.ASCII)
        self._most = most
        self._seen: set[str] = set()

    def __call__(self, value: str) -> str:
        """Return the label value under which to count."""
        if value in self._seen:
            return value
        if len(self._seen) >= self._most or not self._form.fullmatch(value):
            return OTHER
        self._seen.add(value)
        return value


def exposition() -> bytes:
    """Return all metrics in Prometheus' text format."""
    return generate_latest(REGISTRY)
