"""The vocabulary of Kruize, its clients and the services that show its recommendations: names, codes and times.

Source: kruize/autotune (design/MonitoringModeAPI.md) and RedHatInsights/ros-ocp-backend (internal/utils).
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum
from typing import Final, Literal

Value = Literal["sum", "avg", "min", "max"]
VALUES: Final[tuple[Value, ...]] = ("sum", "avg", "min", "max")

PERFORMANCE_PROFILE: Final = "resource-optimization-openshift"
MAX_BULK_RECORDS: Final = 100
MEASUREMENT_MINUTES: Final = 15


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: its name, the aggregates that clients send, and their unit (empty for a count).

    ``column`` is the stem of the columns in the ROS CSV: ``<column>_avg`` and so on.
    """

    name: str
    values: tuple[Value, ...]
    unit: str
    column: str


CPU_REQUEST: Final = Metric("cpuRequest", ("sum", "avg"), "cores", "cpu_request_container")
CPU_LIMIT: Final = Metric("cpuLimit", ("sum", "avg"), "cores", "cpu_limit_container")
CPU_USAGE: Final = Metric("cpuUsage", ("sum", "avg", "min", "max"), "cores", "cpu_usage_container")
CPU_THROTTLE: Final = Metric("cpuThrottle", ("sum", "avg", "max"), "cores", "cpu_throttle_container")
MEMORY_REQUEST: Final = Metric("memoryRequest", ("sum", "avg"), "bytes", "memory_request_container")
MEMORY_LIMIT: Final = Metric("memoryLimit", ("sum", "avg"), "bytes", "memory_limit_container")
MEMORY_USAGE: Final = Metric("memoryUsage", ("sum", "avg", "min", "max"), "bytes", "memory_usage_container")
MEMORY_RSS: Final = Metric("memoryRSS", ("sum", "avg", "min", "max"), "bytes", "memory_rss_usage_container")
CONTAINER_METRICS: Final = (
    CPU_REQUEST,
    CPU_LIMIT,
    CPU_USAGE,
    CPU_THROTTLE,
    MEMORY_REQUEST,
    MEMORY_LIMIT,
    MEMORY_USAGE,
    MEMORY_RSS,
)

NAMESPACE_CPU_REQUEST: Final = Metric("namespaceCpuRequest", ("sum",), "cores", "cpu_request_namespace")
NAMESPACE_CPU_LIMIT: Final = Metric("namespaceCpuLimit", ("sum",), "cores", "cpu_limit_namespace")
NAMESPACE_CPU_USAGE: Final = Metric(
    "namespaceCpuUsage", ("avg", "min", "max"), "cores", "cpu_usage_namespace"
)
NAMESPACE_CPU_THROTTLE: Final = Metric(
    "namespaceCpuThrottle", ("avg", "min", "max"), "cores", "cpu_throttle_namespace"
)
NAMESPACE_MEMORY_REQUEST: Final = Metric(
    "namespaceMemoryRequest", ("sum",), "bytes", "memory_request_namespace"
)
NAMESPACE_MEMORY_LIMIT: Final = Metric("namespaceMemoryLimit", ("sum",), "bytes", "memory_limit_namespace")
NAMESPACE_MEMORY_USAGE: Final = Metric(
    "namespaceMemoryUsage", ("avg", "min", "max"), "bytes", "memory_usage_namespace"
)
NAMESPACE_MEMORY_RSS: Final = Metric(
    "namespaceMemoryRSS", ("avg", "min", "max"), "bytes", "memory_rss_usage_namespace"
)
NAMESPACE_TOTAL_PODS: Final = Metric("namespaceTotalPods", ("avg", "max"), "", "namespace_total_pods")
NAMESPACE_RUNNING_PODS: Final = Metric("namespaceRunningPods", ("avg", "max"), "", "namespace_running_pods")
NAMESPACE_METRICS: Final = (
    NAMESPACE_CPU_REQUEST,
    NAMESPACE_CPU_LIMIT,
    NAMESPACE_CPU_USAGE,
    NAMESPACE_CPU_THROTTLE,
    NAMESPACE_MEMORY_REQUEST,
    NAMESPACE_MEMORY_LIMIT,
    NAMESPACE_MEMORY_USAGE,
    NAMESPACE_MEMORY_RSS,
    NAMESPACE_TOTAL_PODS,
    NAMESPACE_RUNNING_PODS,
)

