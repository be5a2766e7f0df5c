"""Query parameters of the lists, as SQL conditions. No I/O."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from services.sources_api.errors import Invalid
from services.sources_api.models import Kind, Resource, moment_of

DEFAULT_LIMIT: Final = 100
# A larger limit is answered as this one; the answer's meta says so.
MAX_LIMIT: Final = 1000
MAX_OFFSET: Final = 2**53
# More values or conditions than this are no question but a load.
MAX_PARAMETERS: Final = 200
DIRECTIONS: Final = ("asc", "desc")

_COMPARISONS: Final = {"not_eq": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_NULLS: Final = {"nil": "is null", "not_nil": "is not null"}
_PATTERNS: Final = {"contains": "%{}%", "starts_with": "{}%", "ends_with": "%{}"}
_FOLDED: Final = frozenset(f"{name}_i" for name in ("eq", "not_eq", *_PATTERNS))
OPERATIONS: Final = ("eq", *_COMPARISONS, *_NULLS, *_PATTERNS, *sorted(_FOLDED))
_ALWAYS: Final = frozenset({"eq", "not_eq", *_NULLS})
_ORDERED: Final = frozenset({"gt", "gte", "lt", "lte"})
_TEXTUAL: Final = frozenset(_PATTERNS) | _FOLDED
_BY_KIND: Final = {
    Kind.ID: _ALWAYS | _ORDERED,
    Kind.INTEGER: _ALWAYS | _ORDERED,
    Kind.MOMENT: _ALWAYS | _ORDERED,
    Kind.BOOLEAN: _ALWAYS,
    Kind.TEXT: _ALWAYS | _ORDERED | _TEXTUAL,
    # As its text: what is within cannot be asked for.
    Kind.JSON: _ALWAYS | _TEXTUAL,
}
_KEY: Final = re.compile(r"filter((?:\[[a-z_]+\]){1,3})(?:\[\])?")
_SORT: Final = re.compile(r"([a-z_]+)(?:[: ]([A-Za-z]+))?")


@dataclass
class Listing:
    """A filtered, sorted page: ``conditions`` use the places ``$1`` ... of ``arguments``."""

    resource: Resource
    order: str = "id asc"
    limit: int = DEFAULT_LIMIT
    offset: int = 0
    conditions: list[str] = field(default_factory=list)
    arguments: list[Any] = field(default_factory=list)

    def place(self, value: Any) -> str:
        """The placeholder of one more argument."""
        self.arguments.append(value)
        return f"${len(self.arguments)}"

    @property
    def where(self) -> str:
        """The WHERE clause."""
        return " and ".join(self.conditions) or "true"


def listing(query: Iterable[tuple[str, str]], resource: Resource) -> Listing:
    """Read a list's parameters; raises `Invalid` naming the one that cannot be used."""
    result = Listing(resource)
    filters: dict[str, list[str]] = {}
    sorts: list[str] = []
    for count, (name, value) in enumerate(query, 1):
        if count > MAX_PARAMETERS:
            raise Invalid(f"more than {MAX_PARAMETERS} query parameters")
        if name == "limit":
            result.limit = min(_integer(name, value, low=1), MAX_LIMIT)
        elif name == "offset":
            result.offset = _integer(name, value, low=0, high=MAX_OFFSET)
        elif name == "sort_by":
            sorts += value.split(",")
        else:
            filters.setdefault(name.removesuffix("[]"), []).append(value)
    result.order = _order(sorts, resource)
    for name, values in filters.items():
        _filter(result, name, values)
    return result


