"""Connects the parts of sources_api: REST over PostgreSQL, and its events to Kafka."""

from typing import Final

import aiohttp

from headrace.service.context import Context
from headrace.web.peer import Peer
from headrace_services.sources_api.api import Api
from headrace_services.sources_api.callers import Gate
from headrace_services.sources_api.changes import Changes
from headrace_services.sources_api.events import Relay
from headrace_services.sources_api.settings import SourcesSettings
from headrace_services.sources_api.store import Passwords
from headrace_services.sources_api.tenants import Tenants

_RBAC_SECONDS: Final = 10.0


async def start(context: Context) -> None:
    """Serve the API and relay events."""
    settings = context.settings(SourcesSettings)
    database = await context.database()
    passwords = Passwords(database, settings.encryption_key)
    await passwords.prepare(lenient=context.lenient)
    relay = Relay(database, await context.producer())
    tenants = Tenants(database)
    api = Api(
        database,
        tenants,
        Changes(database, tenants, passwords, relay),
        await _gate(context, settings),
        settings.max_body_bytes,
    )
    context.health.add("relays events", lambda: relay.problem)
    context.spawn("relay", relay.run)
    await context.listen(api.application())


async def _gate(context: Context, settings: SourcesSettings) -> Gate:
    is_open = settings.bypass_rbac or context.lenient
    rbac = None
    if settings.rbac_host and not is_open:
        session = aiohttp.ClientSession()
        context.on_close(session.close)
        rbac = Peer(session, settings.rbac_host, name="RBAC", timeout_seconds=_RBAC_SECONDS)
    return Gate(
        psks=tuple(psk.strip() for psk in settings.psks.split(",") if psk.strip()),
        open=is_open,
        default_org_id=settings.default_org_id if context.lenient else "",
        rbac=rbac,
    )
