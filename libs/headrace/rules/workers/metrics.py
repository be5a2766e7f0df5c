"""The metrics of workers."""

from typing import Final

from prometheus_client import Counter, Histogram

from headrace.runtime import metrics

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

# The label `why` is the cause: hung, crashed, bloated and killed need attention; retired and abandoned do not.
WORKERS_REPLACED: Final = Counter(
    "headrace_rules_workers_replaced", "Workers replaced", ["why"], registry=metrics.REGISTRY
)
REPLACEMENT_SECONDS: Final = Histogram(
    "headrace_rules_worker_replacement_seconds",
    "Time to replace a worker",
    buckets=_SECONDS,
    registry=metrics.REGISTRY,
)
