"""The routes, below each of upstream's prefixes."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, TypeAlias

from aiohttp import web
from pydantic import BaseModel

from headrace.database.pool import Database, Record
from headrace.web.caller import IDENTITY_SCHEME
from headrace.web.errors import json_errors, json_response
from headrace.web.operations import Answer, Body, Dialect, Operation, Operations, Routing
from headrace.web.schemas import OBJECT, TEXT, array, record, reference
from headrace_services.sources_api import store
from headrace_services.sources_api.answers import page_of, page_response
from headrace_services.sources_api.bodies import (
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
from headrace_services.sources_api.bulk import create_all
from headrace_services.sources_api.callers import PSK, Caller, Gate
from headrace_services.sources_api.changes import Change, Changes
from headrace_services.sources_api.internal import INTERNAL_PREFIXES, Internal
from headrace_services.sources_api.models import (
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
from headrace_services.sources_api.parameters import (
    ID,
    OPERATIONS,
    Listing,
    Restrict,
    list_parameters,
    listing,
    referring,
    row_id_of,
    tied,
)
from headrace_services.sources_api.refusals import NotFound, error_body
from headrace_services.sources_api.removal import remove
from headrace_services.sources_api.tenants import Tenants

Model: TypeAlias = type[BaseModel]
Write: TypeAlias = Callable[[Change, Any], Awaitable[Record]]
Rewrite: TypeAlias = Callable[[Change, int, Any], Awaitable[Record]]

PREFIXES: Final = tuple(f"/api/sources/{v}" for v in ("v1.0", "v2.0", "v3.0", "v3.1", "v1", "v2", "v3"))
# The table, the body and the method for each resource that can be created and changed.
_WRITES: Final[tuple[tuple[Resource, Model, Write, Model, Rewrite], ...]] = (
    (SOURCES, SourceCreate, Change.create_source, SourceEdit, Change.edit_source),
    (APPLICATIONS, ApplicationCreate, Change.create_application, ApplicationEdit, Change.edit_application),
    (ENDPOINTS, EndpointCreate, Change.create_endpoint, EndpointEdit, Change.edit_endpoint),
    (
        AUTHENTICATIONS,
        AuthenticationCreate,
        Change.create_authentication,
        AuthenticationEdit,
        Change.edit_authentication,
    ),
)
# Rows that belong to another row, such as /sources/7/endpoints.
_BELOW: Final = (
    (SOURCES, APPLICATIONS, referring("source_id")),
    (SOURCES, ENDPOINTS, referring("source_id")),
    (SOURCES, AUTHENTICATIONS, referring("source_id")),
    (SOURCES, APPLICATION_TYPES, tied("application_type_id", "source_id")),
    (SOURCE_TYPES, SOURCES, referring("source_type_id")),
    (APPLICATION_TYPES, SOURCES, tied("source_id", "application_type_id")),
    *(
        (holder, AUTHENTICATIONS, referring("resource_id", resource_type=holder.event))
        for holder in (APPLICATIONS, ENDPOINTS)
    ),
)
_DIALECT: Final = Dialect(
    title="Sources",
    version="3.1",
    description=(
        "Filters: `filter[field]=value`, `filter[field][operation]=value`, "
        "`filter[source_type|application_type][field][operation]=value`, or `field=value`. "
        f"Operations: {', '.join(OPERATIONS)}; `eq` with several values matches any of them. "
        "Numbers and times cannot be filtered with text operations, nor JSON with comparisons."
    ),
    refusals={
        400: "the request is invalid; the detail says why",
        401: "the client is unknown or lacks the permission",
        404: "the resource does not exist, or another organisation owns it",
        405: "the identity is a cluster's, which may not make this change",
        413: "the body is too long",
        503: "an engine is away; Retry-After says when to retry",
    },
    common_refusals=(400, 401, 503),
    error=record(errors=array(record(detail=TEXT, status=TEXT))),
    schemas={
        **{kind.schema_name: kind.schema for kind in LISTED},
        **{f"{kind.schema_name}Page": page_of(reference(kind.schema_name)) for kind in LISTED},
        "BulkCreated": record(**{kind.table: array(reference(kind.schema_name)) for kind in EDITABLE}),
    },
    security={
        "identity": IDENTITY_SCHEME,
        "key": {"type": "apiKey", "in": "header", "name": PSK},
    },
    takes_slash=True,
    answers_head=False,
)


@dataclass(frozen=True)
class Api:
    """The handlers and their dependencies."""

    database: Database
    tenants: Tenants
    changes: Changes
    gate: Gate
    max_body_bytes: int

    def application(self) -> web.Application:
        """Return the application with every route."""
        app = web.Application(middlewares=[json_errors(error_body)], client_max_size=self.max_body_bytes)
        text = Answer(TEXT, media_type="text/plain")
        health = Operation("GET", "/health", self._health, "Whether the database answers", text)
        Routing(takes_slash=True).route(app, [health])
        operations = tuple(self._operations())
        # Each prefix has its own document, which names no other prefix.
        for prefix in PREFIXES:
            Operations(replace(_DIALECT, prefixes=(prefix,)), operations).add_to(app)
        internal = Internal(self.database, self.tenants, self.changes.passwords, self.gate)
        Routing(prefixes=INTERNAL_PREFIXES, takes_slash=True).route(app, internal.operations())
        return app

    async def _health(self, _request: web.Request) -> web.Response:
        """Check that the database answers; it raises `Retryable`, that is 503, if not."""
        await self.database.ping()
        return web.Response(text="OK")

    def _operations(self) -> Iterator[Operation]:
        for kind in LISTED:
            yield from self._readings(kind)
        for above, below, restrict in _BELOW:
            yield Operation(
                "GET",
                f"/{above.table}/{{id}}/{below.table}",
                partial(self._list_below, above, below, restrict),
                f"List {below.singular}s of one {above.singular}",
                Answer(reference(f"{below.schema_name}Page")),
                (404,),
                (ID, *list_parameters(below)),
                name=f"list{above.schema_name}{below.schema_name}s",
            )
        yield from self._writings()
        yield Operation(
            "POST",
            "/bulk_create",
            self._bulk_create,
            "Create several resources, or none of them if one is refused",
            Answer(reference("BulkCreated"), 201),
            (405, 413),
            body=Body(BulkCreate),
            name="bulkCreate",
        )
        yield Operation(
            "POST",
            "/sources/{id}/check_availability",
            self._check_availability,
            (
                "Request an availability check; the service makes no check itself, clients report availability "
                "with PATCH"
            ),
            Answer(OBJECT | {"maxProperties": 0}, 202),
            (404,),
            (ID,),
            name="checkAvailabilitySource",
        )

    def _readings(self, kind: Resource) -> Iterator[Operation]:
        # A public operation has no common refusals.
        refusals = () if kind.scoped else (400, 503)
        yield Operation(
            "GET",
            f"/{kind.table}",
            partial(self._list, kind),
            f"List {kind.singular}s",
            Answer(reference(f"{kind.schema_name}Page")),
            refusals,
            list_parameters(kind),
            name=f"list{kind.schema_name}s",
            is_public=not kind.scoped,
        )
        yield Operation(
            "GET",
            f"/{kind.table}/{{id}}",
            partial(self._show, kind),
            f"Show one {kind.singular}",
            Answer(reference(kind.schema_name)),
            (*refusals, 404),
            (ID,),
            name=f"show{kind.schema_name}",
            is_public=not kind.scoped,
        )

    def _writings(self) -> Iterator[Operation]:
        for kind, create_model, create, edit_model, edit in _WRITES:
            yield Operation(
                "POST",
                f"/{kind.table}",
                partial(self._create, kind, create_model, create),
                f"Create one {kind.singular}",
                Answer(reference(kind.schema_name), 201),
                (405, 413),
                body=Body(create_model),
                name=f"create{kind.schema_name}",
            )
            yield Operation(
                "PATCH",
                f"/{kind.table}/{{id}}",
                partial(self._edit, kind, edit_model, edit),
                f"Change one {kind.singular}",
                Answer(reference(kind.schema_name)),
                (404, 405, 413),
                (ID,),
                Body(edit_model),
                name=f"update{kind.schema_name}",
            )
            yield Operation(
                "DELETE",
                f"/{kind.table}/{{id}}",
                partial(self._remove, kind),
                f"Delete one {kind.singular} with everything that belongs to it",
                Answer(status=204),
                (404, 405),
                (ID,),
                name=f"delete{kind.schema_name}",
            )
        for kind in (SOURCES, APPLICATIONS):
            for action in ("pause", "unpause"):
                yield Operation(
                    "POST",
                    f"/{kind.table}/{{id}}/{action}",
                    partial(self._pause, kind, paused=action == "pause"),
                    f"{action.title()} one {kind.singular}",
                    Answer(status=204),
                    (404, 405),
                    (ID,),
                    name=f"{action}{kind.schema_name}",
                )

    async def _list(self, kind: Resource, request: web.Request) -> web.Response:
        tenant_id = await self._reader(request) if kind.scoped else None
        return await self._page(request, listing(request.query.items(), kind), tenant_id)

    async def _list_below(
        self, above: Resource, below: Resource, restrict: Restrict, request: web.Request
    ) -> web.Response:
        tenant_id = await self._reader(request)
        page = listing(request.query.items(), below)
        row = await self._row(request, above, tenant_id)
        restrict(page.where, row["id"], tenant_id)
        return await self._page(request, page, tenant_id)

    async def _show(self, kind: Resource, request: web.Request) -> web.Response:
        tenant_id = await self._reader(request) if kind.scoped else None
        return json_response(kind.shown(await self._row(request, kind, tenant_id)))

    async def _create(
        self, kind: Resource, model: Model, create: Write, request: web.Request
    ) -> web.Response:
        caller = await self._writer(request)
        body = parsed(model, await request.read())
        async with self.changes.open(caller) as change:
            row = await create(change, body)
        return json_response(kind.shown(row), 201)

    async def _edit(self, kind: Resource, model: Model, edit: Rewrite, request: web.Request) -> web.Response:
        caller = await self._writer(request)
        row_id, body = row_id_of(request), await request.read()
        async with self.changes.open(caller) as change:
            # A missing row is 404, whatever the body contains.
            await change.find(kind, row_id)
            row = await edit(change, row_id, parsed(model, body))
        return json_response(kind.shown(row))

    async def _remove(self, kind: Resource, request: web.Request) -> web.Response:
        caller = await self._writer(request)
        async with self.changes.open(caller) as change:
            await remove(change, kind, row_id_of(request))
        return web.Response(status=204)

    async def _pause(self, kind: Resource, request: web.Request, *, paused: bool) -> web.Response:
        caller = await self._writer(request)
        async with self.changes.open(caller) as change:
            await change.pause(kind, row_id_of(request), paused=paused)
        return web.Response(status=204)

    async def _bulk_create(self, request: web.Request) -> web.Response:
        caller = await self._writer(request)
        body = parsed(BulkCreate, await request.read())
        async with self.changes.open(caller) as change:
            created = await create_all(change, body)
        shown = {kind.table: [kind.shown(row) for row in created[kind.table]] for kind in EDITABLE}
        return json_response(shown, 201)

    async def _check_availability(self, request: web.Request) -> web.Response:
        """Accept the request. This API cannot reach clusters; koku and others report availability by PATCH."""
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

    async def _page(self, request: web.Request, page: Listing, tenant_id: int | None) -> web.Response:
        count, rows = await store.page(self.database, page, tenant_id)
        return page_response(request, page, count, [page.resource.shown(row) for row in rows])
