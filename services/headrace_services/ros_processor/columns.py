"""The columns of the two kinds of usage CSV.

Source: RedHatInsights/ros-ocp-backend (internal/types), project-koku/koku-metrics-operator.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from headrace.contracts.kruize import (
    CONTAINER_METRICS,
    CPU_USAGE,
    MEMORY_RSS,
    MEMORY_USAGE,
    NAMESPACE_CPU_USAGE,
    NAMESPACE_MEMORY_RSS,
    NAMESPACE_MEMORY_USAGE,
    NAMESPACE_METRICS,
    Metric,
)
from headrace.contracts.ros import ExperimentType
from headrace_services.ros_processor.limits import CsvRejected

Reduction = Literal["mean", "min", "max", "sum"]

_PERIOD: Final = ("report_period_start", "report_period_end")
INTERVAL: Final = ("interval_start", "interval_end")
_REDUCTIONS: Final[dict[str, Reduction]] = {"avg": "mean", "min": "min", "max": "max", "sum": "sum"}


@dataclass(frozen=True)
class FileKind:
    """One kind of usage file: its required columns and the columns that are read.

    ``identity`` are the text columns that identify a row's container or namespace. ``numbers`` are derived from
    ``metrics`` and their values. ``usage`` are the numbers without which a row is dropped.
    """

    kind: ExperimentType
    identity: tuple[str, ...]
    unread: tuple[str, ...]
    metrics: tuple[Metric, ...]
    usage: frozenset[str]

    @property
    def numbers(self) -> tuple[str, ...]:
        """Every number column."""
        return tuple(f"{metric.column}_{value}" for metric in self.metrics for value in metric.values)

    @property
    def reductions(self) -> tuple[Reduction, ...]:
        """How the rows of a group are combined, for each of ``numbers``."""
        return tuple(_REDUCTIONS[value] for metric in self.metrics for value in metric.values)

    @property
    def read(self) -> tuple[str, ...]:
        """The columns that are read."""
        return (*INTERVAL, *self.identity, *self.numbers)

    @property
    def required(self) -> tuple[str, ...]:
        """The columns that must exist."""
        return (*self.unread, *self.read)


def _usage(*metrics: Metric) -> frozenset[str]:
    return frozenset(f"{metric.column}_{value}" for metric in metrics for value in metric.values)


CONTAINER: Final = FileKind(
    kind="container",
    identity=(
        "namespace", "workload", "workload_type", "owner_kind", "owner_name", "container_name", "image_name",
    ),
    unread=(*_PERIOD, "pod", "node", "resource_id"),
    metrics=CONTAINER_METRICS,
    usage=_usage(CPU_USAGE, MEMORY_USAGE, MEMORY_RSS),
)  # fmt: skip
NAMESPACE: Final = FileKind(
    kind="namespace",
    identity=("namespace",),
    unread=_PERIOD,
    metrics=NAMESPACE_METRICS,
    usage=_usage(NAMESPACE_CPU_USAGE, NAMESPACE_MEMORY_USAGE, NAMESPACE_MEMORY_RSS),
)


def kind_of(header: Sequence[str]) -> FileKind:
    """Return the kind of file with this header; raises `CsvRejected` that names the missing columns."""
    present = set(header)
    missing = [[name for name in kind.required if name not in present] for kind in (CONTAINER, NAMESPACE)]
    for kind, absent in zip((CONTAINER, NAMESPACE), missing, strict=True):
        if not absent:
            if twice := [name for name in kind.required if header.count(name) > 1]:
                raise CsvRejected(f"CSV file has columns more than once: {', '.join(twice)}")
            return kind
    nearest = min(missing, key=len)
    raise CsvRejected(f"CSV file does not have all the required columns: {', '.join(nearest)}")
