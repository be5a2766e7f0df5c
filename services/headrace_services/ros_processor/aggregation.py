"""Aggregates a usage CSV: from its bytes to the usage of each workload for Kruize.

Rows are parsed and filtered in batches, then folded into one group for each container and interval. Memory contains
one batch and, up to ``max_partition_bytes``, the groups; the rows of larger files go to a temporary file.

Source: RedHatInsights/ros-ocp-backend (internal/utils/aggregator.go).
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Hashable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

from headrace.contracts.ros import ExperimentType
from headrace_services.ros_processor import row_checks
from headrace_services.ros_processor.columns import CONTAINER, INTERVAL, FileKind
from headrace_services.ros_processor.groups import Floats, Rows, joined
from headrace_services.ros_processor.limits import CsvLimits, CsvRejected
from headrace_services.ros_processor.lookup import Distinct, Lookup, Numbers
from headrace_services.ros_processor.order import Order
from headrace_services.ros_processor.partitions import Partitions
from headrace_services.ros_processor.reading import Reader, record_batches
from headrace_services.ros_processor.row_checks import Identity, Interval
from headrace_services.ros_processor.workloads import Builder, ContainerUsage, IntervalRecord, Workload

__all__ = [
    "Aggregate",
    "ContainerUsage",
    "CsvLimits",
    "CsvRejected",
    "IntervalRecord",
    "Workload",
    "aggregate",
]

T = TypeVar("T", bound=Hashable)

_DEFAULT_LIMITS: Final = CsvLimits()


@asynccontextmanager
async def aggregate(
    chunks: AsyncIterator[bytes], *, limits: CsvLimits = _DEFAULT_LIMITS, now: datetime
) -> "AsyncIterator[Aggregate]":
    """Read a whole file, in chunks of any size; raises `CsvRejected` with its fault."""
    aggregation = _Aggregation(limits, now)
    try:
        async for batch in record_batches(chunks, limits):
            await asyncio.to_thread(aggregation.add, batch)
        yield await asyncio.to_thread(aggregation.finish)
    finally:
        aggregation.close()


class Aggregate:
    """The result of a file. ``rows`` is the number of all its rows, ``dropped`` that of dropped rows by reason."""

    def __init__(self, kind: FileKind, rows: int, dropped: Mapping[str, int], contents: "Contents") -> None:
        self.kind: ExperimentType = kind.kind
        self.rows = rows
        self.dropped = dropped
        self.contents = contents

    async def workloads(self) -> AsyncIterator[Workload]:
        """Yield the workloads, by namespace, object type and name.

        A workload with more than ``max_workload_groups`` comes in consecutive parts.
        """
        some = self.contents.workloads()
        while workloads := await asyncio.to_thread(next, some, None):
            for workload in workloads:
                yield workload


@dataclass(frozen=True)
class Contents:
    """The groups of a file, with the items of their keys; ``present``: whether an identity has a group."""

    kind: FileKind
    identities: Sequence[Identity]
    intervals: Sequence[Interval]
    present: npt.NDArray[np.bool_]
    order: Order
    partitions: Partitions
    max_workload_groups: int

    def workloads(self) -> Iterator[list[Workload]]:
        """Yield the workloads of a few groups at a time."""
        builder = Builder(self.kind, self.identities, self.intervals, self.present, self.max_workload_groups)
        for groups in self.partitions:
            yield from builder.build(groups, self.order)


class _Aggregation:
    """The state of one file's aggregation. It processes a batch at a time, in any thread."""

    def __init__(self, limits: CsvLimits, now: datetime) -> None:
        self._limits = limits
        self._now = now
        self._reader = Reader(limits)
        self._reasons: Distinct[str] = Distinct("reasons", 1 << 10)
        self._identities: Distinct[Identity] = Distinct(
            "containers",
            limits.max_containers,
            max_bytes=limits.max_names_bytes,
            weigh=lambda identity: sum(map(len, identity)),
        )
        self._intervals: Distinct[Interval] = Distinct("intervals", limits.max_intervals)
        self._present = np.zeros(limits.max_containers, bool)
        self._dropped: Counter[str] = Counter()
        self._whose = self._when = Lookup((), lambda _: 0)
        self._partitions: Partitions | None = None

    def add(self, batch: bytes) -> None:
        frame = self._reader.frame(batch)
        partitions = self._partitions or self._start(self._reader.kind)
        whose, when = self._whose.numbers(frame), self._when.numbers(frame)
        columns = [_numbers(frame[name]) for name in self._reader.kind.numbers]
        kept = self._judge(whose, when, columns)
        rows = Rows(joined(whose[kept], when[kept]), np.ones(np.count_nonzero(kept)), columns)
        if not kept.all():
            rows.columns = [column[kept] for column in columns]
        self._present[whose[kept]] = True
        partitions.add(rows)

    def finish(self) -> Aggregate:
        kind, rows = self._reader.kind, self._reader.rows
        self._reader.check_malformed()
        dropped = dict(
            sorted((self._dropped + Counter({row_checks.MALFORMED: self._reader.malformed})).items())
        )
        if sum(dropped.values()) == rows or not self._partitions:
            raise CsvRejected(f"no valid records present in CSV to process further ({_told(rows, dropped)})")
        self._partitions.finish()
        identities, intervals = tuple(self._identities), tuple(self._intervals)
        contents = Contents(
            kind=kind,
            identities=identities,
            intervals=intervals,
            present=self._present[: len(identities)],
            order=Order(identities, intervals),
            partitions=self._partitions,
            max_workload_groups=self._limits.max_workload_groups,
        )
        return Aggregate(kind, rows, dropped, contents)

    def close(self) -> None:
        if self._partitions:
            self._partitions.close()

    def _start(self, kind: FileKind) -> Partitions:
        rule = row_checks.container_identity if kind is CONTAINER else row_checks.namespace_identity
        self._whose = Lookup(
            kind.identity, lambda texts: self._number(rule(texts, self._limits), self._identities)
        )
        self._when = Lookup(
            INTERVAL,
            lambda texts: self._number(row_checks.interval(texts, self._now), self._intervals),
        )
        self._partitions = Partitions(
            kind.reductions,
            lambda: Order(self._identities, self._intervals),
            self._limits.max_partition_bytes,
        )
        return self._partitions

    def _number(self, judged: T | str, distinct: Distinct[T]) -> int:
        """Return the number of a valid item, or a negative number for the reason why a row is dropped."""
        if isinstance(judged, str):
            return -1 - self._reasons.number(judged)
        return distinct.number(judged)

    def _judge(self, whose: Numbers, when: Numbers, columns: Sequence[Floats]) -> npt.NDArray[np.bool_]:
        """Return which rows are valid; dropped rows are counted by their first reason."""
        usage = self._reader.kind.usage
        faulty = np.zeros(len(whose), bool)
        for name, column in zip(self._reader.kind.numbers, columns, strict=True):
            if name in usage:
                faulty |= ~(column >= 0)
        verdicts = np.where(whose < 0, whose, when)
        no_usage = -1 - self._reasons.number(row_checks.NO_USAGE)
        verdicts[faulty & (verdicts >= 0)] = no_usage
        kept = verdicts >= 0
        reasons = tuple(self._reasons)
        for number, count in enumerate(np.bincount(-1 - verdicts[~kept]).tolist()):
            if count:
                self._dropped[reasons[number]] += count
        return kept


def _numbers(column: pl.Series) -> Floats:
    """Return a column in which everything but finite numbers is NaN."""
    values: Floats = column.to_numpy()
    with np.errstate(invalid="ignore", over="ignore"):
        if np.isfinite(values.sum()):
            return values
    return np.where(np.isinf(values), np.nan, values)


def _told(rows: int, dropped: Mapping[str, int]) -> str:
    if not rows:
        return "the file has no rows"
    return f"{rows} rows dropped: " + ", ".join(f"{reason} {count}" for reason, count in dropped.items())
