"""The routes, below each of upstream's prefixes."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from aiohttp import web
from pydantic import BaseModel

from headrace.database.pool import Database, Record
from headrace.web.errors import json_errors, json_response
from services.sources_api import filters, store
from services.sources_api.bodies import (
    ApplicationCreate,
    ApplicationEdit,
    AuthenticationCreate,
    AuthenticationEdit,
    BulkCreate,
    EndpointCreate,
    EndpointEdit,
    SourceCreate,
    SourceEdit,
    parsed,
)
from services.sources_api.bulk import create_all
from services.sources_api.callers import Caller, Gate
from services.sources_api.changes import Change, Changes
from services.sources_api.errors import NotFound, error_body, problems
from services.sources_api.internal import Internal
from services.sources_api.models import (
    APPLICATION_TYPES,
    APPLICATIONS,
    AUTHENTICATIONS,
    EDITABLE,
    ENDPOINTS,
    LISTED,
    SOURCE_TYPES,
    SOURCES,
    Resource,
)
from services.sources_api.openapi import document
from services.sources_api.pages import page_response, row_id_of
from services.sources_api.removal import remove
from services.sources_api.tenants import Tenants

Handle: TypeAlias = Callable[[web.Request], Awaitable[web.Response]]
Write: TypeAlias = Callable[[Change, Any], Awaitable[Record]]
Rewrite: TypeAlias = Callable[[Change, int, Any], Awaitable[Record]]

PREFIXES: Final = tuple(f"/api/sources/{v}" for v in ("v1.0", "v2.0", "v3.0", "v3.1", "v1", "v2", "v3"))
_CREATES: Final[dict[str, tuple[type[BaseModel], Write]]] = {
    SOURCES.table: (SourceCreate, Change.create_source),
    APPLICATIONS.table: (ApplicationCreate, Change.create_application),
    ENDPOINTS.table: (EndpointCreate, Change.create_endpoint),
    AUTHENTICATIONS.table: (AuthenticationCreate, Change.create_authentication),
}
_EDITS: Final[dict[str, tuple[type[BaseModel], Rewrite]]] = {
    SOURCES.table: (SourceEdit, Change.edit_source),
    APPLICATIONS.table: (ApplicationEdit, Change.edit_application),
    ENDPOINTS.table: (EndpointEdit, Change.edit_endpoint),
    AUTHENTICATIONS.table: (AuthenticationEdit, Change.edit_authentication),
}
# Rows that refer to one row: /sources/7/endpoints.
_BELOW: Final = (
    (SOURCES, APPLICATIONS, "source_id"),
    (SOURCES, ENDPOINTS, "source_id"),
    (SOURCES, AUTHENTICATIONS, "source_id"),
    (SOURCE_TYPES, SOURCES, "source_type_id"),
)
# The authentications of one resource.
_HOLDERS: Final = (APPLICATIONS, ENDPOINTS)
# Rows that the tenant's applications tie together: /application_types/1/sources.
_THROUGH_APPLICATIONS: Final = (
    (SOURCES, APPLICATION_TYPES, "application_type_id", "source_id"),
    (APPLICATION_TYPES, SOURCES, "source_id", "application_type_id"),
)


@dataclass(frozen=True)
class Api:
    """The handlers and what they stand on."""

    database: Database
    tenants: Tenants
    changes: Changes
    gate: Gate
    max_body_bytes: int

    def application(self) -> web.Application:
        """Every route."""
        app = web.Application(
            middlewares=[json_errors(error_body), problems], client_max_size=self.max_body_bytes
        )
        # A slash at a path's end says nothing.
        for end in ("", "/"):
            app.router.add_get("/health" + end, self._health)
            for prefix in PREFIXES:
                for method, path, handle in self._routes(prefix):
                    app.router.add_route(method, prefix + path + end, handle)
        Internal(self.database, self.tenants, self.changes.passwords, self.gate).add_routes(app)
        return app

    async def _health(self, _request: web.Request) -> web.Response:
        """The database answers: `Retryable`, that is 503, otherwise."""
        await self.database.ping()
        return web.Response(text="OK")

    def _routes(self, prefix: str) -> Iterable[tuple[str, str, Handle]]:
        async def openapi(_request: web.Request) -> web.Response:
            return json_response(document(prefix))

        yield "GET", "/openapi.json", openapi
        yield "POST", "/bulk_create", self._bulk_create
        yield "POST", "/sources/{id}/check_availability", self._check_availability
        for resource in LISTED:
            yield "GET", f"/{resource.table}", self._lists(resource)
            yield "GET", f"/{resource.table}/{{id}}", self._shows(resource)
        for resource in EDITABLE:
            yield "POST", f"/{resource.table}", self._creates(resource)
            yield "PATCH", f"/{resource.table}/{{id}}", self._edits(resource)
            yield "DELETE", f"/{resource.table}/{{id}}", self._removes(resource)
        for resource in (SOURCES, APPLICATIONS):
            for action in ("pause", "unpause"):
                yield "POST", f"/{resource.table}/{{id}}/{action}", self._pauses(resource, action == "pause")
        for above, below, column in _BELOW:
            yield "GET", f"/{above.table}/{{id}}/{below.table}", self._lists_below(above, below, column)
        for holder in _HOLDERS:
            yield "GET", f"/{holder.table}/{{id}}/authentications", self._lists_held(holder)
        for above, below, own, other in _THROUGH_APPLICATIONS:
            yield "GET", f"/{above.table}/{{id}}/{below.table}", self._lists_tied(above, below, own, other)

    def _lists(self, resource: Resource) -> Handle:
        async def handle(request: web.Request) -> web.Response:
            tenant_id = await self._reader(request) if resource.scoped else None
            return await self._page(request, filters.listing(request.query.items(), resource), tenant_id)

        return handle

    def _lists_below(self, above: Resource, below: Resource, column: str) -> Handle:
        async def handle(request: web.Request) -> web.Response:
            tenant_id = await self._reader(request)
            listing = filters.listing(request.query.items(), below)
            row = await self._row(request, above, tenant_id)
            store.restrict_by(listing, column, row["id"])
            return await self._page(request, listing, tenant_id)

        return handle

    def _lists_held(self, holder: Resource) -> Handle:
        async def handle(request: web.Request) -> web.Response:
            tenant_id = await self._reader(request)
            listing = filters.listing(request.query.items(), AUTHENTICATIONS)
            row = await self._row(request, holder, tenant_id)
            store.restrict_by(listing, "resource_id", row["id"])
            listing.conditions.append(f"resource_type = {listing.place(holder.event)}")
            return await self._page(request, listing, tenant_id)

        return handle

    def _lists_tied(self, above: Resource, below: Resource, own: str, other: str) -> Handle:
        """``own`` is the applications' column of the listed rows, ``other`` that of the one row."""

        async def handle(request: web.Request) -> web.Response:
            tenant_id = await self._reader(request)
            listing = filters.listing(request.query.items(), below)
            row = await self._row(request, above, tenant_id)
            store.restrict_through_applications(listing, own, other, row["id"], tenant_id)
            return await self._page(request, listing, tenant_id)

        return handle

    def _shows(self, resource: Resource) -> Handle:
        async def handle(request: web.Request) -> web.Response:
            tenant_id = await self._reader(request) if resource.scoped else None
            return json_response(resource.shown(await self._row(request, resource, tenant_id)))

        return handle

    def _creates(self, resource: Resource) -> Handle:
        kind, create = _CREATES[resource.table]

        async def handle(request: web.Request) -> web.Response:
            caller = await self._writer(request)
            body = parsed(kind, await request.read())
            async with self.changes.open(caller) as change:
                row = await create(change, body)
            return json_response(resource.shown(row), 201)

        return handle

    def _edits(self, resource: Resource) -> Handle:
        kind, edit = _EDITS[resource.table]

        async def handle(request: web.Request) -> web.Response:
            caller = await self._writer(request)
            row_id, body = row_id_of(request), await request.read()
            async with self.changes.open(caller) as change:
                # What is not there cannot be changed, whatever the body says.
                await change.find(resource, row_id)
                row = await edit(change, row_id, parsed(kind, body))
            return json_response(resource.shown(row))

        return handle

    def _removes(self, resource: Resource) -> Handle:
        async def handle(request: web.Request) -> web.Response:
            caller = await self._writer(request)
            async with self.changes.open(caller) as change:
                await remove(change, resource, row_id_of(request))
            return web.Response(status=204)

        return handle

    def _pauses(self, resource: Resource, paused: bool) -> Handle:  # noqa: FBT001 -- named by its caller
        async def handle(request: web.Request) -> web.Response:
            caller = await self._writer(request)
            async with self.changes.open(caller) as change:
                await change.pause(resource, row_id_of(request), paused=paused)
            return web.Response(status=204)

        return handle

    async def _bulk_create(self, request: web.Request) -> web.Response:
        caller = await self._writer(request)
        body = parsed(BulkCreate, await request.read())
        async with self.changes.open(caller) as change:
            created = await create_all(change, body)
        shown = {kind.table: [kind.shown(row) for row in created[kind.table]] for kind in EDITABLE}
        return json_response(shown, 201)

    async def _check_availability(self, request: web.Request) -> web.Response:
        """Nobody here can look at a cluster: those who can, koku above all, report what they see by PATCH."""
        await self._row(request, SOURCES, await self._reader(request))
        return json_response({}, 202)

    async def _reader(self, request: web.Request) -> int:
        tenant = await self.tenants.of(self.gate.caller(request))
        return tenant.id

    async def _writer(self, request: web.Request) -> Caller:
        caller = self.gate.caller(request)
        await self.gate.check_change(request, caller)
        return caller

    async def _row(self, request: web.Request, resource: Resource, tenant_id: int | None) -> Record:
        async with self.database.connection() as connection:
            row = await store.one(connection, resource, tenant_id, row_id_of(request))
        if row is None:
            raise NotFound(resource.singular)
        return row

    async def _page(
        self, request: web.Request, listing: filters.Listing, tenant_id: int | None
    ) -> web.Response:
        count, rows = await store.page(self.database, listing, tenant_id)
        return page_response(request, listing, count, [listing.resource.shown(row) for row in rows])
