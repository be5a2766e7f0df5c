"""What Kruize's clients and Kruize agree on: names, metrics, units, times.

Source: kruize/autotune (design/MonitoringModeAPI.md) and RedHatInsights/ros-ocp-backend (internal/utils).
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

Value = Literal["sum", "avg", "min", "max"]
VALUES: Final[tuple[Value, ...]] = ("sum", "avg", "min", "max")

PERFORMANCE_PROFILE: Final = "resource-optimization-openshift"
MAX_BULK_RECORDS: Final = 100
MEASUREMENT_MINUTES: Final = 15


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: its name, the values a client sends of it, their unit (empty: a count).

    ``column`` is the stem of the ROS CSV's columns: ``<column>_avg`` and so on.
    """

    name: str
    values: tuple[Value, ...]
    unit: str
    column: str


CONTAINER_METRICS: Final = (
    Metric("cpuRequest", ("sum", "avg"), "cores", "cpu_request_container"),
    Metric("cpuLimit", ("sum", "avg"), "cores", "cpu_limit_container"),
    Metric("cpuUsage", ("sum", "avg", "min", "max"), "cores", "cpu_usage_container"),
    Metric("cpuThrottle", ("sum", "avg", "max"), "cores", "cpu_throttle_container"),
    Metric("memoryRequest", ("sum", "avg"), "bytes", "memory_request_container"),
    Metric("memoryLimit", ("sum", "avg"), "bytes", "memory_limit_container"),
    Metric("memoryUsage", ("sum", "avg", "min", "max"), "bytes", "memory_usage_container"),
    Metric("memoryRSS", ("sum", "avg", "min", "max"), "bytes", "memory_rss_usage_container"),
)
NAMESPACE_METRICS: Final = (
    Metric("namespaceCpuRequest", ("sum",), "cores", "cpu_request_namespace"),
    Metric("namespaceCpuLimit", ("sum",), "cores", "cpu_limit_namespace"),
    Metric("namespaceCpuUsage", ("avg", "min", "max"), "cores", "cpu_usage_namespace"),
    Metric("namespaceCpuThrottle", ("avg", "min", "max"), "cores", "cpu_throttle_namespace"),
    Metric("namespaceMemoryRequest", ("sum",), "bytes", "memory_request_namespace"),
    Metric("namespaceMemoryLimit", ("sum",), "bytes", "memory_limit_namespace"),
    Metric("namespaceMemoryUsage", ("avg", "min", "max"), "bytes", "memory_usage_namespace"),
    Metric("namespaceMemoryRSS", ("avg", "min", "max"), "bytes", "memory_rss_usage_namespace"),
    Metric("namespaceTotalPods", ("avg", "max"), "", "namespace_total_pods"),
    Metric("namespaceRunningPods", ("avg", "max"), "", "namespace_running_pods"),
)


# They part what a name is made of. Nothing in a name may have one, else two organisations' names could be the same.
SEPARATORS: Final = frozenset("|;")


def container_experiment(
    org_id: str, source_id: str, cluster_uuid: str, namespace: str, object_type: str, object_name: str
) -> str:
    """The experiment's name for a workload's containers."""
    return f"{org_id}|{source_id}|{cluster_uuid}|{namespace}|{object_type}|{object_name}"


def namespace_experiment(org_id: str, source_id: str, cluster_uuid: str, namespace: str) -> str:
    """The experiment's name for a whole namespace."""
    return f"{org_id}|{source_id}|{cluster_uuid}|namespace|{namespace}"


def cluster_name(org_id: str, cluster_uuid: str) -> str:
    """How Kruize names a cluster."""
    return f"{org_id};{cluster_uuid}"


def timestamp(moment: datetime) -> str:
    """``2023-06-02T00:45:00.000Z``: UTC, milliseconds."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def parse_timestamp(text: str) -> datetime:
    """The reverse; raises ``ValueError`` for any other form."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
