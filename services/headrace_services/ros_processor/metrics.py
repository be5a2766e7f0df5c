"""Metrics of ros_processor, under upstream's names (the library adds ``_total``)."""

from typing import Final

from prometheus_client import Counter

from headrace.contracts.ros import ExperimentType
from headrace.runtime.metrics import REGISTRY

INVALID_CSV: Final[dict[ExperimentType, Counter]] = {
    "container": Counter("rosocp_invalid_csv", "Files rejected", registry=REGISTRY),
    "namespace": Counter("rosocp_invalid_namespace_csv", "Namespace files rejected", registry=REGISTRY),
}
FETCH_ERRORS: Final = Counter("rosocp_csv_fetch_error", "Files that could not be fetched", registry=REGISTRY)
INVALID_DATAPOINTS: Final = Counter("rosocp_invalid_datapoints", "Rows dropped", registry=REGISTRY)
ACCOUNTS_CREATED: Final = Counter("rosocp_rh_account_created", "New organisations", registry=REGISTRY)
CREATE_REQUESTS: Final[dict[ExperimentType, Counter]] = {
    "container": Counter(
        "kruize_create_experiment_request", "Requests to /createExperiment", registry=REGISTRY
    ),
    "namespace": Counter(
        "kruize_create_namespace_experiment_request",
        "Requests to /createExperiment for namespaces",
        registry=REGISTRY,
    ),
}
UPDATE_REQUESTS: Final[dict[ExperimentType, Counter]] = {
    "container": Counter("kruize_update_result_request", "Requests to /updateResults", registry=REGISTRY),
    "namespace": Counter(
        "kruize_update_namespace_result_request",
        "Requests to /updateResults for namespaces",
        registry=REGISTRY,
    ),
}
