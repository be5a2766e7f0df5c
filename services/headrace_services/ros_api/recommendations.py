"""A stored recommendation as clients see it: units, percentages, fewer notifications, plots on demand.

Source: RedHatInsights/ros-ocp-backend, internal/api; its rules, applied to what the poller stores.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from headrace.contracts.kruize import (
    CPU_USAGE,
    ENGINES,
    MEMORY_USAGE,
    RESOURCES,
    SECTIONS,
    TERMS,
    Code,
    Resource,
)
from headrace.ros.amounts import Number, cpu_percent, memory_percent, plain, tenths
from headrace.ros.columns import percentage_column
from headrace_services.ros_api.units import Units, is_number

Json = dict[str, Any]
Percentages = Mapping[str, Any]

_SHOWN_NOTIFICATIONS: Final = frozenset(
    code.key
    for code in (
        Code.CPU_REQUEST_OPTIMISED,
        Code.CPU_LIMIT_OPTIMISED,
        Code.MEMORY_REQUEST_OPTIMISED,
        Code.MEMORY_LIMIT_OPTIMISED,
    )
)
_NO_TIME: Final = "0001-01-01T00:00:00Z"
_PLOTTED: Final = ("min", "q1", "median", "q3", "max")
_PERCENT: Final[Mapping[Resource, Callable[[Number, Number], float]]] = {
    "cpu": cpu_percent,
    "memory": memory_percent,
}


def shown(stored: Json, units: Units, percentages: Percentages, *, plots: bool) -> Json:
    """``stored``, changed in place; ``percentages`` are the row's columns of variations, None where there is none."""
    current = part(stored, "current")
    _keep_notifications(stored)
    for name, term in terms(stored):
        _keep_notifications(term)
        _clean(term)
        _show_plots(term, units, wanted=plots)
        for engine_name, engine in engines(term):
            _keep_notifications(engine)
            _show_variation(part(engine, "variation"), current, percentages, name, engine_name)
            _show_amounts(part(engine, "config"), units)
    # Last, for the percentages are of what is stored.
    _show_amounts(current, units)
    return stored


def part(parent: Json, name: str) -> Json:
    """The object of that name; an empty one where there is none."""
    found = parent.get(name)
    return found if isinstance(found, dict) else {}


def terms(recommendation: Json) -> Iterator[tuple[str, Json]]:
    """The terms that are there, shortest first."""
    found = part(recommendation, "recommendation_terms")
    yield from ((name, found[name]) for name in TERMS if isinstance(found.get(name), dict))


def engines(term: Json) -> Iterator[tuple[str, Json]]:
    """The engines that gave something for a term."""
    found = part(term, "recommendation_engines")
    yield from ((name, found[name]) for name in ENGINES if isinstance(found.get(name), dict))


def _quantities(config: Json) -> Iterator[tuple[str, Resource, Json]]:
    """The objects of requests and limits, be they empty."""
    for section in SECTIONS:
        found = part(config, section)
        yield from ((section, name, found[name]) for name in RESOURCES if isinstance(found.get(name), dict))


def _is_given(quantity: Json) -> bool:
    """An amount of 0 was stored as its format alone."""
    return is_number(quantity.get("amount")) or bool(quantity.get("format"))


def _amount(quantity: Json) -> Number:
    value = quantity.get("amount")
    return value if is_number(value) else 0


def _show_amounts(config: Json, units: Units) -> None:
    for _section, resource, quantity in _quantities(config):
        if _is_given(quantity):
            convert = units.cpu_amount if resource == "cpu" else units.memory_amount
            quantity["amount"] = convert(_amount(quantity))
            quantity["format"] = units.cpu_format if resource == "cpu" else units.memory_format


def _show_variation(variation: Json, current: Json, percentages: Percentages, term: str, engine: str) -> None:
    for section, resource, quantity in _quantities(variation):
        stored = percentages.get(percentage_column(resource, term, engine)) if section == "requests" else None
        if stored is not None:
            quantity["amount"] = plain(stored)
        elif _is_given(quantity):
            whole = _amount(part(part(current, section), resource))
            quantity["amount"] = plain(_PERCENT[resource](_amount(quantity), whole))
        else:
            continue
        quantity["format"] = "percent"


def _keep_notifications(level: Json) -> None:
    """One that clients do not show hides the others of its level."""
    if not part(level, "notifications").keys() <= _SHOWN_NOTIFICATIONS:
        del level["notifications"]


def _clean(term: Json) -> None:
    if term.get("monitoring_start_time") == _NO_TIME:
        del term["monitoring_start_time"]
    hours = term.get("duration_in_hours")
    if is_number(hours):
        term["duration_in_hours"] = plain(tenths(hours))


def _show_plots(term: Json, units: Units, *, wanted: bool) -> None:
    if not wanted:
        term.pop("plots", None)
        return
    points = part(part(term, "plots"), "plots_data")
    for point in points.values():
        if not isinstance(point, dict):
            continue
        for name, convert, unit in (
            (CPU_USAGE.name, units.cpu_amount, units.cpu_format),
            (MEMORY_USAGE.name, units.memory_amount, units.memory_format),
        ):
            usage = point.get(name)
            if not isinstance(usage, dict):
                continue
            usage.update({key: convert(_number(usage.get(key))) for key in _PLOTTED})
            if "format" in usage:
                usage["format"] = unit


def _number(value: Any) -> Number:
    return value if is_number(value) else 0
