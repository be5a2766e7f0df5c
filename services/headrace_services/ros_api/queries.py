"""Listings as SQL. Every value is an argument; what stands in the text comes from ``listings``."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from headrace.database.conditions import Where, literal
from headrace_services.ros_api.listings import Collection, Filter
from headrace_services.ros_api.parameters import Choice, ListParameters, parse_uuid
from headrace_services.ros_api.rbac import Access


@dataclass(frozen=True)
class Selection:
    """A statement for the rows, what to count (from FROM on), and the arguments of each."""

    rows: str
    rows_arguments: tuple[Any, ...]
    count: str
    count_arguments: tuple[Any, ...]


def one(collection: Collection, org_id: str, access: Access, identifier: UUID) -> tuple[str, tuple[Any, ...]]:
    """The statement and arguments for a single row."""
    where = visible(collection, org_id, access)
    where.compare(collection.id, "=", identifier)
    return f"select {collection.columns} from {collection.tables} where {where.text}", tuple(where.arguments)  # noqa: S608 -- see above


def selection(
    collection: Collection, org_id: str, access: Access, parameters: ListParameters, *, limit: int | None
) -> Selection:
    """The statements for a listing; ``limit`` None is all."""
    where = visible(collection, org_id, access)
    if parameters.start is not None:
        where.compare(collection.moment, ">=", parameters.start)
    if parameters.end is not None:
        where.compare(collection.moment, "<", parameters.end)
    for name, choice in parameters.choices.items():
        _add_choice(where, collection, collection.filters[name], choice)
    counted = tuple(where.arguments)
    direction = "desc nulls last" if parameters.descending else "asc"
    tables = f"from {collection.tables} where {where.text}"
    page = f"limit {where.place(limit)} offset {where.place(parameters.offset)}"
    order = f"order by {collection.sorts[parameters.order_by]} {direction}, {collection.id}"
    return Selection(
        rows=f"select {collection.columns} {tables} {order} {page}",
        rows_arguments=tuple(where.arguments),
        count=tables,
        count_arguments=counted,
    )


def visible(collection: Collection, org_id: str, access: Access) -> Where:
    """What belongs to the organisation and is not kept from the caller by RBAC."""
    where = Where()
    tenant = where.place(org_id)
    for column in collection.tenant:
        where.add(f"{column} = {tenant}")
    if access.clusters is not None:
        where.add(f"{collection.cluster} = any({where.place(sorted(access.clusters))})")
    if access.projects is not None:
        where.add(f"{collection.project} = any({where.place(sorted(access.projects))})")
    return where


def _add_choice(where: Where, collection: Collection, item: Filter, choice: Choice) -> None:
    if item.kind == "cluster":
        _add_clusters(where, collection, item, choice)
    elif item.kind == "array":
        _add_array(where, item.column, choice)
    else:
        wanted = []
        if choice.include:
            same = item.kind == "type"
            operator, values = ("=", list(choice.include)) if same else ("ilike", _patterns(choice.include))
            wanted.append(f"{item.column} {operator} any({where.place(values)}::text[])")
        if choice.exact:
            wanted.append(f"{item.column} = any({where.place(list(choice.exact))}::text[])")
        where.add_any(wanted)
        if choice.exclude:
            excluded = where.place(list(choice.exclude))
            where.add(f"coalesce({item.column} <> all({excluded}::text[]), true)")


def _add_array(where: Where, column: str, choice: Choice) -> None:
    wanted = []
    if choice.include:
        patterns = where.place(_patterns(choice.include))
        wanted.append(
            f"exists (select from unnest({column}) as item where item ilike any({patterns}::text[]))"
        )
    if choice.exact:
        wanted.append(f"{column} && {where.place(list(choice.exact))}::text[]")
    where.add_any(wanted)
    if choice.exclude:
        where.add(f"not coalesce({column} && {where.place(list(choice.exclude))}::text[], false)")


def _add_clusters(where: Where, collection: Collection, item: Filter, choice: Choice) -> None:
    """A value that is a UUID means the cluster of that UUID, any other one its alias."""
    wanted = []
    for values, operator in ((choice.include, "ilike"), (choice.exact, "=")):
        if values:
            uuids, aliases = _split(values)
            texts = _patterns(aliases) if operator == "ilike" else aliases
            wanted += [
                f"{collection.cluster} = any({where.place(uuids)}::text[])",
                f"{item.column} {operator} any({where.place(texts)}::text[])",
            ]
    where.add_any(wanted)
    if choice.exclude:
        uuids, aliases = _split(choice.exclude)
        where.add(
            f"({collection.cluster} <> all({where.place(uuids)}::text[])"
            f" and {item.column} <> all({where.place(aliases)}::text[]))"
        )


def _split(values: tuple[str, ...]) -> tuple[list[str], list[str]]:
    found = {value: parse_uuid(value) for value in values}
    return [str(uuid) for uuid in found.values() if uuid], [
        value for value, uuid in found.items() if not uuid
    ]


def _patterns(values: tuple[str, ...] | list[str]) -> list[str]:
    """Texts to find anywhere within, whatever they hold."""
    return [f"%{literal(value)}%" for value in values]
