"""Listings as SQL. Every value is an argument; what stands in the text comes from ``listings``."""

import re
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from services.ros_api.listings import Collection, Filter
from services.ros_api.parameters import Choice, ListParameters
from services.ros_api.rbac import Access

_UUID: Final = re.compile(
    r"[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE
)

# What LIKE reads as something else than itself.
_SPECIAL: Final = re.compile(r"([%_\\])")
_ESCAPED: Final = r"\\\1"


def parse_uuid(text: str) -> UUID | None:
    """The UUID that a text is, with hyphens or without."""
    return UUID(text) if _UUID.fullmatch(text) else None


@dataclass(frozen=True)
class Selection:
    """A statement for the rows, one for their number, and the arguments of each."""

    rows: str
    rows_arguments: tuple[Any, ...]
    count: str
    count_arguments: tuple[Any, ...]


@dataclass
class _Where:
    conditions: list[str] = field(default_factory=list)
    arguments: list[Any] = field(default_factory=list)

    def argument(self, value: Any) -> str:
        self.arguments.append(value)
        return f"${len(self.arguments)}"

    def add(self, condition: str) -> None:
        self.conditions.append(condition)

    def add_any(self, alternatives: list[str]) -> None:
        """One of these must hold; without any, nothing must."""
        if alternatives:
            self.add(f"({' or '.join(alternatives)})")

    @property
    def text(self) -> str:
        return " and ".join(self.conditions)


def one(collection: Collection, org_id: str, access: Access, identifier: UUID) -> tuple[str, tuple[Any, ...]]:
    """The statement and arguments for a single row."""
    where = _visible(collection, org_id, access)
    where.add(f"{collection.id} = {where.argument(identifier)}")
    return f"select {collection.columns} from {collection.tables} where {where.text}", tuple(where.arguments)  # noqa: S608 -- see above


def selection(
    collection: Collection, org_id: str, access: Access, parameters: ListParameters, *, limit: int | None
) -> Selection:
    """The statements for a listing; ``limit`` None is all."""
    where = _visible(collection, org_id, access)
    if parameters.start is not None:
        where.add(f"{collection.moment} >= {where.argument(parameters.start)}")
    if parameters.end is not None:
        where.add(f"{collection.moment} < {where.argument(parameters.end)}")
    for name, choice in parameters.choices.items():
        _add_choice(where, collection, collection.filters[name], choice)
    counted = tuple(where.arguments)
    direction = "desc nulls last" if parameters.descending else "asc"
    tables = f"from {collection.tables} where {where.text}"
    page = f"limit {where.argument(limit)} offset {where.argument(parameters.offset)}"
    order = f"order by {collection.sorts[parameters.order_by]} {direction}, {collection.id}"
    return Selection(
        rows=f"select {collection.columns} {tables} {order} {page}",
        rows_arguments=tuple(where.arguments),
        count=f"select count(*) {tables}",
        count_arguments=counted,
    )


def _visible(collection: Collection, org_id: str, access: Access) -> _Where:
    """What belongs to the organisation and is not kept from the caller by RBAC."""
    where = _Where()
    tenant = where.argument(org_id)
    for column in collection.tenant:
        where.add(f"{column} = {tenant}")
    if access.clusters is not None:
        where.add(f"{collection.cluster} = any({where.argument(sorted(access.clusters))})")
    if access.projects is not None:
        where.add(f"{collection.project} = any({where.argument(sorted(access.projects))})")
    return where


def _add_choice(where: _Where, collection: Collection, item: Filter, choice: Choice) -> None:
    if item.kind == "cluster":
        _add_clusters(where, collection, item, choice)
    elif item.kind == "array":
        _add_array(where, item.column, choice)
    else:
        wanted = []
        if choice.include:
            same = item.kind == "type"
            operator, values = ("=", list(choice.include)) if same else ("ilike", _patterns(choice.include))
            wanted.append(f"{item.column} {operator} any({where.argument(values)}::text[])")
        if choice.exact:
            wanted.append(f"{item.column} = any({where.argument(list(choice.exact))}::text[])")
        where.add_any(wanted)
        if choice.exclude:
            excluded = where.argument(list(choice.exclude))
            where.add(f"coalesce({item.column} <> all({excluded}::text[]), true)")


def _add_array(where: _Where, column: str, choice: Choice) -> None:
    wanted = []
    if choice.include:
        patterns = where.argument(_patterns(choice.include))
        wanted.append(
            f"exists (select from unnest({column}) as item where item ilike any({patterns}::text[]))"
        )
    if choice.exact:
        wanted.append(f"{column} && {where.argument(list(choice.exact))}::text[]")
    where.add_any(wanted)
    if choice.exclude:
        where.add(f"not coalesce({column} && {where.argument(list(choice.exclude))}::text[], false)")


def _add_clusters(where: _Where, collection: Collection, item: Filter, choice: Choice) -> None:
    """A value that is a UUID means the cluster of that UUID, any other one its alias."""
    wanted = []
    for values, operator in ((choice.include, "ilike"), (choice.exact, "=")):
        if values:
            uuids, aliases = _split(values)
            texts = _patterns(aliases) if operator == "ilike" else aliases
            wanted += [
                f"{collection.cluster} = any({where.argument(uuids)}::text[])",
                f"{item.column} {operator} any({where.argument(texts)}::text[])",
            ]
    where.add_any(wanted)
    if choice.exclude:
        uuids, aliases = _split(choice.exclude)
        where.add(
            f"({collection.cluster} <> all({where.argument(uuids)}::text[])"
            f" and {item.column} <> all({where.argument(aliases)}::text[]))"
        )


def _split(values: tuple[str, ...]) -> tuple[list[str], list[str]]:
    found = {value: parse_uuid(value) for value in values}
    return [str(uuid) for uuid in found.values() if uuid], [
        value for value, uuid in found.items() if not uuid
    ]


def _patterns(values: tuple[str, ...] | list[str]) -> list[str]:
    """Texts to find anywhere within, whatever they hold."""
    return [f"%{_SPECIAL.sub(_ESCAPED, value)}%" for value in values]