# Kruize accepts these names; recommendations of this profile do not use them.
NAMESPACE_MAX_DATE: Final = "namespaceMaxDate"
MAX_DATE: Final = "maxDate"
ACCELERATOR_CORE_USAGE: Final = "acceleratorCoreUsage"
ACCELERATOR_MEMORY_USAGE: Final = "acceleratorMemoryUsage"
ACCELERATOR_FRAME_BUFFER_USAGE: Final = "acceleratorFrameBufferUsage"

Resource = Literal["cpu", "memory"]
RESOURCES: Final[tuple[Resource, ...]] = ("cpu", "memory")
Section = Literal["requests", "limits"]
SECTIONS: Final[tuple[Section, ...]] = ("requests", "limits")

SHORT_TERM: Final = "short_term"
MEDIUM_TERM: Final = "medium_term"
LONG_TERM: Final = "long_term"
TERMS: Final = (SHORT_TERM, MEDIUM_TERM, LONG_TERM)
COST: Final = "cost"
PERFORMANCE: Final = "performance"
ENGINES: Final = (COST, PERFORMANCE)


def short_name(term: str) -> str:
    """Return a term as settings and columns name it: ``short`` for ``short_term``."""
    return term.removesuffix("_term")


class Code(IntEnum):
    """The notification codes of a recommendation.

    The first digit is the severity; the second and third digits are the resource: 23 CPU, 24 memory, 28 accelerator.
    The class has every code of upstream's table; codes for accelerators, runtimes and negative numbers are never
    issued.
    """

    AVAILABLE = 111000
    SHORT_TERM_AVAILABLE = 111101
    MEDIUM_TERM_AVAILABLE = 111102
    LONG_TERM_AVAILABLE = 111103
    COST_AVAILABLE = 112101
    PERFORMANCE_AVAILABLE = 112102
    MODEL_AVAILABLE = 112103
    RUNTIMES_AVAILABLE = 112104
    NOT_ENOUGH_DATA = 120001
    ACCELERATOR_AVAILABLE = 128001
    PODS_ZERO = 221001
    PODS_NEGATIVE = 221002
    HOURS_ZERO = 221003
    HOURS_NEGATIVE = 221004
    CPU_AMOUNT_MISSING = 223001
    CPU_AMOUNT_INVALID = 223002
    CPU_FORMAT_MISSING = 223003
    CPU_FORMAT_INVALID = 223004
    MEMORY_AMOUNT_MISSING = 224001
    MEMORY_AMOUNT_INVALID = 224002
    MEMORY_FORMAT_MISSING = 224003
    MEMORY_FORMAT_INVALID = 224004
    CPU_IDLE = 323001
    CPU_ZERO = 323002
    CPU_UNKNOWN = 323003
    CPU_REQUEST_OPTIMISED = 323004
    CPU_LIMIT_OPTIMISED = 323005
    MEMORY_ZERO = 324001
    MEMORY_UNKNOWN = 324002
    MEMORY_REQUEST_OPTIMISED = 324003
    MEMORY_LIMIT_OPTIMISED = 324004
    ACCELERATOR_UNSUPPORTED = 328001
    CPU_LIMIT_UNSET = 423001
    CPU_REQUEST_UNSET = 523001
    MEMORY_REQUEST_UNSET = 524001
    MEMORY_LIMIT_UNSET = 524002

    @property
    def key(self) -> str:
        """The code as a key in JSON."""
        return str(int(self))


# The separators of the parts of a name. No part may contain one; otherwise two organisations could have the same name.
SEPARATORS: Final = frozenset("|;")


def container_experiment(
    org_id: str, source_id: str, cluster_uuid: str, namespace: str, object_type: str, object_name: str
) -> str:
    """Return the name of the experiment of a workload's containers."""
    return f"{org_id}|{source_id}|{cluster_uuid}|{namespace}|{object_type}|{object_name}"


def namespace_experiment(org_id: str, source_id: str, cluster_uuid: str, namespace: str) -> str:
    """Return the name of the experiment of a whole namespace."""
    return f"{org_id}|{source_id}|{cluster_uuid}|namespace|{namespace}"


def cluster_name(org_id: str, cluster_uuid: str) -> str:
    """Return Kruize's name of a cluster."""
    return f"{org_id};{cluster_uuid}"


def timestamp(moment: datetime) -> str:
    """Format as ``2023-06-02T00:45:00.000Z``: UTC, milliseconds."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def parse_timestamp(text: str) -> datetime:
    """Parse the form of `timestamp`; raises ``ValueError`` for any other form."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
