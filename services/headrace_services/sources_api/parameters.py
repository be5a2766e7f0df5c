"""The id in a path, and the query parameters of lists as SQL conditions. No I/O."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, TypeVar

from aiohttp import web

from headrace.database.conditions import Where, literal
from headrace.web.parameters import BadParameter, Custom, Integer, Parameter, Text
from headrace.web.parameters import Kind as Values
from headrace.web.schemas import BOOLEAN, MOMENT, TEXT
from headrace_services.sources_api.bodies import MAX_ID
from headrace_services.sources_api.models import Kind, Resource, moment_of
from headrace_services.sources_api.refusals import Invalid

T = TypeVar("T")
# Adds the conditions for rows that belong to one row: its id, and the tenant's.
Restrict: TypeAlias = Callable[[Where, int, int], None]

DEFAULT_LIMIT: Final = 100
# A larger limit is reduced to this one, as the answer's meta shows.
MAX_LIMIT: Final = 1000
MAX_OFFSET: Final = 2**53
# The most values and conditions of one request.
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
    # JSON is filtered as text, as a whole.
    Kind.JSON: _ALWAYS | _TEXTUAL,
}
_KEY: Final = re.compile(r"filter((?:\[[a-z_]+\]){1,3})(?:\[\])?")
_SORT: Final = re.compile(r"([a-z_]+)(?:[: ]([A-Za-z]+))?")


def _whole(low: int, high: int) -> Integer:
    return Integer(low, high, verb="expected")


def _read_flag(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise ValueError(f"got {text[:64]!r}, expected true or false")
    return text.lower() == "true"


# The values that a filter on each kind of field accepts.
_VALUES: Final[Mapping[Kind, Values[Any]]] = {
    Kind.ID: _whole(-(2**63), MAX_ID),
    Kind.INTEGER: _whole(-(2**31), 2**31 - 1),
    Kind.BOOLEAN: Custom(BOOLEAN, _read_flag),
    Kind.MOMENT: Custom(MOMENT, moment_of),
    Kind.TEXT: Text(),
    Kind.JSON: Text(),
}
ID: Final = Parameter("id", Integer(1, MAX_ID), 0, where="path")
_LIMIT: Final = Parameter(
    "limit",
    _whole(1, MAX_ID),
    DEFAULT_LIMIT,
    f"more than {MAX_LIMIT} counts as {MAX_LIMIT}",
    takes_empty=True,
)
_OFFSET: Final = Parameter("offset", _whole(0, MAX_OFFSET), 0, takes_empty=True)


@dataclass
class Listing:
    """A filtered, sorted page."""

    resource: Resource
    order: str = "id asc"
    limit: int = DEFAULT_LIMIT
    offset: int = 0
    where: Where = field(default_factory=Where)


def list_parameters(resource: Resource) -> tuple[Parameter[Any], ...]:
    """Return the parameters of a resource's list; filters with an operation or relation are only described."""
    return (
        _LIMIT,
        _OFFSET,
        Parameter("sort_by", _sorting(resource), None, takes_empty=True),
        *(
            Parameter(f"filter[{name}]", _VALUES[kind], None, takes_empty=True)
            for name, kind in resource.fields.items()
        ),
    )


def row_id_of(request: web.Request) -> int:
    """Return the path's id; raises `Invalid`."""
    try:
        return ID.read(request.match_info)
    except BadParameter:
        raise Invalid("the ID must be a positive whole number") from None


def listing(query: Iterable[tuple[str, str]], resource: Resource) -> Listing:
    """Read a list's parameters; raises `Invalid` that names the wrong one."""
    result = Listing(resource)
    filters: dict[str, list[str]] = {}
    sorts: list[str] = []
    for count, (name, value) in enumerate(query, 1):
        if count > MAX_PARAMETERS:
            raise Invalid(f"more than {MAX_PARAMETERS} query parameters")
        if name == "limit":
            result.limit = min(_value(_LIMIT.kind, name, value), MAX_LIMIT)
        elif name == "offset":
            result.offset = _value(_OFFSET.kind, name, value)
        elif name == "sort_by":
            sorts.append(value)
        else:
            filters.setdefault(name.removesuffix("[]"), []).append(value)
    terms = (term for value in sorts for term in _value(_sorting(resource), "sort_by", value))
    # The id breaks ties, so that pages neither overlap nor miss a row.
    result.order = ", ".join([*terms, "id asc"])
    for name, values in filters.items():
        _filter(result, name, values)
    return result


