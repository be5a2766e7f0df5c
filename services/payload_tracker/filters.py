"""Query parameters of the two listings, as SQL conditions. No I/O."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from services.payload_tracker.models import parse_date

DIRECTIONS: Final = ("asc", "desc")
MAX_PAGE: Final = 1_000_000
MAX_PAGE_SIZE: Final = 1000
MAX_VERBOSITY: Final = 2
_OPERATORS: Final = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}


class BadParameter(ValueError):
    """A query parameter cannot be used; the text names it, what was got and what was expected."""


@dataclass(frozen=True)
class Shape:
    """What one listing can be filtered and sorted by: parameter name to column."""

    texts: Mapping[str, str]
    moments: Mapping[str, str]
    sorts: Mapping[str, str]
    id: str
    default_sort: str = "created_at"
    # The tracker keeps these in lower case.
    folded: frozenset[str] = frozenset()

    @property
    def moment_parameters(self) -> list[str]:
        """``created_at_lt`` and so on."""
        return [f"{name}_{operator}" for name in self.moments for operator in _OPERATORS]


PAYLOADS: Final = Shape(
    texts={name: name for name in ("account", "org_id", "inventory_id", "system_id")},
    moments={"created_at": "created_at"},
    sorts={name: name for name in ("created_at", "account", "org_id", "inventory_id", "system_id")},
    id="id",
)
STATUSES: Final = Shape(
    texts={"service": "s.name", "source": "o.name", "status": "w.name", "status_msg": "t.status_msg"},
    moments={"date": "t.date", "created_at": "t.created_at"},
    sorts={
        "created_at": "t.created_at",
        "date": "t.date",
        "service": "s.name",
        "source": "coalesce(o.name, '')",
        "request_id": "p.request_id",
        "status": "w.name",
        "status_msg": "t.status_msg",
    },
    id="t.id",
    default_sort="date",
    folded=frozenset({"service", "source", "status"}),
)
# The statuses of one payload.
PAYLOAD_SORTS: Final = {
    name: STATUSES.sorts[name] for name in ("date", "service", "source", "status_msg", "created_at")
}


@dataclass
class Listing:
    """A filtered, sorted page: ``conditions`` use the places ``$1`` ... of ``arguments``."""

    order: str
    limit: int
    offset: int
    conditions: list[str] = field(default_factory=list)
    arguments: list[str | datetime] = field(default_factory=list)

    def add(self, column: str, operator: str, value: str | datetime) -> None:
        """Narrow the listing."""
        self.arguments.append(value)
        self.conditions.append(f"{column} {operator} ${len(self.arguments)}")

    def restrict(self, condition: str, value: str) -> None:
        """Narrow the listing by a condition of ours; ``{0}`` is the value's place in it."""
        self.arguments.append(value)
        self.conditions.append(condition.format(f"${len(self.arguments)}"))


def listing(query: Mapping[str, str], shape: Shape) -> Listing:
    """Read a listing's parameters; an empty value counts as not given. Raises `BadParameter`."""
    page = integer(query, "page", default=0, low=0, high=MAX_PAGE)
    size = integer(query, "page_size", default=10, low=1, high=MAX_PAGE_SIZE)
    result = Listing(
        order=order(query, shape.sorts, default=shape.default_sort, id_column=shape.id),
        limit=size,
        offset=page * size,
    )
    for name, column in shape.texts.items():
        if value := text(query, name):
            result.add(column, "=", value.lower() if name in shape.folded else value)
    for name, column in shape.moments.items():
        for suffix, operator in _OPERATORS.items():
            if value := text(query, f"{name}_{suffix}"):
                result.add(column, operator, _moment(f"{name}_{suffix}", value))
    return result


def order(query: Mapping[str, str], sorts: Mapping[str, str], *, default: str, id_column: str) -> str:
    """The ORDER BY; the id settles ties, so that pages neither overlap nor miss a row."""
    column = sorts[choice(query, "sort_by", list(sorts), default)]
    direction = choice(query, "sort_dir", DIRECTIONS, "desc")
    return f"{column} {direction}, {id_column} {direction}"


def text(query: Mapping[str, str], name: str) -> str:
    """A parameter that PostgreSQL can compare; ``""`` when it is not given."""
    value = query.get(name, "")
    if "\0" in value:
        raise BadParameter(f"{name}: has a NUL character")
    return value


def choice(query: Mapping[str, str], name: str, choices: Sequence[str], default: str) -> str:
    """One of a few words."""
    value = query.get(name) or default
    if value not in choices:
        raise BadParameter(f"{name}: got {value[:64]!r}, must be one of {', '.join(choices)}")
    return value


def integer(query: Mapping[str, str], name: str, *, default: int, low: int, high: int) -> int:
    """A whole number within bounds."""
    value = query.get(name) or str(default)
    if not re.fullmatch(r"-?[0-9]{1,10}", value) or not low <= int(value) <= high:
        raise BadParameter(f"{name}: got {value[:64]!r}, must be a whole number from {low} to {high}")
    return int(value)


def _moment(name: str, value: str) -> datetime:
    try:
        return parse_date(value)
    except ValueError as error:
        raise BadParameter(f"{name}: {error}") from None
