"""Metrics of the Sources API; upstream has none beyond its HTTP library's."""

from typing import Final

from prometheus_client import Counter, Gauge

from headrace.runtime.metrics import REGISTRY

EVENTS: Final = Counter(
    "sources_api_events", "Events that Kafka acknowledged", ["event_type"], registry=REGISTRY
)
# If they stay above zero, Kafka is away or refuses an event; /health/ready says which.
WAITING: Final = Gauge(
    "sources_api_events_waiting", "Events of committed changes not yet acknowledged", registry=REGISTRY
)
