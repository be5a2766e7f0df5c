"""Routes between services of the platform: with a key (PSK), or freely while access is not checked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from headrace.database.pool import Database
from headrace.web.errors import json_response
from headrace.web.operations import Answer, Operation, summary_of
from headrace.web.schemas import reference
from headrace_services.sources_api import store
from headrace_services.sources_api.answers import page_response
from headrace_services.sources_api.callers import Gate
from headrace_services.sources_api.models import AUTHENTICATIONS, SOURCES
from headrace_services.sources_api.parameters import ID, list_parameters, listing, row_id_of
from headrace_services.sources_api.refusals import NotFound, Unauthorized
from headrace_services.sources_api.store import Passwords
from headrace_services.sources_api.tenants import Tenants

INTERNAL_PREFIXES: Final = ("/internal/v1.0", "/internal/v2.0")
_EXPOSE: Final = "expose_encrypted_attribute[]"


@dataclass(frozen=True)
class Internal:
    """The handlers and their dependencies."""

    database: Database
    tenants: Tenants
    passwords: Passwords
    gate: Gate

    def operations(self) -> Sequence[Operation]:
        """Return both operations, which no document describes."""
        page, one = Answer(reference("SourcePage")), Answer(reference("Authentication"))
        return (
            Operation(
                "GET",
                "/sources",
                self.sources,
                summary_of(self.sources),
                page,
                (),
                list_parameters(SOURCES),
            ),
            Operation(
                "GET",
                "/authentications/{id}",
                self.authentication,
                summary_of(self.authentication),
                one,
                (404,),
                (ID,),
            ),
        )

    async def sources(self, request: web.Request) -> web.Response:
        """Return every tenant's sources, whatever organisation the service's headers name."""
        self.gate.service(request)
        page = listing(request.query.items(), SOURCES)
        count, rows = await store.sources_of_all(self.database, page)
        return page_response(request, page, count, [dict(row) | {"id": str(row["id"])} for row in rows])

    async def authentication(self, request: web.Request) -> web.Response:
        """Return one authentication, with its password if requested."""
        caller = self.gate.service(request)
        if caller is None:
            raise Unauthorized("the organisation of the authentication is missing")
        tenant = await self.tenants.of(caller)
        row_id = row_id_of(request)
        async with self.database.connection() as connection:
            row = await store.one(connection, AUTHENTICATIONS, tenant.id, row_id)
        if row is None:
            raise NotFound(AUTHENTICATIONS.singular)
        shown = AUTHENTICATIONS.shown(row)
        if "password" in request.query.getall(_EXPOSE, []):
            password = await self.passwords.get(tenant.id, row_id)
            shown |= {} if password is None else {"password": password}
        return json_response(shown)
