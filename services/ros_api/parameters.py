"""Query parameters, checked and read into plain values. No I/O, no SQL."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from aiohttp import web
from multidict import MultiMapping

from services.ros_api.listings import Collection
from services.ros_api.units import CPU_UNITS, MEMORY_UNITS, Units

DEFAULT_LIMIT: Final = 10
UNLIMITED: Final = -1
DIRECTIONS: Final = ("asc", "desc")
FORMATS: Final = ("json", "csv")
TRUE: Final = ("1", "t", "T", "TRUE", "true", "True")
FALSE: Final = ("0", "f", "F", "FALSE", "false", "False")

_MAX_INTEGER: Final = (1 << 63) - 1
# What PostgreSQL adds up without overflow; no table has as many rows.
_MAX_ROWS: Final = 1 << 53
_SHOWN_CHARACTERS: Final = 64
_MEDIA_TYPES: Final = {"text/csv": "csv", "application/json": "json"}


def bad(text: str) -> web.HTTPBadRequest:
    """A parameter cannot be used."""
    return web.HTTPBadRequest(text=text)


def shown(value: str) -> str:
    """What was got, for a text that a person reads."""
    return value if len(value) <= _SHOWN_CHARACTERS else f"{value[:_SHOWN_CHARACTERS]}..."


@dataclass(frozen=True)
class Choice:
    """The values of one filter: any of ``include`` within or any of ``exact``, and none of ``exclude``."""

    include: tuple[str, ...] = ()
    exact: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True)
class ListParameters:
    """A listing as it was asked for; ``limit`` None is all, ``order_by`` a key of the collection's sorts."""

    limit: int | None = DEFAULT_LIMIT
    offset: int = 0
    order_by: str = "last_reported"
    descending: bool = True
    csv: bool = False
    start: datetime | None = None
    end: datetime | None = None
    choices: Mapping[str, Choice] = field(default_factory=dict)
    units: Units = field(default_factory=Units)


def read_list(
    query: MultiMapping[str],
    accept: str,
    collection: Collection,
    *,
    max_values: int,
    now: datetime | None = None,
) -> ListParameters:
    """Read a listing's parameters; with ``now``, dates default to the month so far. Raises 400."""
    _check_text(query)
    _check_filter_names(query, collection)
    start, end = _window(query, now)
    return ListParameters(
        limit=_limit(query.get("limit", "")),
        offset=max(0, _integer(query.get("offset", ""), 0)),
        order_by=_order_by(query.get("order_by", ""), collection),
        descending=_order_how(query.get("order_how", "")) == "desc",
        csv=_format(accept, query.get("format", "")) == "csv",
        start=start,
        end=end,
        choices={
            name: choice
            for name in collection.filters
            if (choice := _choice(query, name, collection, max_values)) != Choice()
        },
        units=read_units(query, memory="bytes"),
    )


def read_units(query: MultiMapping[str], *, memory: str) -> Units:
    """Read the units; ``memory`` is the default one. Raises 400."""
    cpu = query.get("cpu-unit") or "cores"
    if cpu not in CPU_UNITS:
        raise bad("invalid cpu unit")
    memory = query.get("memory-unit") or memory
    if memory not in MEMORY_UNITS:
        raise bad("invalid memory unit")
    true_units = query.get("true-units") or "false"
    if true_units not in {*TRUE, *FALSE}:
        raise bad("invalid value for true-units")
    return Units(cpu, memory, true_units in TRUE)


def _check_text(query: MultiMapping[str]) -> None:
    for name, value in query.items():
        if "\0" in value:
            raise bad(f"{shown(name)}: got a NUL character, expected text without one")


def _check_filter_names(query: MultiMapping[str], collection: Collection) -> None:
    """A misspelt filter would be one that lets everything through."""
    known = {
        spelling.format(name)
        for name in collection.filters
        for spelling in ("exclude[{}]", "filter[{}]", "filter[exact:{}]")
    }
    for name in query:
        if name.startswith(("filter[", "exclude[")) and name not in known:
            raise bad(f"{shown(name)}: no such filter, expected one of {', '.join(sorted(known))}")


def _integer(text: str, default: int) -> int:
    """A whole number as Go reads it; anything else is ``default``, on which clients rely."""
    if not re.fullmatch(r"[+-]?[0-9]{1,19}", text, re.ASCII):
        return default
    value = int(text)
    return min(value, _MAX_ROWS) if -_MAX_INTEGER - 1 <= value <= _MAX_INTEGER else default


def _limit(text: str) -> int | None:
    limit = _integer(text, DEFAULT_LIMIT)
    if limit < UNLIMITED:
        raise bad("limit cannot be less than -1")
    return None if limit == UNLIMITED else limit


def _order_by(text: str, collection: Collection) -> str:
    name = text.strip() or collection.default_sort
    if name not in collection.sorts:
        raise bad(f"invalid order_by value: {shown(name)}")
    return name


def _order_how(text: str) -> str:
    direction = text.lower() or "desc"
    if direction not in DIRECTIONS:
        raise bad(f"invalid order_how value: {shown(direction)}")
    return direction


def _format(accept: str, text: str) -> str:
    """The header decides where it names one of the two and nothing else."""
    media_type = accept.partition(";")[0].strip().lower()
    if media_type in _MEDIA_TYPES:
        return _MEDIA_TYPES[media_type]
    chosen = text.lower() or "json"
    if chosen not in FORMATS:
        raise bad(f'invalid value for format: "{shown(chosen)}"')
    return chosen


def _window(query: MultiMapping[str], now: datetime | None) -> tuple[datetime | None, datetime | None]:
    start = _day(query, "start_date")
    if start is None and now is not None:
        start = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    last = _day(query, "end_date")
    if last is None:
        return start, now
    try:
        return start, last + timedelta(days=1)
    except OverflowError:
        return start, None


def _day(query: MultiMapping[str], name: str) -> datetime | None:
    text = query.get(name, "")
    if not text:
        return None
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text, re.ASCII):
            return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        pass
    raise bad(f"invalid {name} format, use YYYY-MM-DD: got {shown(text)!r}")


def _choice(query: MultiMapping[str], name: str, collection: Collection, max_values: int) -> Choice:
    def values(*spellings: str) -> tuple[str, ...]:
        found = tuple(value for spelling in spellings for value in query.getall(spelling, []) if value)
        if len(found) > max_values:
            raise bad(f"too many {name} parameters, a maximum of {max_values} is allowed")
        if collection.filters[name].kind == "type":
            for value in found:
                _check_type(spellings[0], value, collection.types)
        return found

    include = values(name, f"filter[{name}]")
    exact, exclude = values(f"filter[exact:{name}]"), values(f"exclude[{name}]")
    for mode, others in (("exact", exact), ("include", include)):
        if set(exclude) & set(others):
            raise bad(f"exclude and {mode} cannot share values for {name}")
    # A value given both ways means the exact one.
    return Choice(tuple(value for value in include if value not in exact), exact, exclude)


def _check_type(name: str, value: str, types: tuple[str, ...]) -> None:
    if value not in types:
        raise bad(f"{name}: got {shown(value)!r}, expected one of {', '.join(types)}")
