"""Metrics of ingress, under upstream's names.

Upstream's counters carry no ``_total``; this client library would add it, so that they are exported as gauges that
only grow.
"""

import re
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from headrace.runtime.metrics import OTHER, REGISTRY, Capped

REQUESTS: Final = Gauge("ingress_requests", "Uploads started", ["useragent"], registry=REGISTRY)
RESPONSES: Final = Gauge("ingress_responses", "Answers to uploads", ["useragent", "code"], registry=REGISTRY)
PAYLOAD_SIZES: Final = Histogram(
    "ingress_payload_sizes",
    "Bytes of a file part",
    ["useragent"],
    buckets=(10240, 102400, 1024000, 10240000),
    registry=REGISTRY,
)
STAGE_SECONDS: Final = Histogram(
    "ingress_stage_seconds", "Time from the last received byte to the end of storing", registry=REGISTRY
)
MESSAGE_PRODUCED: Final = Gauge("ingress_message_produced", "Announcements", ["service"], registry=REGISTRY)
KAFKA_PRODUCED: Final = Gauge("ingress_kafka_produced", "Messages acknowledged", ["topic"], registry=REGISTRY)
KAFKA_PRODUCE_FAILURES: Final = Gauge(
    "ingress_kafka_produce_failures", "Messages that could not be sent", ["topic"], registry=REGISTRY
)
PUBLISH_SECONDS: Final = Histogram(
    "ingress_publish_seconds",
    "Time from sending to the broker's acknowledgement",
    ["topic"],
    registry=REGISTRY,
)
VERSION: Final = Gauge("ingress_version", "Always 1", ["version", "commit"], registry=REGISTRY)
# Headrace's own. The sender repeated an upload because it did not receive the answer.
DUPLICATES: Final = Gauge("ingress_duplicate_uploads", "Uploads that were already stored", registry=REGISTRY)
REFUSALS_UNTOLD: Final = Counter(
    "headrace_ingress_refusals_untold",
    "Refused uploads of which no status tells, because there were too many or Kafka was away",
    registry=REGISTRY,
)
UPLOADS_IN_FLIGHT: Final = Gauge("ingress_uploads_in_flight", "Uploads being stored", registry=REGISTRY)
BUFFERED_BYTES: Final = Gauge("ingress_buffered_bytes", "Memory reserved for bodies", registry=REGISTRY)

_CLIENT: Final = re.compile(
    r"(insights-client/[\w.-]{1,20}(?: Core [\w.-]{1,20})?|redhat-access-insights/[\w.-]{1,20})"
)


# A client can send any version.
_clients: Final = Capped(r".+", most=50)


def user_agent_label(user_agent: str, operators: tuple[str, ...]) -> str:
    """Return one of a few labels for any User-Agent: known operators and clients, else ``other``."""
    for operator in operators:
        if user_agent.startswith(operator):
            return operator.rstrip("/")
    found = _CLIENT.search(user_agent)
    return _clients(found[1]) if found else OTHER
