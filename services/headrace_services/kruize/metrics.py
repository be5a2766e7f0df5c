"""Metrics of Kruize: upstream's timer, and those of storage and computation."""

from typing import Final

from prometheus_client import Counter, Histogram

from headrace.runtime.metrics import REGISTRY

API_SECONDS: Final = Histogram(
    "kruizeAPI_seconds",
    "Duration of an API request",
    ["api", "application", "method", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0),
    registry=REGISTRY,
)
# The outcomes of records of /updateResults are stored, duplicate and refused.
RECORDS: Final = Counter("kruize_result_records", "Records by outcome", ["outcome"], registry=REGISTRY)
# The outcomes of requests are made, not_enough_data and no_metrics.
RECOMMENDATIONS: Final = Counter(
    "kruize_recommendations", "Recommendations by outcome", ["outcome"], registry=REGISTRY
)
COMPUTE_SECONDS: Final = Histogram(
    "kruize_recommendation_compute_seconds",
    "Time to compute an experiment's recommendations",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5),
    registry=REGISTRY,
)
