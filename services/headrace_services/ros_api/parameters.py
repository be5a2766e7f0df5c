"""Query parameters, declared for the document and read into plain values. No I/O, no SQL."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from multidict import MultiMapping

from headrace.web import schemas
from headrace.web.parameters import BadParameter, Custom, Parameter, Text, shown
from headrace_services.ros_api.listings import Collection
from headrace_services.ros_api.units import CPU_UNITS, MEMORY_UNITS, Units

UNLIMITED: Final = -1
_DEFAULT_LIMIT: Final = 10
_TRUE: Final = ("1", "t", "T", "TRUE", "true", "True")
_FALSE: Final = ("0", "f", "F", "FALSE", "false", "False")

_MAX_INTEGER: Final = (1 << 63) - 1
# What PostgreSQL adds up without overflow; no table has as many rows.
_MAX_ROWS: Final = 1 << 53
_MEDIA_TYPES: Final = {"text/csv": "csv", "application/json": "json"}
_UUID: Final = re.compile(
    r"[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE
)
# How a filter's parameters are spelt, and what each asks of the filter's column.
_SPELLINGS: Final = (
    ("{name}", "any of these values ({match}), or any of the exact values"),
    ("filter[{name}]", "another name of {name}"),
    ("filter[exact:{name}]", "any of these values, compared exactly"),
    ("exclude[{name}]", "none of these values; must share no value with the other filters"),
)
_MATCHES: Final = {"type": "equal", "cluster": "a UUID, or contained in the alias"}


def _integer(text: str, default: int) -> int:
    """A whole number as Go reads it; any other text means ``default``, on which clients rely."""
    if not re.fullmatch(r"[+-]?[0-9]{1,19}", text, re.ASCII):
        return default
    value = int(text)
    return min(value, _MAX_ROWS) if -_MAX_INTEGER - 1 <= value <= _MAX_INTEGER else default


def _limit(text: str) -> int:
    limit = _integer(text, _DEFAULT_LIMIT)
    if limit < UNLIMITED:
        raise BadParameter("limit cannot be less than -1")
    return limit


def _word(
    words: tuple[str, ...], refusal: str, *, default: str = "", fold: Callable[[str], str] = str
) -> Custom[str]:
    """One of a few words; ``refusal`` is upstream's text for any other one, ``fold`` makes its spellings equal."""

    def read(text: str) -> str:
        word = fold(text) or default
        if word not in words:
            raise BadParameter(refusal.format(shown(word)))
        return word

    return Custom({"type": "string", "enum": list(words)}, read)


def _day(name: str, description: str) -> Parameter[datetime | None]:
    def read(text: str) -> datetime:
        try:
            if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text, re.ASCII):
                return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError:
            pass
        raise BadParameter(f"invalid {name} format, use YYYY-MM-DD: got {shown(text)!r}")

    return Parameter(name, Custom({"type": "string", "format": "date"}, read), None, description)


def parse_uuid(text: str) -> UUID | None:
    """The UUID that a text is, with hyphens or without."""
    return UUID(text) if _UUID.fullmatch(text) else None


def id_parameter(refusal: str) -> Parameter[UUID]:
    """The id that follows in the path; ``refusal`` is upstream's text for one that is not a UUID.

    It is the rest of the path, as upstream's router has it: one with a slash at its end is no UUID.
    """

    def read(text: str) -> UUID:
        found = parse_uuid(text)
        if found is None:
            raise BadParameter(refusal)
        return found

    return Parameter("recommendation_id", Custom(schemas.UUID, read), UUID(int=0), where="path", is_rest=True)


_LIMIT: Final = Parameter(
    "limit",
    Custom({"type": "integer", "minimum": UNLIMITED}, _limit),
    _DEFAULT_LIMIT,
    "rows on a page; -1 means all rows; a text that is not a number counts as not given",
)
_OFFSET: Final = Parameter(
    "offset",
    Custom({"type": "integer"}, lambda text: max(0, _integer(text, 0))),
    0,
    "rows to skip; a negative number, or a text that is not a number, counts as 0",
)
_ORDER_HOW: Final = Parameter(
    "order_how",
    _word(("asc", "desc"), "invalid order_how value: {}", fold=str.lower),
    "desc",
    "in upper or lower case",
)
_FORMAT: Final = Parameter(
    "format",
    _word(("json", "csv"), 'invalid value for format: "{}"', fold=str.lower),
    "json",
    "used if the Accept header names neither format",
)
_CPU_UNIT: Final = Parameter("cpu-unit", _word(tuple(CPU_UNITS), "invalid cpu unit"), "cores")
_MEMORY_UNIT: Final = _word(tuple(MEMORY_UNITS), "invalid memory unit")
_TRUE_UNITS: Final = Parameter(
    "true-units",
    _word((*_TRUE, *_FALSE), "invalid value for true-units"),
    "false",
    "whether amounts use the full name of their unit (`cores`, `MiB`) instead of Kubernetes' suffix",
)


def unit_parameters(memory: str) -> tuple[Parameter[str], ...]:
    """The units of an answer; ``memory`` is the default one."""
    return _CPU_UNIT, Parameter("memory-unit", _MEMORY_UNIT, memory), _TRUE_UNITS


