"""Metrics of ros_poller, under upstream's names."""

from typing import Final

from prometheus_client import Counter

from headrace.contracts.ros import ExperimentType
from headrace.runtime.metrics import REGISTRY

REQUESTS: Final[dict[ExperimentType, Counter]] = {
    "container": Counter("rosocp_recommendation_request", "Requests to Kruize", registry=REGISTRY),
    "namespace": Counter(
        "rosocp_namespace_recommendation_request", "Requests to Kruize for namespaces", registry=REGISTRY
    ),
}
SUCCESSES: Final[dict[ExperimentType, Counter]] = {
    "container": Counter("rosocp_recommendation_success", "Recommendations stored", registry=REGISTRY),
    "namespace": Counter(
        "rosocp_namespace_recommendation_success", "Namespace recommendations stored", registry=REGISTRY
    ),
}
# Kruize has recommendations, but none up to the requested time. If they rise, Kruize's usage lags behind.
INVALID: Final[dict[ExperimentType, Counter]] = {
    "container": Counter(
        "rosocp_invalid_recommendation", "Recommendations for another time than requested", registry=REGISTRY
    ),
    "namespace": Counter(
        "rosocp_invalid_namespace_recommendation",
        "Namespace recommendations for another time than requested",
        registry=REGISTRY,
    ),
}
