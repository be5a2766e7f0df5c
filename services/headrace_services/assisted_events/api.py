"""The REST API: previews, sent archives, opt-outs, and simulated installations."""

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
from headrace.runtime.errors import Permanent
from headrace.web import schemas
from headrace.web.caller import BadAuthorization, sent_authorization
from headrace.web.errors import Refusal, json_errors, json_response
from headrace.web.operations import Answer, Body, Dialect, Operation, Operations, Routing
from headrace.web.parameters import Choice, Custom, Integer, Parameter
from headrace.web.schemas import BINARY, OBJECT, reference
from headrace_services.assisted_events.archive import Archive, Builder
from headrace_services.assisted_events.bodies import (
    SIMULATED_PULL_SECRET,
    Events,
    Simulation,
    decoded,
    replayed,
)
from headrace_services.assisted_events.consent import OPTED_OUT, Consent, management_secret
from headrace_services.assisted_events.credentials import BadCredentials
from headrace_services.assisted_events.ledger import STATES, Ledger, Sending
from headrace_services.assisted_events.registering import Registry, Stored
from headrace_services.assisted_events.schemas import ERROR, SCHEMAS
from headrace_services.assisted_events.settings import AssistedSettings
from headrace_services.assisted_events.store import InstallerStore

PREFIX: Final = "/api/assisted-events/v1"
_DOCUMENT: Final = "/openapi.json"
_OPEN: Final = ("/health", PREFIX + _DOCUMENT)
_MAX_LIMIT: Final = 1000
_MAX_OFFSET: Final = (1 << 31) - 1


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise Refusal(404, f"cluster id: got {text[:40]!r}, expected a UUID") from None


_CLUSTER_ID: Final = Parameter("cluster_id", Custom(schemas.UUID, _uuid), "", where="path")
_OF_CLUSTER: Final = Parameter("cluster_id", _CLUSTER_ID.kind, None, takes_empty=True)
_STATE: Final = Parameter("state", Choice(STATES), None, takes_empty=True)
_LIMIT: Final = Parameter("limit", Integer(1, _MAX_LIMIT), 100, takes_empty=True)
_OFFSET: Final = Parameter("offset", Integer(0, _MAX_OFFSET), 0, takes_empty=True)

_DIALECT: Final = Dialect(
    title="Assisted installer events",
    version="1",
    description="Installations, and the archives of their events that are sent",
    prefixes=(PREFIX,),
    refusals={
        400: "the request is invalid; the message says why",
        401: "the bearer token differs from ASSISTED_EVENTS_TOKEN",
        404: "the cluster does not exist",
        408: "the body did not arrive in time",
        409: "not possible in the current state; the message says why",
        413: "the body is too long",
        503: "PostgreSQL is away; Retry-After says when to retry",
    },
    common_refusals=(400, 401, 503),
    error=ERROR,
    document_path=_DOCUMENT,
    schemas=SCHEMAS,
    security={"token": {"type": "http", "scheme": "bearer"}},
)


