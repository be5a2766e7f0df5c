"""``/updateResults``: checks each record, stores the valid ones, and reports the errors of the others."""

import asyncio
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from headrace_services.kruize import metrics, packing
from headrace_services.kruize.cache import ExperimentCache
from headrace_services.kruize.experiments import MAX_NAME_BYTES, Experiment
from headrace_services.kruize.refusals import JSON_ERROR, NO_EXPERIMENT, Refused, error_body
from headrace_services.kruize.settings import KruizeSettings
from headrace_services.kruize.store import ExperimentStore, ResultStore, Row
from headrace_services.kruize.validation import BadRecord, Record, checked

# The keys of a record that identify it in errors.
_SHOWN_CHARACTERS: Final = {
    "interval_start_time": 100,
    "interval_end_time": 100,
    "version": 100,
    "experiment_name": MAX_NAME_BYTES,
}
DUPLICATE: Final = "An entry for this record already exists!"
# With more containers the checks take so long that a thread does them.
_MANY_CONTAINERS: Final = 500

_Outcome = Record | BadRecord


class Results:
    """Accepts records."""

    def __init__(
        self,
        experiments: ExperimentStore,
        cache: ExperimentCache,
        results: ResultStore,
        settings: KruizeSettings,
    ) -> None:
        self._experiments = experiments
        self._cache = cache
        self._results = results
        self._settings = settings

    async def update(self, body: Any) -> None:
        """Store the valid records; raises `Refused` with the others."""
        records = self._records(body)
        errors: dict[int, dict[str, Any]] = {}
        # A second attempt, for records whose cached experiment another replica has deleted or created again.
        pending = await self._store(records, range(len(records)), errors)
        for number in await self._store(records, pending, errors) if pending else ():
            errors[number] = error_body(400, f"{NO_EXPERIMENT}{records[number].get('experiment_name')}")
        duplicates = sum(error["httpcode"] == HTTPStatus.CONFLICT for error in errors.values())
        metrics.RECORDS.labels("stored").inc(len(records) - len(errors))
        metrics.RECORDS.labels("duplicate").inc(duplicates)
        metrics.RECORDS.labels("refused").inc(len(errors) - duplicates)
        if errors:
            raise Refused(
                f"Out of a total of {len(records)} records, {len(errors)} failed to save",
                data=[_failed(records[number], error) for number, error in sorted(errors.items())],
            )

    def _records(self, body: Any) -> Sequence[Mapping[str, Any]]:
        if not isinstance(body, list) or not body or not all(isinstance(item, dict) for item in body):
            raise Refused(JSON_ERROR)
        limit = self._settings.bulk_results_limit
        if len(body) > limit:
            raise Refused(
                f"At present, the system does not support bulk entries exceeding {limit} in quantity!"
            )
        return body

    async def _store(
        self, records: Sequence[Mapping[str, Any]], numbers: Sequence[int], errors: dict[int, dict[str, Any]]
    ) -> list[int]:
        """Store records and fill in ``errors``; return those whose experiment was deleted after it was looked up."""
        chosen = [records[number] for number in numbers]
        names = {name for record in chosen if isinstance(name := record.get("experiment_name"), str)}
        experiments = await self._cache.of(names)
        if _containers_in(chosen) > _MANY_CONTAINERS:
            outcomes = await asyncio.to_thread(self._checked, chosen, experiments)
        else:
            outcomes = self._checked(chosen, experiments)
        good: dict[int, Record] = {}
        for number, outcome in zip(numbers, outcomes, strict=True):
            if isinstance(outcome, Record):
                good[number] = outcome
            else:
                errors[number] = error_body(400, str(outcome))
        experiments |= await self._numbered(good.values())
        return await self._add(good, experiments, errors)

    def _checked(
        self, records: Sequence[Mapping[str, Any]], experiments: Mapping[str, Experiment]
    ) -> list[_Outcome]:
        outcomes: list[_Outcome] = []
        for record in records:
            try:
                outcomes.append(checked(record, experiments, max_containers=self._settings.max_containers))
            except BadRecord as error:
                outcomes.append(error)
        return outcomes

    async def _numbered(self, records: Any) -> dict[str, Experiment]:
        """Number new containers of these experiments; return the experiments, read again."""
        images: dict[str, dict[str, str | None]] = {}
        ids: dict[str, int] = {}
        for record in records:
            experiment = record.experiment
            for container in record.containers:
                if container.name not in experiment.numbers:
                    ids[experiment.experiment_name] = experiment.id
                    images.setdefault(experiment.experiment_name, {})[container.name] = container.image
        for name, new in images.items():
            await self._experiments.add_containers(ids[name], new)
            self._cache.forget(name)
        return await self._cache.of(images) if images else {}

    async def _add(
        self,
        good: Mapping[int, Record],
        experiments: Mapping[str, Experiment],
        errors: dict[int, dict[str, Any]],
    ) -> list[int]:
        rows: dict[tuple[Any, ...], tuple[int, Row]] = {}
        gone = []
        for number, record in good.items():
            row = _row(record, experiments.get(record.experiment.experiment_name))
            if row is None:
                gone.append(number)
            elif row.key in rows:
                errors[number] = error_body(HTTPStatus.CONFLICT, DUPLICATE)
            else:
                rows[row.key] = (number, row)
        if not rows:
            return gone
        added = await self._results.add([row for _, row in rows.values()])
        for key, (number, row) in rows.items():
            if row.experiment not in added.experiments:
                self._cache.forget(good[number].experiment.experiment_name)
                gone.append(number)
            elif key not in added.stored:
                errors[number] = error_body(HTTPStatus.CONFLICT, DUPLICATE)
        return gone


def _row(record: Record, experiment: Experiment | None) -> Row | None:
    """Return the row; None if the record was checked against an experiment that has been replaced."""
    if experiment is None or experiment.id != record.experiment.id:
        return None
    numbers = experiment.numbers
    if any(container.name not in numbers for container in record.containers):
        return None
    chunks = b"".join(packing.chunk(numbers[item.name], item.packed) for item in record.containers)
    return Row(experiment.id, record.end, record.start, chunks)


def _containers_in(records: Sequence[Mapping[str, Any]]) -> int:
    return sum(
        len(containers)
        for record in records
        if isinstance(objects := record.get("kubernetes_objects"), list)
        for item in objects
        if isinstance(item, dict) and isinstance(containers := item.get("containers"), list)
    )


def _failed(record: Mapping[str, Any], error: dict[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {
        name: value[:limit]
        for name, limit in _SHOWN_CHARACTERS.items()
        if isinstance(value := record.get(name), str)
    }
    return shown | {"errors": [error]}
