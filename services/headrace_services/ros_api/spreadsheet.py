"""Recommendations as CSV: one row for each term and engine, with the numbers that the JSON shows."""

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from headrace.runtime.cells import cell
from headrace_services.ros_api.recommendations import Json, engines, part, terms
from headrace_services.ros_api.units import is_number

_ROW: Final = (
    "id", "cluster_uuid", "cluster_alias", "container", "project", "workload", "workload_type", "last_reported",
    "source_id",
)  # fmt: skip
# In the file's order: section of the JSON and resource, and how the columns name them.
_QUANTITIES: Final = (
    ("limits", "cpu", "cpu_limit"),
    ("limits", "memory", "memory_limit"),
    ("requests", "cpu", "cpu_request"),
    ("requests", "memory", "memory_request"),
)


def _columns(prefix: str) -> tuple[str, ...]:
    return tuple(f"{prefix}_{name}_{what}" for *_, name in _QUANTITIES for what in ("amount", "format"))


COLUMNS: Final = (
    *_ROW,
    *_columns("current"),
    "monitoring_end_time",
    "recommendation_term",
    "duration_in_hours",
    "monitoring_start_time",
    "recommendation_type",
    *_columns("config"),
    *_columns("variation"),
)


def header() -> bytes:
    """The first line."""
    return _lines([COLUMNS])


def lines(items: Iterable[Json]) -> bytes:
    """The lines of recommendations as the JSON list shows them."""
    return _lines(row for item in items for row in _rows(item))


def _lines(rows: Iterable[Iterable[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _rows(item: Json) -> Iterator[list[str]]:
    recommendation = part(item, "recommendations")
    about = [cell(str(item[name] or "")) for name in _ROW]
    current = _quantities(part(recommendation, "current"))
    end = _time(recommendation.get("monitoring_end_time"))
    for term_name, term in terms(recommendation):
        hours = _number(term.get("duration_in_hours"))
        start = _time(term.get("monitoring_start_time"))
        for engine_name, engine in engines(term):
            yield [
                *about,
                *current,
                end,
                cell(term_name),
                hours,
                start,
                cell(engine_name),
                *_quantities(part(engine, "config")),
                *_quantities(part(engine, "variation"), unit="percent"),
            ]


def _quantities(config: Json, *, unit: str = "") -> list[str]:
    """Amounts and formats; ``unit`` is the format of an amount that is missing."""
    found = []
    for section, resource, _name in _QUANTITIES:
        quantity = part(part(config, section), resource)
        found += [_number(quantity.get("amount")), cell(str(quantity.get("format", unit)))]
    return found


def _number(value: Any) -> str:
    """Digits without an exponent; empty where there is no number."""
    return format(Decimal(str(value)), "f") if is_number(value) else ""


def _time(value: Any) -> str:
    """``2023-06-03 00:45:00 +0000 UTC``, upstream's form in this file."""
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return cell(str(value or ""))
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} +0000 UTC"