def referring(column: str, **also: str) -> Restrict:
    """Return the restriction to rows whose ``column`` is the row's id and whose other columns have these texts."""

    def restrict(where: Where, row_id: int, _tenant_id: int) -> None:
        for name, value in {column: row_id, **also}.items():
            where.compare(name, "=", value)

    return restrict


def tied(column: str, other: str) -> Restrict:
    """Return the restriction to rows that an application of the tenant links to the row.

    ``column`` is the application's reference to them, ``other`` its reference to the row.
    """

    def restrict(where: Where, row_id: int, tenant_id: int) -> None:
        where.add(
            f"id in (select {column} from applications"  # noqa: S608 -- our names
            f" where {other} = {where.place(row_id)} and tenant_id = {where.place(tenant_id)})"
        )

    return restrict


def _sorting(resource: Resource) -> Custom[list[str]]:
    """Return fields with directions, separated by commas, as terms of ORDER BY; the schema describes only the first."""

    def read(text: str) -> list[str]:
        return [_term(resource, sort) for sort in text.split(",")]

    fields, directions = "|".join(resource.fields), "|".join(DIRECTIONS)
    return Custom({**TEXT, "pattern": f"^({fields})(:({directions}))?$"}, read)


def _term(resource: Resource, text: str) -> str:
    match = _SORT.fullmatch(text.strip())
    direction = (match[2] or "asc").lower() if match else ""
    if match is None or match[1] not in resource.fields or direction not in DIRECTIONS:
        raise ValueError(f"got {text[:64]!r}, expected a field of {resource.table}, then :asc or :desc")
    return f'"{match[1]}" {direction}'


def _filter(page: Listing, name: str, values: list[str]) -> None:
    if "\0" in name or any("\0" in value for value in values):
        raise Invalid("a query parameter contains a NUL character")
    resource, path = page.resource, _path(name)
    related = resource.related.get(path[0]) if len(path) > 1 else None
    if related is None:
        page.where.add(_condition(page.where, resource, path, name, values))
        return
    target, column = related
    within = _condition(page.where, target, path[1:], name, values)
    page.where.add(f"{column} in (select id from {target.table} where {within})")  # noqa: S608 -- our names


def _path(name: str) -> list[str]:
    """Split ``filter[a][b]`` into a, b; any other parameter is the name of a field."""
    if match := _KEY.fullmatch(name):
        return match[1][1:-1].split("][")
    return [name]


def _condition(where: Where, resource: Resource, path: list[str], name: str, values: list[str]) -> str:
    kind = resource.fields.get(path[0])
    operation = path[1] if len(path) > 1 else "eq"
    if kind is None or len(path) > 2:
        raise Invalid(f"{name[:64]!r} is not a filter of {resource.table}")
    if operation not in _BY_KIND[kind]:
        raise Invalid(f"{name[:64]!r}: {path[0]} cannot be filtered with {operation[:64]!r}")
    column = f'"{path[0]}"::text' if kind is Kind.JSON else f'"{path[0]}"'
    if operation in _NULLS:
        return f"{column} {_NULLS[operation]}"
    found = [_value(_VALUES[kind], name, value) for value in values]
    if operation == "eq":
        return f"{column} = any({where.place(found)})"
    return " and ".join(_compared(where, column, operation, value) for value in found)


def _compared(where: Where, column: str, operation: str, value: Any) -> str:
    if operation in _COMPARISONS:
        return f"{column} {_COMPARISONS[operation]} {where.place(value)}"
    if operation in {"eq_i", "not_eq_i"}:
        sign = "=" if operation == "eq_i" else "<>"
        return f"lower({column}) {sign} lower({where.place(value)}::text)"
    like = "ilike" if operation.endswith("_i") else "like"
    pattern = _PATTERNS[operation.removesuffix("_i")].format(literal(value))
    return f"{column} {like} {where.place(pattern)}"


def _value(values: Values[T], name: str, text: str) -> T:
    try:
        return values.read(text)
    except ValueError as error:
        raise Invalid(f"{name[:64]}: {error}") from None
