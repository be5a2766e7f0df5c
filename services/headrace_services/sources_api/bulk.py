"""Creates sources with everything that belongs to them in one request, completely or not at all."""

from collections.abc import Mapping, Sequence
from typing import Any

from headrace.database.pool import Record
from headrace_services.sources_api import store
from headrace_services.sources_api.bodies import (
    ApplicationCreate,
    AuthenticationCreate,
    BulkApplication,
    BulkAuthentication,
    BulkCreate,
    BulkSource,
    EndpointCreate,
    SourceCreate,
)
from headrace_services.sources_api.changes import Change
from headrace_services.sources_api.models import (
    APPLICATION_AUTHENTICATIONS,
    APPLICATION_TYPES,
    APPLICATIONS,
    AUTHENTICATIONS,
    ENDPOINTS,
    HOLDERS,
    SOURCE_TYPES,
    SOURCES,
    Resource,
)
from headrace_services.sources_api.refusals import Unfit

Created = Mapping[str, Sequence[Record]]
_TOLD_IN_ORDER = (SOURCES, ENDPOINTS, APPLICATIONS, APPLICATION_AUTHENTICATIONS, AUTHENTICATIONS)


async def create_all(change: Change, body: BulkCreate) -> Created:
    """Create resources in the order of their dependencies; return the rows by table. Raises `Unfit`."""
    bulk = _Bulk(change)
    for source in body.sources or ():
        await bulk.source(source)
    for application in body.applications or ():
        await bulk.application(application)
    for endpoint in body.endpoints or ():
        source_id = await bulk.source_id(endpoint.source_name)
        given = endpoint.given("source_name") | {"source_id": source_id}
        bulk.created[ENDPOINTS.table].append(await change.create_endpoint(EndpointCreate(**given)))
    for authentication in body.authentications or ():
        await bulk.authentication(authentication)
    change.events.sort(key=lambda event: _TOLD_IN_ORDER.index(event.resource))
    return bulk.created


class _Bulk:
    def __init__(self, change: Change) -> None:
        self._change = change
        self.created: dict[str, list[Record]] = {
            resource.table: [] for resource in (SOURCES, APPLICATIONS, ENDPOINTS, AUTHENTICATIONS)
        }

    async def source(self, body: BulkSource) -> None:
        type_id = await self._type_id(SOURCE_TYPES, body.source_type_id, body.source_type_name)
        given = body.given("source_type_name") | {"source_type_id": type_id}
        self.created[SOURCES.table].append(await self._change.create_source(SourceCreate(**given)))

    async def application(self, body: BulkApplication) -> None:
        type_id = await self._type_id(APPLICATION_TYPES, body.application_type_id, body.application_type_name)
        given: dict[str, Any] = {
            "extra": body.extra,
            "application_type_id": type_id,
            "source_id": await self.source_id(body.source_name),
        }
        row = await self._change.create_application(ApplicationCreate(**given))
        self.created[APPLICATIONS.table].append(row)

    async def authentication(self, body: BulkAuthentication) -> None:
        given = body.given("resource_name") | {"resource_id": await self._holder_id(body)}
        row = await self._change.create_authentication(AuthenticationCreate(**given))
        self.created[AUTHENTICATIONS.table].append(row)

    async def source_id(self, name: str | None) -> int:
        """Return the id of a source that this request created, else of an existing one."""
        for row in self.created[SOURCES.table]:
            if row["name"] == name:
                return int(row["id"])
        rows = await self._there(SOURCES, "name", name or "")
        if not rows:
            raise Unfit(f"source_name: no source is called {name!r}")
        return int(rows[0]["id"])

    async def _type_id(self, resource: Resource, type_id: int | None, name: str | None) -> int:
        if type_id is not None:
            return type_id
        column = resource.table.removesuffix("s")
        if not name:
            raise Unfit(f"no {resource.singular} present, need either {column}_name or {column}_id")
        found = await self._type_called(resource, name)
        if found is None:
            raise Unfit(f"{column}_name: {name!r} does not exist")
        return found

    async def _type_called(self, resource: Resource, name: str) -> int | None:
        """Find a type by its whole name, else the oldest whose name contains the text, as in `cost-management`."""
        found: int | None = await self._change.connection.fetchval(
            f"select id from {resource.table}"  # noqa: S608 -- one of two
            " where $1 <> '' and strpos(name, $1) > 0 order by name <> $1, id limit 1",
            name,
        )
        return found

    async def _holder_id(self, body: BulkAuthentication) -> int:
        """Find a resource by name among those of this request, else by id among existing ones."""
        name = body.resource_name or ""
        holder = HOLDERS[body.holder]
        for row in self.created[holder.table]:
            if await self._is_called(holder, row, name):
                return int(row["id"])
        if name.isascii() and name.isdigit() and len(name) < 19:
            rows = await self._there(holder, "id", int(name))
            if rows:
                return int(rows[0]["id"])
        made = self.created[holder.table]
        # Upstream ignores the name if the request creates exactly one source.
        if holder is SOURCES and len(made) == 1:
            return int(made[0]["id"])
        raise Unfit(f"resource_name: no {holder.singular} of this request is called {name!r}")

    async def _is_called(self, holder: Resource, row: Record, name: str) -> bool:
        if holder is APPLICATIONS:
            return bool(row["application_type_id"] == await self._type_called(APPLICATION_TYPES, name))
        label = row.get("name" if holder is SOURCES else "host") or ""
        return bool(name) and (label == name if holder is SOURCES else name.lower() in label.lower())

    async def _there(self, resource: Resource, column: str, value: Any) -> list[Record]:
        return await store.matching(
            self._change.connection, resource, self._change.tenant.id, column, [value]
        )