def read_units(query: Mapping[str, str], *, memory: str) -> Units:
    """Read the units; ``memory`` is the default one. Raises `BadParameter`."""
    cpu, memory, true_units = (parameter.read(query) for parameter in unit_parameters(memory))
    return Units(cpu, memory, true_units in _TRUE)


@dataclass(frozen=True)
class Choice:
    """The values of one filter: any of ``include`` within or any of ``exact``, and none of ``exclude``."""

    include: tuple[str, ...] = ()
    exact: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True)
class ListParameters:
    """A listing as it was asked for; ``limit`` None is all, ``order_by`` a key of the collection's sorts."""

    limit: int | None = _DEFAULT_LIMIT
    offset: int = 0
    order_by: str = "last_reported"
    descending: bool = True
    csv: bool = False
    start: datetime | None = None
    end: datetime | None = None
    choices: Mapping[str, Choice] = field(default_factory=dict)
    units: Units = field(default_factory=Units)


class Listing:
    """The parameters of one collection's listing; with ``is_of_month``, dates default to the month so far."""

    def __init__(self, collection: Collection, max_values: int, *, is_of_month: bool = False) -> None:
        self.collection = collection
        self._max_values = max_values
        self._is_of_month = is_of_month
        self._filters = {name: tuple(_filter(name, collection, max_values)) for name in collection.filters}
        sort = collection.default_sort
        self._order_by = Parameter(
            "order_by",
            _word(tuple(collection.sorts), "invalid order_by value: {}", default=sort, fold=str.strip),
            sort,
        )
        default = "; without it, the first day of this month" if is_of_month else ""
        self._start = _day("start_date", f"first day of {collection.moment.partition('.')[2]}{default}")
        self._end = _day("end_date", "last day, included")

    @property
    def parameters(self) -> tuple[Parameter[Any], ...]:
        """All of them, for the document."""
        single = (_LIMIT, _OFFSET, self._order_by, _ORDER_HOW, _FORMAT, self._start, self._end)
        return (
            *single,
            *(item for items in self._filters.values() for item in items),
            *unit_parameters("bytes"),
        )

    def read(self, query: MultiMapping[str], accept: str, now: datetime) -> ListParameters:
        """What a query asks for; raises `BadParameter`."""
        for name, value in query.items():
            if "\0" in value:
                raise BadParameter(f"{shown(name)}: got a NUL character, expected text without one")
        self._check_filter_names(query)
        start, end = self._window(query, now)
        limit = _LIMIT.read(query)
        return ListParameters(
            limit=None if limit == UNLIMITED else limit,
            offset=_OFFSET.read(query),
            order_by=self._order_by.read(query),
            descending=_ORDER_HOW.read(query) == "desc",
            csv=_format(accept, query) == "csv",
            start=start,
            end=end,
            choices={
                name: choice for name in self._filters if (choice := self._choice(query, name)) != Choice()
            },
            units=read_units(query, memory="bytes"),
        )

    def _check_filter_names(self, query: MultiMapping[str]) -> None:
        """A misspelt filter would be one that lets everything through."""
        known = {item.name for items in self._filters.values() for item in items[1:]}
        for name in query:
            if name.startswith(("filter[", "exclude[")) and name not in known:
                expected = ", ".join(sorted(known))
                raise BadParameter(f"{shown(name)}: no such filter, expected one of {expected}")

    def _window(self, query: MultiMapping[str], now: datetime) -> tuple[datetime | None, datetime | None]:
        start = self._start.read(query)
        if start is None and self._is_of_month:
            start = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        last = self._end.read(query)
        if last is None:
            return start, now if self._is_of_month else None
        try:
            return start, last + timedelta(days=1)
        except OverflowError:
            return start, None

    def _choice(self, query: MultiMapping[str], name: str) -> Choice:
        def values(*spellings: Parameter[str]) -> tuple[str, ...]:
            found = [text for item in spellings for text in query.getall(item.name, []) if text]
            if len(found) > self._max_values:
                raise BadParameter(f"too many {name} parameters, a maximum of {self._max_values} is allowed")
            return tuple(spellings[0].kind.read(text) for text in found)

        *spellings, exactly, none = self._filters[name]
        include, exact, exclude = values(*spellings), values(exactly), values(none)
        for mode, others in (("exact", exact), ("include", include)):
            if set(exclude) & set(others):
                raise BadParameter(f"exclude and {mode} cannot share values for {name}")
        # A value given both ways means the exact one.
        return Choice(tuple(value for value in include if value not in exact), exact, exclude)


def _filter(name: str, collection: Collection, max_values: int) -> Iterator[Parameter[str]]:
    filtered = collection.filters[name].kind
    for spelling, description in _SPELLINGS:
        own = spelling.format(name=name)
        refusal = f"{own}: got {{!r}}, expected one of {', '.join(collection.types)}"
        kind = _word(collection.types, refusal) if filtered == "type" else Text()
        meaning = description.format(name=name, match=_MATCHES.get(filtered, "contained"))
        yield Parameter(own, kind, "", meaning, max_values=max_values)


def _format(accept: str, query: Mapping[str, str]) -> str:
    """The header decides where it names one of the two and nothing else."""
    return _MEDIA_TYPES.get(accept.partition(";")[0].strip().lower()) or _FORMAT.read(query)