@dataclass(frozen=True)
class Api:
    """The handlers; ``registry`` is None for a foreign installer's database."""

    installer: InstallerStore
    ledger: Ledger
    builder: Builder
    registry: Registry | None
    settings: AssistedSettings
    consent: Consent
    auth: bool = True

    def application(self) -> web.Application:
        """Return the application with every route."""
        errors = json_errors(lambda _status, reason: {"message": reason}, bad_requests=(Permanent,))
        app = web.Application(middlewares=[errors, self._authenticated])
        health = Operation("GET", "/health", self.health, "Whether the process answers", Answer(OBJECT))
        Routing().route(app, [health])
        self.operations().add_to(app)
        return app

    def operations(self) -> Operations:
        """Return every operation."""
        registered = Answer(reference("Registered"), 201)
        archive = Answer(BINARY, media_type="application/gzip")
        none = Answer(status=204)

        def of_cluster(
            method: str, end: str, handler: Handler, summary: str, answer: Answer, *refusals: int, **more: Any
        ) -> Operation:
            path = f"/clusters/{{{_CLUSTER_ID.name}}}{end}"
            return Operation(method, path, handler, summary, answer, (404, *refusals), (_CLUSTER_ID,), **more)

        return Operations(
            _DIALECT,
            [
                Operation(
                    "GET",
                    "/sendings",
                    self.sendings,
                    "List what was sent, newest first",
                    Answer(reference("Sendings")),
                    (404,),
                    (_OF_CLUSTER, _STATE, _LIMIT, _OFFSET),
                ),
                Operation(
                    "POST",
                    "/simulations",
                    self.simulate,
                    "Register simulated installations",
                    registered,
                    (409, 413),
                    body=Body(Simulation, is_required=False),
                ),
                Operation(
                    "POST",
                    "/installations",
                    self.replay,
                    "Register the installations of an archive",
                    registered,
                    (408, 409),
                    body=Body(BINARY, "application/octet-stream"),
                ),
                of_cluster(
                    "GET",
                    "",
                    self.cluster,
                    "Show what was sent about a cluster",
                    Answer(reference("Cluster")),
                ),
                of_cluster(
                    "POST",
                    "/events",
                    self.add_events,
                    "Store events of a cluster",
                    Answer(reference("Stored"), 201),
                    *(409, 413),
                    body=Body(Events),
                ),
                of_cluster(
                    "GET",
                    "/archive",
                    self.preview,
                    "Download the archive that would be sent",
                    archive,
                    answers_head=False,
                ),
                of_cluster(
                    "POST",
                    "/export",
                    self.export,
                    "Export the archive for a manual upload; the service no longer sends it",
                    archive,
                    409,
                ),
                of_cluster(
                    "POST",
                    "/send",
                    self.send,
                    "Send the newest archive, even if it was sent before",
                    Answer(reference("Sending"), 202),
                    409,
                ),
                of_cluster("PUT", "/opt-out", self.opt_out, "Stop sending anything about a cluster", none),
                of_cluster(
                    "DELETE",
                    "/opt-out",
                    self.opt_in,
                    "Resume sending about a cluster, for installations that end from now on",
                    none,
                ),
            ],
        )

    async def health(self, _request: web.Request) -> web.Response:
        """Check that the process answers."""
        return json_response({"status": "ok"})

    async def sendings(self, request: web.Request) -> web.Response:
        """List what was sent, newest first."""
        query = request.query
        count, found = await self.ledger.listed(
            cluster_id=_OF_CLUSTER.read(query),
            state=_STATE.read(query),
            limit=_LIMIT.read(query),
            offset=_OFFSET.read(query),
        )
        return json_response({"count": count, "data": [_shown(sending) for sending in found]})

    async def cluster(self, request: web.Request) -> web.Response:
        """Show the sendings of one cluster."""
        cluster_id = await self._known(request)
        _, found = await self.ledger.listed(cluster_id=cluster_id, state=None, limit=_MAX_LIMIT, offset=0)
        return json_response(
            {
                "id": cluster_id,
                "opted_out": await self.ledger.opted_out(cluster_id),
                "sendings": [_shown(sending) for sending in found],
            }
        )

    async def simulate(self, request: web.Request) -> web.Response:
        """Register simulated installations."""
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
        """Download the archive that would be sent."""
        return await _streamed(request, self._archive(await self._known(request)))

    async def export(self, request: web.Request) -> web.StreamResponse:
        """Export the archive for a manual upload; it is no longer sent."""
        sending = await self._wanted(request)
        if not await self.ledger.take_for_export(sending):
            raise Refusal(409, "the cluster's archive is being sent now")
        try:
            return await _streamed(request, self._archive(sending.cluster_id))
        except BaseException:
            if sending.state in {"waiting", "sending"}:
                await asyncio.shield(self.ledger.again(sending))
            raise

    async def send(self, request: web.Request) -> web.Response:
        """Send the last installation's archive (again), whatever its state."""
        sending = await self._wanted(request)
        if sending.state != "sending":
            await self.ledger.again(sending)
        return json_response(_shown(await self.ledger.newest(sending.cluster_id) or sending), 202)

    async def opt_out(self, request: web.Request) -> web.Response:
        """Stop sending anything about a cluster, even if it is not known yet."""
        await self.ledger.opt_out(_CLUSTER_ID.read(request.match_info))
        return web.Response(status=204)

    async def opt_in(self, request: web.Request) -> web.Response:
        """Resume sending, for installations that end from now on."""
        await self.ledger.opt_in(_CLUSTER_ID.read(request.match_info))
        return web.Response(status=204)

    def _archive(self, cluster_id: str) -> AbstractAsyncContextManager[Archive]:
        try:
            secret = management_secret(self.settings)
        except BadCredentials:
            secret = ""
        return self.builder.preview(cluster_id, secret)

    async def _known(self, request: web.Request) -> str:
        cluster_id = _CLUSTER_ID.read(request.match_info)
        if not await self.installer.exists(cluster_id):
            raise Refusal(404, f"the installer has no cluster {cluster_id}")
        return cluster_id

    async def _wanted(self, request: web.Request) -> Sending:
        """Return the end whose archive is requested."""
        cluster_id = await self._known(request)
        refusal = OPTED_OUT if await self.ledger.opted_out(cluster_id) else self.consent.refusal()
        if refusal:
            raise Refusal(409, refusal)
        sending = await self.ledger.newest(cluster_id)
        if sending is None:
            raise Refusal(409, "no installation of the cluster has ended yet")
        return sending

    def _own_tables(self) -> Registry:
        if self.registry is None:
            raise Refusal(409, "ASSISTED_DATABASE_URL names an installer's database, which is only read")
        return self.registry

    @web.middleware
    async def _authenticated(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if (self.settings.token or self.auth) and request.path not in _OPEN:
            _check_token(request, self.settings.token)
        return await handler(request)


def _check_token(request: web.Request, token: str) -> None:
    """Raise 400 for a malformed header, 401 for a wrong token; always 401 if no token is configured."""
    try:
        scheme, sent = sent_authorization(request.headers)
    except BadAuthorization as error:
        raise Refusal(400, str(error)) from None
    if not token or scheme != "bearer" or not hmac.compare_digest(sent.encode(), token.encode()):
        unset = "" if token else ", which is not set"
        raise Refusal(401, f"expected the bearer token of ASSISTED_EVENTS_TOKEN{unset}")


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


def _made(cluster_id: str, hosts: int, stored: Stored) -> dict[str, Any]:
    return {"id": cluster_id, "hosts": hosts, "events": stored.events, "discarded": stored.discarded}


def _shown(sending: Sending) -> dict[str, Any]:
    return {
        name: rfc3339(value) if hasattr(value, "tzinfo") else value
        for name, value in asdict(sending).items()
        if name != "id"
    }
