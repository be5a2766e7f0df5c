"""``/listExperiments`` and ``/listRecommendations``, read in pages so that memory does not grow with the data."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import orjson

from headrace.contracts.kruize import VALUES, timestamp
from headrace.web.parameters import BadParameter, Custom, Parameter
from headrace.web.schemas import BOOLEAN
from headrace_services.kruize import packing
from headrace_services.kruize.experiments import EVERYTHING, Experiment, Wanted
from headrace_services.kruize.experiments import shown as shown_experiment
from headrace_services.kruize.handlers import by_container, merged
from headrace_services.kruize.handlers import shown as shown_recommendations
from headrace_services.kruize.parameters import moment_parameter, text_parameter
from headrace_services.kruize.refusals import Refused
from headrace_services.kruize.series import METRICS, UNITS, Series
from headrace_services.kruize.store import ExperimentStore, ResultStore

_PAGE: Final = 200
# The most documents of one experiment: 15 days with one per interval.
_MAX_DOCUMENTS: Final = 1440
_FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(9999, 1, 1, tzinfo=UTC)


def _flag(text: str) -> bool:
    if text not in {"true", "false"}:
        raise ValueError(f"got {text!r}, must be true or false")
    return text == "true"


NAME: Final = text_parameter("experiment_name")
_RESULTS, _RECOMMENDATIONS, _LATEST, _RM = (
    Parameter(name, Custom(BOOLEAN, _flag), default)
    for name, default in {"results": False, "recommendations": False, "latest": True, "rm": False}.items()
)
QUESTION: Final = (NAME, _RESULTS, _RECOMMENDATIONS, _LATEST, _RM)


@dataclass(frozen=True)
class Question:
    """The query of ``/listExperiments``; without a ``name`` it lists every experiment that is ``wanted``."""

    name: str | None
    results: bool
    recommendations: bool
    latest: bool
    wanted: Wanted = EVERYTHING

    @classmethod
    def of(cls, parameters: Mapping[str, str], wanted: Wanted = EVERYTHING) -> "Question":
        """Read the query; raises `Refused`."""
        unknown = sorted(set(parameters) - {parameter.name for parameter in QUESTION})
        if unknown:
            raise Refused(f'The query param(s) - " [{", ".join(unknown)}] " is/are invalid')
        try:
            _RM.read(parameters)
            return cls(
                name=NAME.read(parameters),
                results=_RESULTS.read(parameters),
                recommendations=_RECOMMENDATIONS.read(parameters),
                latest=_LATEST.read(parameters),
                wanted=wanted,
            )
        except BadParameter:
            raise Refused("The query param value(s) is/are invalid") from None


class Listing:
    """Reads for the lists; each item is JSON."""

    def __init__(self, experiments: ExperimentStore, results: ResultStore) -> None:
        self._experiments = experiments
        self._results = results

    async def experiments(self, question: Question) -> AsyncGenerator[bytes, None]:
        """Yield items of ``/listExperiments``; raises `Refused` for an unknown name."""
        async for page in self._pages(question.name, question.wanted):
            for experiment in page:
                yield await self._experiment(experiment, question)

    async def recommendations(
        self, name: str | None, end_text: str | None, *, latest: bool
    ) -> AsyncGenerator[bytes, None]:
        """Yield items of ``/listRecommendations``; raises `Refused` for an unknown name or time."""
        name = None if name is None else name.strip()
        end_text = (end_text or "").strip()
        any_found = False
        end = moment_parameter(end_text) if end_text and name is None else None
        async for page in self._pages(name):
            end = moment_parameter(end_text) if end_text else None
            async for item in self._recommended(page, end, latest=latest):
                any_found = True
                yield item
        if end is not None and not any_found:
            raise Refused(f'Recommendation for timestamp - " {end_text} " does not exist')

    async def _pages(
        self, name: str | None, wanted: Wanted = EVERYTHING
    ) -> AsyncGenerator[list[Experiment], None]:
        if name is not None:
            found = await self._experiments.by_name([name])
            if found and wanted != EVERYTHING:
                found = await self._experiments.page(found[0].id - 1, 1, wanted)
            if not found or found[0].experiment_name != name:
                raise Refused(f'Given experiment name - " {name} " is not valid')
            yield found
            return
        after_id = 0
        while page := await self._experiments.page(after_id, _PAGE, wanted):
            yield page
            after_id = page[-1].id

    async def _recommended(
        self, page: list[Experiment], end: datetime | None, *, latest: bool
    ) -> AsyncGenerator[bytes, None]:
        if latest or end is not None:
            documents = await self._results.recommended_of_many([each.id for each in page], end)
            for experiment in page:
                if experiment.id in documents:
                    yield documents[experiment.id].encode()
                elif end is None:
                    yield orjson.dumps(shown_recommendations(experiment, {}))
            return
        for experiment in page:
            yield orjson.dumps(await self._document(experiment, latest=False))

    async def _document(self, experiment: Experiment, *, latest: bool) -> dict[str, Any]:
        limit = 1 if latest else _MAX_DOCUMENTS
        documents = await self._results.recommended(experiment.id, None, limit)
        if not documents:
            return shown_recommendations(experiment, {})
        return await asyncio.to_thread(merged, documents)

    async def _experiment(self, experiment: Experiment, question: Question) -> bytes:
        extra: dict[str, dict[str, Any]] = {}
        if question.results:
            chunks = await self._results.measurements(experiment.id, _FIRST, _LAST, latest=question.latest)
            for name, results in (await asyncio.to_thread(_results, experiment, chunks)).items():
                extra.setdefault(name, {})["results"] = results
        if question.recommendations:
            document = await self._document(experiment, latest=question.latest)
            for name, found in by_container(document).items():
                extra.setdefault(name, {})["recommendations"] = found
        return orjson.dumps(shown_experiment(experiment, extra))


def _results(experiment: Experiment, chunks: bytes) -> dict[str, dict[str, Any]]:
    """Return the intervals of each container by their ends, newest first."""
    series = packing.unpacked(experiment.experiment_type, chunks)
    return {
        name: dict(_interval(series[number], at) for at in reversed(range(len(series[number]))))
        for name, number in experiment.numbers.items()
        if number in series
    }


def _interval(series: Series, at: int) -> tuple[str, dict[str, Any]]:
    start_ms, end_ms = int(series.starts_ms[at]), int(series.ends_ms[at])
    end = timestamp(packing.moment_of(end_ms))
    metrics = {}
    for number, metric in enumerate(METRICS[series.kind]):
        values, unit = series.values[at, number], UNITS[series.units[at, number]]
        info: dict[str, Any] = {
            name: float(value) for name, value in zip(VALUES, values, strict=True) if not np.isnan(value)
        }
        if unit:
            info["format"] = unit
        if info:
            metrics[metric.name] = {
                "name": metric.name,
                "aggregation_info": info,
                "percentile_results_available": False,
            }
    return end, {
        "metrics": metrics,
        "interval_start_time": timestamp(packing.moment_of(start_ms)),
        "interval_end_time": end,
        "duration_in_minutes": (end_ms - start_ms) / 60_000,
        "duration_in_seconds": (end_ms - start_ms) / 1000,
    }
