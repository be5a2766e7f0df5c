"""Query parameters of the two listings, as SQL conditions. No I/O."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from headrace.database.conditions import Where
from headrace.web.parameters import Choice, Integer, Moment, Parameter, Text
from headrace_services.payload_tracker.models import parse_date

_OPERATORS: Final = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
_MOMENT: Final = Moment(parse_date)

PAGE: Final = Parameter("page", Integer(0, 1_000_000), 0)
PAGE_SIZE: Final = Parameter("page_size", Integer(1, 1000), 10)
DIRECTION: Final = Parameter("sort_dir", Choice(("asc", "desc")), "desc")
VERBOSITY: Final = Parameter("verbosity", Integer(0, 2), 0, "higher values omit more fields")


@dataclass(frozen=True)
class Order:
    """What rows are sorted by: a column, then the id, both in one direction."""

    column: str
    id: str
    direction: str

    @property
    def text(self) -> str:
        """The text after ORDER BY: with the id in it, pages neither overlap nor miss a row."""
        return f"{self.column} {self.direction}, {self.id} {self.direction}"


@dataclass(frozen=True)
class Sorting:
    """What rows can be sorted by, parameter value to column; the id settles ties."""

    columns: Mapping[str, str]
    default: str
    id: str

    @property
    def parameter(self) -> Parameter[str]:
        """Which column."""
        return Parameter("sort_by", Choice(tuple(self.columns)), self.default)

    @property
    def parameters(self) -> tuple[Parameter[Any], ...]:
        """All of a query."""
        return self.parameter, DIRECTION

    def read(self, query: Mapping[str, str]) -> "Order":
        """The order asked for. Raises `BadParameter`."""
        return Order(self.columns[self.parameter.read(query)], self.id, DIRECTION.read(query))


@dataclass(frozen=True)
class Shape:
    """What one listing can be filtered and sorted by: parameter name to column."""

    texts: Mapping[str, str]
    moments: Mapping[str, str]
    sorting: Sorting
    # The tracker keeps these in lower case.
    folded: frozenset[str] = frozenset()

    @property
    def parameters(self) -> tuple[Parameter[Any], ...]:
        """All of a query."""
        texts = (parameter for parameter, _, _ in self._texts())
        moments = (parameter for parameter, _, _ in self._moments())
        return PAGE, PAGE_SIZE, *self.sorting.parameters, *texts, *moments

    def _texts(self) -> Iterator[tuple[Parameter[str], str, str]]:
        for name, column in self.texts.items():
            yield Parameter(name, Text(), ""), column, "="

    def _moments(self) -> Iterator[tuple[Parameter[datetime | None], str, str]]:
        """``created_at_lt`` and so on."""
        for name, column in self.moments.items():
            for suffix, operator in _OPERATORS.items():
                yield Parameter(f"{name}_{suffix}", _MOMENT, None), column, operator

    def read(self, query: Mapping[str, str]) -> "Listing":
        """The listing that a query asks for. Raises `BadParameter`."""
        size = PAGE_SIZE.read(query)
        result = Listing(self.sorting.read(query), limit=size, offset=PAGE.read(query) * size)
        for parameter, column, operator in self._texts():
            if text := parameter.read(query):
                result.where.compare(
                    column, operator, text.lower() if parameter.name in self.folded else text
                )
        for moments, column, operator in self._moments():
            if moment := moments.read(query):
                result.where.compare(column, operator, moment)
        return result


@dataclass
class Listing:
    """A filtered, sorted page."""

    order: Order
    limit: int
    offset: int
    where: Where = field(default_factory=Where)


PAYLOADS: Final = Shape(
    texts={name: name for name in ("account", "org_id", "inventory_id", "system_id")},
    moments={"created_at": "created_at"},
    sorting=Sorting(
        {name: name for name in ("created_at", "account", "org_id", "inventory_id", "system_id")},
        "created_at",
        "id",
    ),
)
STATUSES: Final = Shape(
    texts={"service": "s.name", "source": "o.name", "status": "w.name", "status_msg": "t.status_msg"},
    moments={"date": "t.date", "created_at": "t.created_at"},
    sorting=Sorting(
        {
            "created_at": "t.created_at",
            "date": "t.date",
            "service": "s.name",
            "source": "coalesce(o.name, '')",
            "request_id": "p.request_id",
            "status": "w.name",
            "status_msg": "t.status_msg",
        },
        "date",
        "t.id",
    ),
    folded=frozenset({"service", "source", "status"}),
)
# The statuses of one payload.
PAYLOAD_SORTING: Final = Sorting(
    {
        name: STATUSES.sorting.columns[name]
        for name in ("date", "service", "source", "status_msg", "created_at")
    },
    "date",
    "t.id",
)
