"""The performance profile that every experiment names, and its creation in Kruize.

Kruize does not evaluate the profile's queries for clusters that send their own results.
"""

import asyncio
import time
from typing import Any, Final

from headrace.contracts import kruize
from headrace.contracts.kruize import CONTAINER_METRICS, NAMESPACE_METRICS, PERFORMANCE_PROFILE
from headrace.runtime.errors import HeadraceError, Retryable
from headrace.runtime.health import STARTING_SECONDS
from headrace.runtime.logging import get_logger
from headrace.runtime.retries import RetryPolicy
from headrace.web.peer import Peer

_log = get_logger(__name__)

LIST_PATH: Final = "/listPerformanceProfiles"
CREATE_PATH: Final = "/createPerformanceProfile"
UPDATE_PATH: Final = "/updatePerformanceProfile"
# The texts of old and new versions of Kruize for a missing profile.
MISSING_TEXTS: Final = (
    "Performance Profile doesn't exist",
    "performance_profile does not exist",
    'because "performanceProfile" is null',
)
_BACKOFF: Final = RetryPolicy(base_seconds=0.5, cap_seconds=15.0)

_CONTAINER: Final = 'namespace="$NAMESPACE$",container="$CONTAINER_NAME$"'
_NAMESPACE: Final = 'namespace="$NAMESPACE$"'
_DURATION: Final = "[$MEASUREMENT_DURATION_IN_MIN$m])"
# Each metric with the series that it is computed from: a rate or an average over the measurement duration, unless it is
# a gauge.
_SERIES: Final = {
    kruize.CPU_REQUEST.name: 'kube_pod_container_resource_requests{%s,resource="cpu"}',
    kruize.CPU_LIMIT.name: 'kube_pod_container_resource_limits{%s,resource="cpu"}',
    kruize.CPU_USAGE.name: "rate(container_cpu_usage_seconds_total{%s}" + _DURATION,
    kruize.CPU_THROTTLE.name: "rate(container_cpu_cfs_throttled_seconds_total{%s}" + _DURATION,
    kruize.MEMORY_REQUEST.name: 'kube_pod_container_resource_requests{%s,resource="memory"}',
    kruize.MEMORY_LIMIT.name: 'kube_pod_container_resource_limits{%s,resource="memory"}',
    kruize.MEMORY_USAGE.name: "avg_over_time(container_memory_working_set_bytes{%s}" + _DURATION,
    kruize.MEMORY_RSS.name: "avg_over_time(container_memory_rss{%s}" + _DURATION,
    kruize.NAMESPACE_CPU_REQUEST.name: 'kube_resourcequota{%s,resource="requests.cpu",type="hard"}',
    kruize.NAMESPACE_CPU_LIMIT.name: 'kube_resourcequota{%s,resource="limits.cpu",type="hard"}',
    kruize.NAMESPACE_MEMORY_REQUEST.name: 'kube_resourcequota{%s,resource="requests.memory",type="hard"}',
    kruize.NAMESPACE_MEMORY_LIMIT.name: 'kube_resourcequota{%s,resource="limits.memory",type="hard"}',
    kruize.NAMESPACE_CPU_USAGE.name: "rate(container_cpu_usage_seconds_total{%s}" + _DURATION,
    kruize.NAMESPACE_CPU_THROTTLE.name: "rate(container_cpu_cfs_throttled_seconds_total{%s}" + _DURATION,
    kruize.NAMESPACE_MEMORY_USAGE.name: "avg_over_time(container_memory_working_set_bytes{%s}" + _DURATION,
    kruize.NAMESPACE_MEMORY_RSS.name: "avg_over_time(container_memory_rss{%s}" + _DURATION,
    kruize.NAMESPACE_TOTAL_PODS.name: "count(kube_pod_info{%s})",
    kruize.NAMESPACE_RUNNING_PODS.name: 'count(kube_pod_status_phase{%s,phase="Running"} == 1)',
    kruize.NAMESPACE_MAX_DATE: "timestamp(container_cpu_usage_seconds_total{%s} > 0)",
    kruize.ACCELERATOR_CORE_USAGE: "DCGM_FI_DEV_GPU_UTIL{%s}",
    kruize.ACCELERATOR_MEMORY_USAGE: "DCGM_FI_DEV_MEM_COPY_UTIL{%s}",
    kruize.ACCELERATOR_FRAME_BUFFER_USAGE: "DCGM_FI_DEV_FB_USED{%s}",
}


