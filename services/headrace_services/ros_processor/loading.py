"""Sends one file's workloads to Kruize and stores them, a few at a time.

Kruize comes first: a row in the database means that Kruize has the experiment or the interval.
"""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from headrace.contracts.ros import RosMetadata
from headrace_services.ros_processor.aggregation import Workload
from headrace_services.ros_processor.client import Key, Kruize, Sent
from headrace_services.ros_processor.experiments import Experiment, Result
from headrace_services.ros_processor.store import Ask, Cluster, RosStore

# The intervals that are processed together, about 10 MB.
_BATCH_INTERVALS: Final = 2000
_BATCH_WORKLOADS: Final = 500
_SHOWN_REASONS: Final = 3


@dataclass
class Tally:
    """The counts of a message, over its files."""

    workloads: set[str] = field(default_factory=set)
    containers: set[tuple[str, str]] = field(default_factory=set)
    intervals: int = 0
    known: int = 0
    new_rows: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    def text(self) -> str:
        """Return ``3 workloads, 5 containers, 101 intervals sent; 1 row dropped: no owner``."""
        counted = [(len(self.workloads), "workload"), (len(self.containers), "container")]
        shown = [_count(number, word) for number, word in counted if number or word == "workload"]
        sent = f"{', '.join(shown)}, {_count(self.intervals, 'interval')} sent"
        if self.known:
            sent += f" ({self.known} already known to Kruize)"
        parts = [sent]
        if self.dropped:
            reasons = "; ".join(
                f"{_count(number, 'row')} dropped: {why}" for why, number in self.dropped.items()
            )
            parts.append(reasons)
        if self.refused:
            parts.append(self.refusals())
        return "; ".join(parts)

    def refusals(self) -> str:
        """Return what Kruize refused, with the most frequent reasons."""
        shown = [f"{number} times {why!r}" for why, number in self.refused.most_common(_SHOWN_REASONS)]
        more = len(self.refused) - len(shown)
        return f"{_count(self.refused.total(), 'interval')} refused: {', '.join(shown)}" + (
            f" and {more} more reasons" if more else ""
        )


@dataclass(frozen=True)
class Loader:
    """Processes workloads of one cluster, of all files of a message; ``asks`` are by experiment name."""

    kruize: Kruize
    store: RosStore
    metadata: RosMetadata
    reported_at: datetime
    cluster: Cluster
    tally: Tally
    asks: dict[str, Ask]

    async def load(self, workloads: AsyncIterator[Workload]) -> None:
        """Process every workload of a file."""
        batch: list[Experiment] = []
        intervals = 0
        async for workload in workloads:
            batch.append(Experiment.of(self.metadata, workload))
            intervals += len(workload.records)
            if intervals >= _BATCH_INTERVALS or len(batch) >= _BATCH_WORKLOADS:
                await self._load(batch)
                batch, intervals = [], 0
        if batch:
            await self._load(batch)

    async def _load(self, batch: Sequence[Experiment]) -> None:
        fit = self._without_faulty(batch)
        known = await self.store.known(self.cluster, [experiment.name for experiment in fit])
        made = await self._create([experiment for experiment in fit if experiment.name not in known])
        results = [
            Result(experiment, record)
            for experiment in fit
            if experiment.name in known or experiment.name in made
            for record in experiment.workload.records
        ]
        accepted = await self._send(results)
        if not accepted:
            return
        stored = await self.store.save(self.cluster, accepted, self.reported_at)
        self.tally.new_rows += stored.new_rows
        for result in accepted:
            self._ask(result, stored.ids)

    def _without_faulty(self, batch: Sequence[Experiment]) -> list[Experiment]:
        fit = []
        for experiment in batch:
            if fault := experiment.fault:
                self._refuse(experiment, fault)
            else:
                fit.append(experiment)
        return fit

    async def _create(self, experiments: Sequence[Experiment]) -> set[str]:
        """Create experiments; return the names of those that Kruize has now."""
        refused = await self.kruize.create(experiments)
        for experiment in experiments:
            if experiment.name in refused:
                self._refuse(experiment, refused[experiment.name])
        return {experiment.name for experiment in experiments} - refused.keys()

    async def _send(self, results: Sequence[Result]) -> list[Result]:
        """Send results; return those that Kruize has now, whether new or not."""
        sent = await self.kruize.send(results)
        if sent.unknown:
            # The database has a row for these experiments, but Kruize has lost them.
            again = [result for result in results if result.experiment.name in sent.unknown]
            lost = {result.experiment.name: result.experiment for result in again}
            refused = await self.kruize.create(list(lost.values()))
            results_again = [result for result in again if result.experiment.name not in refused]
            sent = _merged(sent, results_again, await self.kruize.send(results_again))
        self.tally.intervals += len(results) - len(sent.refused)
        self.tally.known += len(sent.known)
        self.tally.refused.update(sent.refused.values())
        return [result for result in results if result.key not in sent.refused]

    def _refuse(self, experiment: Experiment, reason: str) -> None:
        self.tally.refused[reason] += len(experiment.workload.records)

    def _ask(self, result: Result, ids: Mapping[str, int]) -> None:
        experiment = result.experiment
        self.tally.workloads.add(experiment.name)
        self.tally.containers.update(
            (experiment.name, usage.name) for usage in result.record.containers if usage.name
        )
        before = self.asks.get(experiment.name)
        if before is None or before.until < result.end:
            self.asks[experiment.name] = Ask(ids[experiment.name], experiment.workload.kind, result.end)


def _merged(first: Sent, results: Sequence[Result], second: Sent) -> Sent:
    """Return the outcome after some intervals were sent again."""
    again: set[Key] = {result.key for result in results}
    refused = {key: reason for key, reason in first.refused.items() if key not in again}
    return Sent(known=first.known | second.known, refused=refused | second.refused)


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
