"""The REST side: what would be sent, what was sent when, opting out, and installations to try it with."""

import asyncio
import hmac
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass
from typing import Any, Final
from uuid import UUID

from aiohttp import web
from aiohttp.typedefs import Handler

from headrace.contracts.assisted import FILE_NAME
from headrace.contracts.message import rfc3339
from headrace.runtime.errors import Permanent, Rejected
from headrace.web.caller import BadAuthorization, sent_authorization
from headrace.web.errors import json_errors, json_response
from services.assisted_events.archive import Archive, Builder
from services.assisted_events.bodies import (
    SIMULATED_PULL_SECRET,
    Events,
    Simulation,
    decoded,
    replayed,
)
from services.assisted_events.consent import OPTED_OUT, Consent, management_secret
from services.assisted_events.credentials import BadCredentials
from services.assisted_events.ledger import STATES, Ledger, Sending
from services.assisted_events.openapi import MAX_LIMIT, PREFIX, document
from services.assisted_events.registering import Registry, Stored
from services.assisted_events.settings import AssistedSettings
from services.assisted_events.store import InstallerStore

_OPEN: Final = ("/health", f"{PREFIX}/openapi.json")
_MAX_OFFSET: Final = (1 << 31) - 1


@dataclass(frozen=True)
class Api:
    """The handlers and what they stand on; ``registry`` is None for an installer's database of somebody else's."""

    installer: InstallerStore
    ledger: Ledger
    builder: Builder
    registry: Registry | None
    settings: AssistedSettings
    consent: Consent
    auth: bool = True

    def application(self) -> web.Application:
        """Every route."""
        errors = json_errors(lambda _status, message: {"message": message})
        app = web.Application(middlewares=[errors, _refusals, self._authenticated])
        app.router.add_get("/health", self.health)
        app.router.add_get(f"{PREFIX}/openapi.json", self.openapi)
        app.router.add_get(f"{PREFIX}/sendings", self.sendings)
        app.router.add_post(f"{PREFIX}/simulations", self.simulate)
        app.router.add_post(f"{PREFIX}/installations", self.replay)
        one = f"{PREFIX}/clusters/{{cluster_id}}"
        app.router.add_get(one, self.cluster)
        app.router.add_post(f"{one}/events", self.add_events)
        app.router.add_get(f"{one}/archive", self.preview, allow_head=False)
        app.router.add_post(f"{one}/export", self.export)
        app.router.add_post(f"{one}/send", self.send)
        app.router.add_put(f"{one}/opt-out", self.opt_out)
        app.router.add_delete(f"{one}/opt-out", self.opt_in)
        return app

    async def health(self, _request: web.Request) -> web.Response:
        """The process answers."""
        return json_response({"status": "ok"})

    async def openapi(self, _request: web.Request) -> web.Response:
        """This API's description."""
        return json_response(document())

    async def sendings(self, request: web.Request) -> web.Response:
        """What was sent when, newest first."""
        cluster_id = request.query.get("cluster_id")
        state = request.query.get("state")
        if cluster_id is not None:
            cluster_id = _uuid(cluster_id)
        if state is not None and state not in STATES:
            raise Rejected(f"state: got {state[:40]!r}, expected one of {', '.join(STATES)}")
        count, found = await self.ledger.listed(
            cluster_id=cluster_id,
            state=state,
            limit=_number(request, "limit", 100, 1, MAX_LIMIT),
            offset=_number(request, "offset", 0, 0, _MAX_OFFSET),
        )
        return json_response({"count": count, "data": [_shown(sending) for sending in found]})

    async def cluster(self, request: web.Request) -> web.Response:
        """What became of one cluster's installations."""
        cluster_id = await self._known(request)
        _, found = await self.ledger.listed(cluster_id=cluster_id, state=None, limit=MAX_LIMIT, offset=0)
        return json_response(
            {
                "id": cluster_id,
                "opted_out": await self.ledger.opted_out(cluster_id),
                "sendings": [_shown(sending) for sending in found],
            }
        )

    async def simulate(self, request: web.Request) -> web.Response:
        """Register installations that never were."""
        registry = self._own_tables()
        body = await request.read()
        terms = decoded(Simulation, body or b"{}")
        made = []
        for installation in terms.installations():
            stored = await registry.register(
                installation.cluster(),
                hosts=installation.hosts(),
                infra_envs=[installation.infra_env()],
                events=installation.events(),
                pull_secret=SIMULATED_PULL_SECRET if terms.credentials else "",
            )
            made.append(_made(installation.cluster_id, terms.hosts, stored))
        return json_response({"clusters": made}, 201)

    async def replay(self, request: web.Request) -> web.Response:
        """Register the installations of an archive."""
        registry = self._own_tables()
        made = []
        async for found in replayed(request.content.iter_any(), self.settings.max_replay_bytes):
            assert found.cluster is not None  # noqa: S101 -- `replayed` saw to it
            stored = await registry.register(
                found.cluster,
                hosts=found.hosts,
                infra_envs=found.infra_envs,
                events=found.events,
                pull_secret=SIMULATED_PULL_SECRET,
            )
            made.append(_made(found.cluster_id, len(found.hosts), stored))
        return json_response({"clusters": made}, 201)

    async def add_events(self, request: web.Request) -> web.Response:
        """Store more events of a cluster."""
        registry = self._own_tables()
        cluster_id = await self._known(request)
        events = decoded(Events, await request.read()).events
        stored = await registry.add_events(cluster_id, [event.row() for event in events])
        return json_response({"stored": stored.events, "discarded": stored.discarded}, 201)

    async def preview(self, request: web.Request) -> web.StreamResponse:
        """The archive that would be sent."""
        return await _streamed(request, self._archive(await self._known(request)))

    async def export(self, request: web.Request) -> web.StreamResponse:
        """The archive, to be carried to the endpoint by hand; it is not sent any more."""
        sending = await self._wanted(request)
        if not await self.ledger.take_for_export(sending):
            raise web.HTTPConflict(text="it is being sent at this moment")
        try:
            return await _streamed(request, self._archive(sending.cluster_id))
        except BaseException:
            if sending.state in {"waiting", "sending"}:
                await asyncio.shield(self.ledger.again(sending))
            raise

    async def send(self, request: web.Request) -> web.Response:
        """Send the last installation's archive (again), whatever became of it."""
        sending = await self._wanted(request)
        if sending.state != "sending":
            await self.ledger.again(sending)
        return json_response(_shown(await self.ledger.newest(sending.cluster_id) or sending), 202)

    async def opt_out(self, request: web.Request) -> web.Response:
        """Send nothing of a cluster any more; also of one that is still to come."""
        await self.ledger.opt_out(_uuid(request.match_info["cluster_id"]))
        return web.Response(status=204)

    async def opt_in(self, request: web.Request) -> web.Response:
        """Send what ends from now on."""
        await self.ledger.opt_in(_uuid(request.match_info["cluster_id"]))
        return web.Response(status=204)

    def _archive(self, cluster_id: str) -> AbstractAsyncContextManager[Archive]:
        try:
            secret = management_secret(self.settings)
        except BadCredentials:
            secret = ""
        return self.builder.preview(cluster_id, secret)

    async def _known(self, request: web.Request) -> str:
        cluster_id = _uuid(request.match_info["cluster_id"])
        if not await self.installer.exists(cluster_id):
            raise web.HTTPNotFound(text=f"the installer has no cluster {cluster_id}")
        return cluster_id

    async def _wanted(self, request: web.Request) -> Sending:
        """The end that a cluster's archive is to leave for, by whatever way."""
        cluster_id = await self._known(request)
        refusal = OPTED_OUT if await self.ledger.opted_out(cluster_id) else self.consent.refusal()
        if refusal:
            raise web.HTTPConflict(text=refusal)
        sending = await self.ledger.newest(cluster_id)
        if sending is None:
            raise web.HTTPConflict(text="no end of its installation has been seen yet")
        return sending

    def _own_tables(self) -> Registry:
        if self.registry is None:
            raise web.HTTPConflict(
                text="ASSISTED_DATABASE_URL names an installer's database, which is only read"
            )
        return self.registry

    @web.middleware
    async def _authenticated(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if (self.settings.token or self.auth) and request.path not in _OPEN:
            _check_token(request, self.settings.token)
        return await handler(request)


def _check_token(request: web.Request, token: str) -> None:
    """Raise 400 for a header that cannot be read, 401 for any but the token; where there is none, always."""
    try:
        scheme, sent = sent_authorization(request.headers)
    except BadAuthorization as error:
        raise web.HTTPBadRequest(text=str(error)) from None
    if not token or scheme != "bearer" or not hmac.compare_digest(sent.encode(), token.encode()):
        unset = "" if token else ", which is not set"
        raise web.HTTPUnauthorized(text=f"expected the bearer token of ASSISTED_EVENTS_TOKEN{unset}")


@web.middleware
async def _refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except Permanent as error:
        raise web.HTTPBadRequest(text=str(error)) from error


async def _streamed(
    request: web.Request, opening: AbstractAsyncContextManager[Archive]
) -> web.StreamResponse:
    async with opening as archive:
        response = web.StreamResponse(
            headers={
                "Content-Type": "application/gzip",
                "Content-Disposition": f'attachment; filename="{archive.cluster_id}.{FILE_NAME}"',
                "X-Content-Sha256": archive.sha256,
            }
        )
        response.content_length = archive.size_bytes
        await response.prepare(request)
        for chunk in archive.chunks():
            await response.write(chunk)
        await response.write_eof()
    return response


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise web.HTTPNotFound(text=f"cluster id: got {text[:40]!r}, expected a UUID") from None


def _number(request: web.Request, name: str, default: int, low: int, high: int) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 12 and low <= int(text) <= high):
        raise Rejected(f"{name}: got {text[:40]!r}, expected {low} to {high}")
    return int(text)


def _made(cluster_id: str, hosts: int, stored: Stored) -> dict[str, Any]:
    return {"id": cluster_id, "hosts": hosts, "events": stored.events, "discarded": stored.discarded}


def _shown(sending: Sending) -> dict[str, Any]:
    return {
        name: rfc3339(value) if hasattr(value, "tzinfo") else value
        for name, value in asdict(sending).items()
        if name != "id"
    }
