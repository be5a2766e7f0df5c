"""Metrics of assisted_events."""

from typing import Final

from prometheus_client import Counter, Histogram

from headrace.runtime.metrics import REGISTRY

# The outcomes are sent, skipped, given_up and postponed. If `given_up` rises, the sendings contain the reasons.
SENDINGS: Final = Counter(
    "headrace_assisted_sendings", "Attempts to send a cluster's events", ["outcome"], registry=REGISTRY
)
SENT_BYTES: Final = Counter("headrace_assisted_sent_bytes", "Bytes of accepted archives", registry=REGISTRY)
SECONDS: Final = Histogram(
    "headrace_assisted_sending_seconds",
    "Time from reading the rows to the endpoint's answer",
    buckets=(0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120),
    registry=REGISTRY,
)
DISCARDED_EVENTS: Final = Counter(
    "headrace_assisted_discarded_events", "Events discarded by their rate limit", ["name"], registry=REGISTRY
)
