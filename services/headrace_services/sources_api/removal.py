"""Deletes a resource and everything that belongs to it, with events in the order on which readers rely."""

from collections.abc import Sequence

from headrace.database.pool import Record
from headrace_services.sources_api import store
from headrace_services.sources_api.changes import Change
from headrace_services.sources_api.models import (
    APPLICATION_AUTHENTICATIONS,
    APPLICATIONS,
    AUTHENTICATIONS,
    ENDPOINTS,
    SOURCES,
    Resource,
)


async def remove(change: Change, resource: Resource, row_id: int) -> None:
    """Delete the resource; raises `NotFound`.

    Links go first, then applications, endpoints and the source, authentications last.
    """
    row = await change.find(resource, row_id)
    gone = await _below(change, resource, row)
    authentications = await _authentications(change, gone)
    links = await _links(change, gone[APPLICATIONS.table], authentications)
    order = (
        (APPLICATION_AUTHENTICATIONS, links),
        (APPLICATIONS, gone[APPLICATIONS.table]),
        (ENDPOINTS, gone[ENDPOINTS.table]),
        (SOURCES, gone[SOURCES.table]),
        (AUTHENTICATIONS, authentications),
    )
    for kind, rows in order:
        change.tell("destroy", kind, *rows)
    # Authentications refer to their source.
    for kind, rows in (order[0], order[4], *order[1:4]):
        await store.delete(change.connection, kind, change.tenant.id, [found["id"] for found in rows])


async def _below(change: Change, resource: Resource, row: Record) -> dict[str, Sequence[Record]]:
    gone: dict[str, Sequence[Record]] = {
        kind.table: [row] if kind is resource else []
        for kind in (SOURCES, APPLICATIONS, ENDPOINTS, AUTHENTICATIONS)
    }
    if resource is SOURCES:
        for kind in (APPLICATIONS, ENDPOINTS):
            gone[kind.table] = await store.matching(
                change.connection, kind, change.tenant.id, "source_id", [row["id"]]
            )
    return gone


async def _authentications(change: Change, gone: dict[str, Sequence[Record]]) -> list[Record]:
    """Return the authentications of the deleted rows, and the authentications of these."""
    found = {row["id"]: row for row in gone[AUTHENTICATIONS.table]}
    holders = [
        (kind.event, [row["id"] for row in gone[kind.table]])
        for kind in (SOURCES, APPLICATIONS, ENDPOINTS, AUTHENTICATIONS)
    ]
    while any(ids for _, ids in holders):
        new: dict[int, Record] = {}
        for event, ids in holders:
            rows = await store.matching(
                change.connection, AUTHENTICATIONS, change.tenant.id, "resource_id", ids
            )
            new |= {
                row["id"]: row for row in rows if row["resource_type"] == event and row["id"] not in found
            }
        found |= new
        holders = [(AUTHENTICATIONS.event, list(new))]
    return list(found.values())


async def _links(
    change: Change, applications: Sequence[Record], authentications: Sequence[Record]
) -> list[Record]:
    found: dict[int, Record] = {}
    for column, rows in (("application_id", applications), ("authentication_id", authentications)):
        links = await store.matching(
            change.connection,
            APPLICATION_AUTHENTICATIONS,
            change.tenant.id,
            column,
            [row["id"] for row in rows],
        )
        found |= {link["id"]: link for link in links}
    return [found[link_id] for link_id in sorted(found)]
