"""Changes of a tenant's resources: each is one transaction, including its events.

The changes of one tenant run one after the other (by a lock on its row), so that checks still hold at the commit and
events are in the order of the changes; unique constraints hold against all other writers.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

import asyncpg

from headrace.contracts.message import utc_now
from headrace.database.pool import Connection, Database, Record
from headrace_services.sources_api import store
from headrace_services.sources_api.bodies import (
    ApplicationCreate,
    ApplicationEdit,
    AuthenticationCreate,
    AuthenticationEdit,
    EndpointCreate,
    EndpointEdit,
    SourceCreate,
    SourceEdit,
)
from headrace_services.sources_api.callers import Caller
from headrace_services.sources_api.events import Event, Relay, keep
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
    decoded,
)
from headrace_services.sources_api.refusals import NotFound, Unfit
from headrace_services.sources_api.store import Passwords
from headrace_services.sources_api.tenants import Tenant, Tenants

_TAKEN: Final = {
    "sources_name": "name already exists in tenant",
    "sources_source_ref": "source_ref already exists in tenant for this source type",
    "applications_once": "the source already has an application of this type",
    "endpoints_role": "the role already exists for the given source",
    "endpoints_default": "a default endpoint already exists for the provided source",
}
_OF_AVAILABILITY: Final = frozenset(
    {"availability_status", "availability_status_error", "last_checked_at", "last_available_at"}
)
_WORKFLOWS: Final = ("manual_configuration", "account_authorization")
_DEFAULT_PORT: Final = 443


@dataclass
class Change:
    """The operations of one transaction on one tenant. Its methods raise `Unfit` and `NotFound`."""

    connection: Connection
    tenant: Tenant
    passwords: Passwords
    events: list[Event] = field(default_factory=list)

    async def find(self, resource: Resource, row_id: int) -> Record:
        """Return a row of the tenant."""
        row = await store.one(self.connection, resource, self.tenant.id, row_id)
        if row is None:
            raise NotFound(resource.singular)
        return row

    async def create_source(self, body: SourceCreate) -> Record:
        """Create a source; its type must exist."""
        values = body.given("uid")
        if await store.one(self.connection, SOURCE_TYPES, None, values["source_type_id"]) is None:
            raise Unfit("source type id not found")
        values["uid"] = str(uuid4())
        if body.app_creation_workflow not in _WORKFLOWS:
            values["app_creation_workflow"] = _WORKFLOWS[0]
        return await self._create(SOURCES, _with_status(values))

    async def create_application(self, body: ApplicationCreate) -> Record:
        """Create an application of a source whose type it supports."""
        values = body.given()
        source = await store.one(self.connection, SOURCES, self.tenant.id, values["source_id"])
        if source is None:
            raise Unfit("source id not found")
        kind = await store.one(self.connection, APPLICATION_TYPES, None, values["application_type_id"])
        of_source = await store.one(self.connection, SOURCE_TYPES, None, source["source_type_id"])
        supported = decoded(kind["supported_source_types"]) if kind else ()
        if of_source is None or of_source["name"] not in supported:
            raise Unfit("source type is not compatible with this application type")
        return await self._create(APPLICATIONS, values)

    async def create_endpoint(self, body: EndpointCreate) -> Record:
        """Create an endpoint of a source; the first is the default one."""
        values = {"role": "", "host": "", "path": ""} | body.given()
        if await store.one(self.connection, SOURCES, self.tenant.id, values["source_id"]) is None:
            raise Unfit("source id not found")
        others = await store.matching(
            self.connection, ENDPOINTS, self.tenant.id, "source_id", [values["source_id"]]
        )
        values["default"] = bool(values.get("default")) or not others
        values["scheme"] = values.get("scheme") or "https"
        values["port"] = values.get("port") or _DEFAULT_PORT
        values.setdefault("verify_ssl", False)
        return await self._create(ENDPOINTS, _with_status(values))

    async def create_authentication(self, body: AuthenticationCreate) -> Record:
        """Create an authentication; that of an application is linked to it."""
        holder = HOLDERS[body.holder]
        row = await store.one(self.connection, holder, self.tenant.id, body.resource_id or 0)
        if row is None:
            raise Unfit(f"{holder.singular} id not found")
        values = body.given("password") | {
            "resource_type": holder.event,
            "source_id": row["id"] if holder is SOURCES else row["source_id"],
        }
        created = await store.insert(self.connection, AUTHENTICATIONS, self.tenant.id, values)
        if body.password:
            await self.passwords.set(self.connection, self.tenant.id, created["id"], body.password)
        if holder is APPLICATIONS:
            await self._create(
                APPLICATION_AUTHENTICATIONS,
                {"application_id": row["id"], "authentication_id": created["id"]},
            )
        self.tell("create", AUTHENTICATIONS, created)
        return created

    async def edit_source(self, row_id: int, body: SourceEdit) -> Record:
        """Change a source."""
        return await self._edit(SOURCES, row_id, body.given())

    async def edit_application(self, row_id: int, body: ApplicationEdit) -> Record:
        """Change an application; its new availability becomes the source's."""
        before = await self.find(APPLICATIONS, row_id)
        row = await self._edit(APPLICATIONS, row_id, body.given())
        if row["availability_status"] != before["availability_status"]:
            names = ("availability_status", "last_checked_at", "last_available_at")
            values = {name: row[name] for name in names if row[name] is not None}
            await store.update(self.connection, SOURCES, self.tenant.id, row["source_id"], values)
        return row

    async def edit_endpoint(self, row_id: int, body: EndpointEdit) -> Record:
        """Change an endpoint."""
        values = body.given()
        for name in ("scheme", "port", "availability_status"):
            if not values.get(name, True):
                del values[name]
        return await self._edit(ENDPOINTS, row_id, values)

    async def edit_authentication(self, row_id: int, body: AuthenticationEdit) -> Record:
        """Change an authentication."""
        row = await self._edit(AUTHENTICATIONS, row_id, body.given("password"))
        if body.password is not None:
            await self.passwords.set(self.connection, self.tenant.id, row_id, body.password)
        return row

    async def pause(self, resource: Resource, row_id: int, *, paused: bool) -> None:
        """Pause or resume an application, or a source with its applications."""
        await self.find(resource, row_id)
        await self._pause(resource, row_id, paused=paused)
        if resource is SOURCES:
            applications = await store.matching(
                self.connection, APPLICATIONS, self.tenant.id, "source_id", [row_id]
            )
            for application in applications:
                await self._pause(APPLICATIONS, application["id"], paused=paused)

    def tell(self, action: str, resource: Resource, *rows: Record) -> None:
        """Add an event for each row."""
        self.events += [Event(action, resource, row) for row in rows]

    async def _create(self, resource: Resource, values: Mapping[str, Any]) -> Record:
        row = await store.insert(self.connection, resource, self.tenant.id, values)
        self.tell("create", resource, row)
        return row

    async def _edit(self, resource: Resource, row_id: int, values: dict[str, Any]) -> Record:
        before = await self.find(resource, row_id)
        if before.get("paused_at") and values.keys() - _OF_AVAILABILITY:
            allowed = ", ".join(sorted(_OF_AVAILABILITY & resource.fields.keys()))
            raise Unfit(f"the {resource.singular} is paused: only {allowed} can be changed")
        if status := values.get("availability_status"):
            checked_at = values.setdefault("last_checked_at", utc_now())
            if status == "available":
                values.setdefault("last_available_at", checked_at)
        row = await store.update(self.connection, resource, self.tenant.id, row_id, values)
        self.tell("update", resource, row)
        return row

    async def _pause(self, resource: Resource, row_id: int, *, paused: bool) -> None:
        before = await self.find(resource, row_id)
        paused_at = (before["paused_at"] or utc_now()) if paused else None
        row = await store.update(self.connection, resource, self.tenant.id, row_id, {"paused_at": paused_at})
        self.tell("pause" if paused else "unpause", resource, row)


@dataclass(frozen=True)
class Changes:
    """Opens transactions, commits them, and starts the sending of their events."""

    database: Database
    tenants: Tenants
    passwords: Passwords
    relay: Relay

    @asynccontextmanager
    async def open(self, caller: Caller) -> AsyncIterator[Change]:
        """Open one transaction for the client's tenant. Raises `Unfit` for a value that is taken."""
        tenant = await self.tenants.of(caller)
        try:
            async with self.database.transaction() as connection:
                await connection.execute("select from tenants where id = $1 for no key update", tenant.id)
                change = Change(connection, tenant, self.passwords)
                yield change
                await keep(connection, change.events, tenant, caller)
        except asyncpg.UniqueViolationError as error:
            if reason := _TAKEN.get(error.constraint_name or ""):
                raise Unfit(reason) from None
            raise
        self.relay.wake()


def _with_status(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values without an empty status, which means absent."""
    return {name: value for name, value in values.items() if name != "availability_status" or value}