def _variable(name: str, functions: tuple[str, ...]) -> dict[str, Any]:
    whole_namespace = name.startswith("namespace")
    series = _SERIES[name] % (_NAMESPACE if whole_namespace else _CONTAINER)
    return {
        "name": name,
        "datasource": "prometheus",
        "value_type": "double",
        "kubernetes_object": "namespace" if whole_namespace else "container",
        "aggregation_functions": [
            {"function": function, "query": f"{function}({series})"} for function in functions
        ],
    }


def performance_profile(version: float) -> dict[str, Any]:
    """Return the profile as `/createPerformanceProfile` accepts it."""
    spread = ("avg", "min", "max")
    variables = [
        *((metric.name, metric.values) for metric in (*CONTAINER_METRICS, *NAMESPACE_METRICS)),
        (kruize.NAMESPACE_MAX_DATE, ("max",)),
        (kruize.ACCELERATOR_CORE_USAGE, spread),
        (kruize.ACCELERATOR_MEMORY_USAGE, spread),
        (kruize.ACCELERATOR_FRAME_BUFFER_USAGE, spread),
    ]
    return {
        "name": PERFORMANCE_PROFILE,
        "profile_version": version,
        "k8s_type": "openshift",
        "slo": {
            "slo_class": "resource_usage",
            "direction": "minimize",
            "objective_function": {"function_type": "source"},
            "function_variables": [_variable(name, tuple(functions)) for name, functions in variables],
        },
    }


def misses_profile(text: str) -> bool:
    """Return whether an answer of Kruize says that the profile is missing."""
    unescaped = text.replace('\\"', '"')
    return any(missing in unescaped for missing in MISSING_TEXTS)


class ProfileKeeper:
    """Ensures that Kruize has the profile."""

    def __init__(self, peer: Peer, *, version: float, update: bool) -> None:
        self._peer = peer
        self._version = version
        self._update = update
        self._turn = asyncio.Lock()
        self.problem: str | None = "the performance profile has not been requested from Kruize yet"

    async def run(self) -> None:
        """Try with increasing pauses until Kruize has the profile; `problem` contains the reason meanwhile."""
        failures, began = 0, time.monotonic()
        while True:
            try:
                await self.ensure()
            except HeadraceError as error:
                failures += 1
                self.problem = str(error)
                # Where both start together, Kruize does not listen yet.
                is_early = time.monotonic() - began < STARTING_SECONDS
                tell = _log.info if is_early else _log.warning
                tell("performance_profile_missing", reason=str(error), tries=failures)
            else:
                return
            await asyncio.sleep(_BACKOFF.hold_seconds(failures))

    async def ensure(self) -> None:
        """Create or update the profile unless Kruize has it; raises `Retryable` if Kruize does not accept it."""
        async with self._turn:
            await self._ensure()
        self.problem = None

    async def _ensure(self) -> None:
        listed = await self._peer.call("GET", LIST_PATH)
        if listed.status != 200 or not isinstance(listed.body, list):
            raise Retryable(f"Kruize answered {LIST_PATH} with {listed.shown}")
        versions = [
            _number(item.get("profile_version"))
            for item in listed.body
            if isinstance(item, dict) and item.get("name") == PERFORMANCE_PROFILE
        ]
        if not versions:
            await self._put("POST", CREATE_PATH)
        elif max(versions) < self._version and self._update:
            await self._put("PUT", UPDATE_PATH)

    async def _put(self, method: str, path: str) -> None:
        answer = await self._peer.call(method, path, json=performance_profile(self._version))
        # 409: another process created it first, or Kruize keeps its own version.
        if answer.status not in {200, 201, 409}:
            raise Retryable(f"Kruize refused the performance profile: {answer.shown}")
        _log.info("performance_profile_sent", path=path, status=answer.status)


def _number(version: Any) -> float:
    try:
        return float(str(version).removeprefix("v"))
    except ValueError:
        return 0.0
