"""The runtime's metrics. A service's own are in its ``metrics.py``.

All services of a process share one registry; the ``service`` label separates them.
"""

import re
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

REGISTRY: Final = CollectorRegistry(auto_describe=True)

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

# How each message ended: processed, rejected, dead_lettered, filtered. Their sum is what was consumed.
MESSAGES: Final = Counter(
    "headrace_messages", "Messages by outcome", ["service", "topic", "outcome"], registry=REGISTRY
)
# Attempts that failed, by error class. Rising with no dead letters: an engine is flapping.
ATTEMPT_FAILURES: Final = Counter(
    "headrace_attempt_failures", "Failed attempts", ["service", "topic", "error"], registry=REGISTRY
)
# Time in the handler, one attempt. Near the deadline: raise it or find what is slow.
HANDLER_SECONDS: Final = Histogram(
    "headrace_handler_seconds",
    "Duration of one attempt",
    ["service", "topic"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
# From the record's timestamp to its end. The flow's latency, hop by hop.
MESSAGE_AGE_SECONDS: Final = Histogram(
    "headrace_message_age_seconds",
    "Age of a message when it ends",
    ["service", "topic"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
# Records between the committed offset and the end of the partition. Growing: add replicas or look for a hold.
CONSUMER_LAG: Final = Gauge(
    "headrace_consumer_lag",
    "Records that are not committed yet",
    ["service", "topic", "partition"],
    registry=REGISTRY,
)
# Partitions waiting for an engine to come back. Not zero: see /health/ready for the reason.
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
# A sender names a cluster that another organisation reported before. `headrace clusters list` says which and who.
FOREIGN_CLUSTERS: Final = Counter(
    "headrace_foreign_clusters",
    "Reports refused because another organisation owns their cluster",
    ["service"],
    registry=REGISTRY,
)
# Delay of a timer that should fire at once. Above 0.1: something blocks the loop.
LOOP_LAG_SECONDS: Final = Gauge("headrace_loop_lag_seconds", "Delay of the event loop", registry=REGISTRY)
# Lines of the log that could not be written. Not zero: its disk is full, or whoever read it has gone.
LOG_LINES_LOST: Final = Counter("headrace_log_lines_lost", "Log lines that were lost", registry=REGISTRY)
# Times it stood still for HEADRACE_STALL_SECONDS. Not zero: the log's `loop_stalled` has every stack.
LOOP_STALLS: Final = Counter(
    "headrace_loop_stalls", "Times that the event loop was blocked", registry=REGISTRY
)
# Growing under steady load: something starts tasks that do not end.
TASKS: Final = Gauge("headrace_tasks", "Tasks of the event loop that have not ended", registry=REGISTRY)


OTHER: Final = "other"


class Capped:
    """Limits a label with untrusted values: the first ``most`` of a form are kept, all others share one value.

    Each value is a series for as long as the process lives, in its memory and in every scrape.
    """

    def __init__(self, form: str, most: int) -> None:
        self._form = re.compile(form, re.ASCII)
        self._most = most
        self._seen: set[str] = set()

    def __call__(self, value: str) -> str:
        """Return the label under which to count."""
        if value in self._seen:
            return value
        if len(self._seen) >= self._most or not self._form.fullmatch(value):
            return OTHER
        self._seen.add(value)
        return value


def exposition() -> bytes:
    """Return all metrics in Prometheus' text format."""
    return generate_latest(REGISTRY)
