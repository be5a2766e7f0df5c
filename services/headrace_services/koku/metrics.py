"""Metrics of koku. ``kafka_connection_errors`` is upstream's name."""

from typing import Final

from prometheus_client import Counter

from headrace.runtime.metrics import REGISTRY

KAFKA_CONNECTION_ERRORS: Final = Counter(
    "kafka_connection_errors", "Messages of koku that Kafka did not acknowledge in time", registry=REGISTRY
)
# The outcomes are stored (copied to its bucket), found (already stored) and absent (listed in the manifest, missing in
# the archive).
FILES: Final = Counter(
    "koku_files",
    "Files of cost archives by kind (ros, cost) and outcome",
    ["kind", "outcome"],
    registry=REGISTRY,
)
REGISTERED_SOURCES: Final = Counter(
    "koku_registered_sources", "Sources registered for unknown clusters", registry=REGISTRY
)
