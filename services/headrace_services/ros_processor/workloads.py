"""The output of the aggregation: workloads, their intervals, the usage of their containers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from headrace.contracts.kruize import Metric
from headrace.contracts.ros import ExperimentType
from headrace_services.ros_processor.columns import FileKind
from headrace_services.ros_processor.decimals import decimals
from headrace_services.ros_processor.groups import Positions, Rows, Sorted, parted
from headrace_services.ros_processor.order import WORKLOAD_BITS, Order
from headrace_services.ros_processor.row_checks import Identity, Interval

_BATCH_GROUPS: Final = 2_000


@dataclass(slots=True)
class ContainerUsage:
    """One container in one interval. ``metrics`` is ready for JSON and shared, so it must not be changed."""

    name: str
    image: str
    metrics: list[dict[str, Any]]


@dataclass(slots=True)
class IntervalRecord:
    """One interval. A container may occur with two images; a namespace has one entry, named ``""``."""

    start: datetime
    end: datetime
    containers: tuple[ContainerUsage, ...]


@dataclass(slots=True)
class Workload:
    """One workload, or a whole namespace (object type ``namespace``, no ``containers``).

    ``containers``: each name once, with its first image. ``records`` are sorted by start, then end.
    """

    kind: ExperimentType
    namespace: str
    object_type: str
    object_name: str
    containers: tuple[tuple[str, str], ...]
    records: list[IntervalRecord]


class Builder:
    """Builds workloads from groups."""

    def __init__(
        self,
        kind: FileKind,
        identities: Sequence[Identity],
        intervals: Sequence[Interval],
        present: npt.NDArray[np.bool_],
        max_workload_groups: int,
    ) -> None:
        """``present``: for each identity, whether it has a valid row."""
        self._kind = kind
        self._identities = identities
        self._intervals = intervals
        self._max_workload_groups = max_workload_groups
        self._containers = _containers(identities, present) if kind.kind == "container" else {}

    def build(self, groups: Sorted, order: Order) -> Iterator[list[Workload]]:
        """Yield the workloads of a few groups at a time."""
        for start, end in self._slices(order.of(groups.keys)):
            yield self._built(groups.part(start, end), order)

    def _slices(self, positions: Positions) -> Iterator[tuple[int, int]]:
        """Split between workloads; a workload with too many groups is also split between intervals."""
        start = 0
        for first, end in _runs(positions >> WORKLOAD_BITS):
            if end - start > self._max_workload_groups and first > start:
                yield start, first
                start = first
            if end - start > self._max_workload_groups:
                for _, interval_end in _runs(positions[first:end]):
                    if first + interval_end - start >= self._max_workload_groups:
                        yield start, first + interval_end
                        start = first + interval_end
            if end - start >= _BATCH_GROUPS:
                yield start, end
                start = end
        if start < len(positions):
            yield start, len(positions)

    def _built(self, groups: Rows, order: Order) -> list[Workload]:
        identity_numbers, interval_numbers = parted(groups.keys)
        identities = [self._identities[number] for number in identity_numbers.tolist()]
        usages = [
            ContainerUsage(identity.container, identity.image, metrics)
            for identity, metrics in zip(identities, self._metrics(groups), strict=True)
        ]
        intervals = [self._intervals[number] for number in interval_numbers.tolist()]
        positions = order.of(groups.keys)
        workloads = []
        for first, end in _runs(positions >> WORKLOAD_BITS):
            records = [
                IntervalRecord(at.start, at.end, tuple(usages[first + start : first + stop]))
                for start, stop in _runs(positions[first:end])
                for at in (intervals[first + start],)
            ]
            namespace, object_type, object_name = owner = identities[first].owner
            containers = self._containers.get(owner, ())
            workloads.append(
                Workload(self._kind.kind, namespace, object_type, object_name, containers, records)
            )
        return workloads

    def _metrics(self, groups: Rows) -> Iterator[list[dict[str, Any]]]:
        # All columns are converted in one call, because a call costs more than a hundred numbers.
        texts = decimals(np.concatenate(groups.columns))
        columns = iter([texts[at : at + len(groups)] for at in range(0, len(texts), len(groups))])
        made = [_of_metric(metric, [next(columns) for _ in metric.values]) for metric in self._kind.metrics]
        for metrics in zip(*made, strict=True):
            yield [metric for metric in metrics if metric]


def _of_metric(metric: Metric, texts: Sequence[Sequence[str | None]]) -> list[dict[str, Any] | None]:
    """Return the metric of each group; equal ones share an object, because requests and limits rarely change."""
    made: dict[tuple[str | None, ...], dict[str, Any] | None] = {}
    rows = list(zip(*texts, strict=True))
    for values in set(rows):
        made[values] = _metric(metric, values)
    return [made[values] for values in rows]


def _metric(metric: Metric, values: tuple[str | None, ...]) -> dict[str, Any] | None:
    """Return one element of Kruize's `metrics`; None without a sum or an average."""
    results: dict[str, str | None] = dict(zip(metric.values, values, strict=True))
    if None in values:
        if any(results.get(name, "") is None for name in ("sum", "avg")):
            return None
        results = {name: value for name, value in results.items() if value is not None}
    if metric.unit:
        results["format"] = metric.unit
    return {"name": metric.name, "results": {"aggregation_info": results}}


def _containers(
    identities: Sequence[Identity], present: npt.NDArray[np.bool_]
) -> dict[tuple[str, str, str], tuple[tuple[str, str], ...]]:
    images: dict[tuple[str, str, str], dict[str, str]] = {}
    for identity in sorted(identities[number] for number in np.flatnonzero(present).tolist()):
        images.setdefault(identity.owner, {}).setdefault(identity.container, identity.image)
    return {owner: tuple(found.items()) for owner, found in images.items()}


def _runs(values: Positions) -> list[tuple[int, int]]:
    """Return the start and end of each run of equal values."""
    starts = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist()] if len(values) else []
    return list(pairwise([*starts, len(values)]))
