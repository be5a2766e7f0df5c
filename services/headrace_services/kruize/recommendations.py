"""The recommendations of one container or namespace, by the rules in docs/kruize.md.

Source: kruize/autotune (ContainerRecommendationProcessor and its siblings, RecommendationUtils.getCurrentValue,
design/MonitoringModeAPI.md).
"""

from typing import Any, Final

import numpy as np

from headrace.contracts.kruize import (
    CPU_LIMIT,
    CPU_REQUEST,
    MEMORY_LIMIT,
    MEMORY_REQUEST,
    NAMESPACE_CPU_LIMIT,
    NAMESPACE_CPU_REQUEST,
    NAMESPACE_MEMORY_LIMIT,
    NAMESPACE_MEMORY_REQUEST,
    RESOURCES,
    SECTIONS,
    Code,
    Metric,
    Resource,
    Section,
)
from headrace.contracts.ros import ExperimentType
from headrace_services.kruize.engines import (
    DEFAULT_THRESHOLD_PERCENT,
    ENGINES,
    Config,
    Window,
    recommendation_of,
)
from headrace_services.kruize.notifications import notifications
from headrace_services.kruize.plots import plots as plots_of
from headrace_services.kruize.plots import timestamps
from headrace_services.kruize.series import UNITS, Series
from headrace_services.kruize.terms import TERMS, Term, duration_hours, terms_with_enough_data
from headrace_services.kruize.usage import Usage, usage_of, whole_pods

VERSION: Final = "1.0"
_METRICS: Final[dict[ExperimentType, dict[tuple[Resource, Section], Metric]]] = {
    "container": {
        ("cpu", "requests"): CPU_REQUEST,
        ("cpu", "limits"): CPU_LIMIT,
        ("memory", "requests"): MEMORY_REQUEST,
        ("memory", "limits"): MEMORY_LIMIT,
    },
    "namespace": {
        ("cpu", "requests"): NAMESPACE_CPU_REQUEST,
        ("cpu", "limits"): NAMESPACE_CPU_LIMIT,
        ("memory", "requests"): NAMESPACE_MEMORY_REQUEST,
        ("memory", "limits"): NAMESPACE_MEMORY_LIMIT,
    },
}
_UNSET: Final[dict[tuple[Resource, Section], Code]] = {
    ("cpu", "requests"): Code.CPU_REQUEST_UNSET,
    ("cpu", "limits"): Code.CPU_LIMIT_UNSET,
    ("memory", "requests"): Code.MEMORY_REQUEST_UNSET,
    ("memory", "limits"): Code.MEMORY_LIMIT_UNSET,
}
_AMOUNT_MISSING: Final[dict[Resource, Code]] = {
    "cpu": Code.CPU_AMOUNT_MISSING,
    "memory": Code.MEMORY_AMOUNT_MISSING,
}
_AMOUNT_INVALID: Final[dict[Resource, Code]] = {
    "cpu": Code.CPU_AMOUNT_INVALID,
    "memory": Code.MEMORY_AMOUNT_INVALID,
}
_FORMAT_INVALID: Final[dict[Resource, Code]] = {
    "cpu": Code.CPU_FORMAT_INVALID,
    "memory": Code.MEMORY_FORMAT_INVALID,
}


def recommend(
    series: Series, *, threshold_percent: float | None = DEFAULT_THRESHOLD_PERCENT, plots: bool = True
) -> dict[str, Any]:
    """Return the ``recommendations`` object, ready for JSON.

    ``series``: all loaded intervals, ordered by end, not empty; of intervals with the same end the last counts.
    ``threshold_percent``: a change of at most this many percent counts as none; ``None`` or at most 0 is the default.
    """
    series = series.with_distinct_ends()
    enough = terms_with_enough_data(series.ends_ms)
    if not enough:
        return {"version": VERSION, "notifications": notifications([Code.NOT_ENOUGH_DATA]), "data": {}}
    threshold = (
        threshold_percent if threshold_percent and threshold_percent > 0 else DEFAULT_THRESHOLD_PERCENT
    )
    with np.errstate(all="ignore"):
        usage = usage_of(series)
        current, codes = _current(series)
        terms = _terms(series, usage, enough, current, threshold, plots=plots)
    end = timestamps([int(series.ends_ms[-1])])[0]
    codes += [term.available for term in TERMS if term.name in enough]
    moment = {
        "notifications": notifications(codes),
        "monitoring_end_time": end,
        "current": current,
        "recommendation_terms": terms,
    }
    return {"version": VERSION, "notifications": notifications([Code.AVAILABLE]), "data": {end: moment}}


def _current(series: Series) -> tuple[Config, list[Code]]:
    """Return the current amounts according to the newest interval, and their faults."""
    value = "avg" if series.kind == "container" else "sum"
    current: Config = {}
    codes: list[Code] = []
    for section in SECTIONS:
        for resource in RESOURCES:
            metric = _METRICS[series.kind][resource, section].name
            amount = float(series.column(metric, value)[-1])
            unit = UNITS[series.units[-1, series.position(metric)]]
            if np.isnan(amount):
                codes += [_UNSET[resource, section], _AMOUNT_MISSING[resource]]
            elif amount <= 0:
                codes.append(_AMOUNT_INVALID[resource])
            elif not unit:
                codes.append(_FORMAT_INVALID[resource])
            else:
                current.setdefault(section, {})[resource] = {"amount": amount, "format": unit}
    return current, codes


def _terms(
    series: Series,
    usage: Usage,
    enough: frozenset[str],
    current: Config,
    threshold_percent: float,
    *,
    plots: bool,
) -> dict[str, Any]:
    """Return the section of each term, by its name."""
    passing = [term for term in TERMS if term.name in enough]
    newest = int(series.ends_ms[-1])
    starts = timestamps([newest - term.duration_ms for term in passing])
    drawn = plots_of(series.ends_ms, usage, passing) if plots else {}
    hours = duration_hours(series)
    sections: dict[str, Any] = {
        term.name: {
            "duration_in_hours": hours[term.name],
            "notifications": notifications([Code.NOT_ENOUGH_DATA]),
        }
        for term in TERMS
    }
    for term, start in zip(passing, starts, strict=True):
        window = _window(series, usage, term)
        section = sections[term.name]
        section["notifications"] = notifications(engine.available for engine in ENGINES)
        section["monitoring_start_time"] = start
        section["recommendation_engines"] = {
            engine.name: recommendation_of(engine, window, current, threshold_percent) for engine in ENGINES
        }
        if plots:
            section["plots"] = drawn[term.name]
    return sections


def _window(series: Series, usage: Usage, term: Term) -> Window:
    """Return the intervals that end within the term, including both of its ends."""
    count = len(series)
    begin = int(np.searchsorted(series.ends_ms, series.ends_ms[-1] - term.duration_ms, side="left"))
    return Window(
        cpu_high=np.sort(usage.cpu_high[begin:]),
        cpu_unit=usage.cpu_units.first(begin, count),
        memory_highest=float(usage.memory_high[begin:].max()),
        memory_spike=float(usage.memory_spike[begin:].max()),
        memory_unit=usage.memory_units.first(begin, count),
        pods=whole_pods(float(usage.pods[begin:].max())),
    )