def links(path: str, query: Iterable[tuple[str, str]], page: Listing, count: int) -> dict[str, str]:
    """Where the other pages are."""
    kept = [(name, value) for name, value in query if name not in {"limit", "offset"}]

    def link(offset: int) -> str:
        return f"{path}?{urlencode([*kept, ('limit', page.limit), ('offset', offset)])}"

    found = {"first": link(0), "last": link(max(0, count - 1) // page.limit * page.limit)}
    if page.offset:
        found["prev"] = link(max(0, page.offset - page.limit))
    if page.offset + page.limit < count:
        found["next"] = link(page.offset + page.limit)
    return found


def _order(sorts: list[str], resource: Resource) -> str:
    """The id settles ties, so that pages neither overlap nor miss a row."""
    terms = []
    for sort in sorts:
        match = _SORT.fullmatch(sort.strip())
        direction = (match[2] or "asc").lower() if match else ""
        if match is None or match[1] not in resource.fields or direction not in DIRECTIONS:
            raise Invalid(
                f"sort_by: got {sort[:64]!r}, expected a field of {resource.table}, then :asc or :desc"
            )
        terms.append(f'"{match[1]}" {direction}')
    return ", ".join([*terms, "id asc"])


def _filter(page: Listing, name: str, values: list[str]) -> None:
    if "\0" in name or any("\0" in value for value in values):
        raise Invalid("a query parameter has a NUL character")
    resource, path = page.resource, _path(name)
    related = resource.related.get(path[0]) if len(path) > 1 else None
    if related is None:
        page.conditions.append(_condition(page, resource, path, name, values))
        return
    target, column = related
    within = _condition(page, target, path[1:], name, values)
    page.conditions.append(f"{column} in (select id from {target.table} where {within})")  # noqa: S608 -- our names


def _path(name: str) -> list[str]:
    """``filter[a][b]`` is a, b; any other parameter is a field's own name."""
    if match := _KEY.fullmatch(name):
        return match[1][1:-1].split("][")
    return [name]


def _condition(page: Listing, resource: Resource, path: list[str], name: str, values: list[str]) -> str:
    kind = resource.fields.get(path[0])
    operation = path[1] if len(path) > 1 else "eq"
    if kind is None or len(path) > 2:
        raise Invalid(f"{name[:64]!r} is no filter of {resource.table}")
    if operation not in _BY_KIND[kind]:
        raise Invalid(f"{name[:64]!r}: {path[0]} cannot be filtered with {operation[:64]!r}")
    column = f'"{path[0]}"::text' if kind is Kind.JSON else f'"{path[0]}"'
    if operation in _NULLS:
        return f"{column} {_NULLS[operation]}"
    if operation == "eq":
        return f"{column} = any({page.place([_value(kind, name, value) for value in values])})"
    return " and ".join(_compared(page, column, operation, _value(kind, name, value)) for value in values)


def _compared(page: Listing, column: str, operation: str, value: Any) -> str:
    if operation in _COMPARISONS:
        return f"{column} {_COMPARISONS[operation]} {page.place(value)}"
    if operation in {"eq_i", "not_eq_i"}:
        sign = "=" if operation == "eq_i" else "<>"
        return f"lower({column}) {sign} lower({page.place(value)}::text)"
    like = "ilike" if operation.endswith("_i") else "like"
    escaped = value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"{column} {like} {page.place(_PATTERNS[operation.removesuffix('_i')].format(escaped))}"


def _value(kind: Kind, name: str, value: str) -> Any:
    """As PostgreSQL wants it."""
    if kind is Kind.ID:
        return _integer(name, value, low=-(2**63), high=2**63 - 1)
    if kind is Kind.INTEGER:
        return _integer(name, value, low=-(2**31), high=2**31 - 1)
    if kind is Kind.BOOLEAN:
        if value.lower() not in {"true", "false"}:
            raise Invalid(f"{name[:64]}: got {value[:64]!r}, expected true or false")
        return value.lower() == "true"
    return _moment(name, value) if kind is Kind.MOMENT else value


def _integer(name: str, value: str, *, low: int, high: int = 2**63 - 1) -> int:
    if not re.fullmatch("-?[0-9]{1,19}", value) or not low <= int(value) <= high:
        raise Invalid(f"{name[:64]}: got {value[:64]!r}, expected a whole number from {low} to {high}")
    return int(value)


def _moment(name: str, value: str) -> datetime:
    try:
        return moment_of(value)
    except ValueError as error:
        raise Invalid(f"{name[:64]}: {error}") from None
