"""Connects the parts of assisted_events: the installer's tables in, archives to the endpoint, and a REST API."""

from typing import Final
from urllib.parse import urlsplit

import aiohttp

from headrace.database.pool import Database
from headrace.runtime.errors import ConfigurationError
from headrace.runtime.logging import get_logger
from headrace.service.context import Context
from headrace_services.assisted_events.api import Api
from headrace_services.assisted_events.archive import Builder
from headrace_services.assisted_events.client import Endpoint
from headrace_services.assisted_events.consent import Consent
from headrace_services.assisted_events.handlers import Sender
from headrace_services.assisted_events.leadership import Leadership
from headrace_services.assisted_events.ledger import Ledger
from headrace_services.assisted_events.registering import Registry
from headrace_services.assisted_events.settings import AssistedSettings
from headrace_services.assisted_events.store import InstallerStore
from headrace_services.assisted_events.worker import Worker

_log = get_logger(__name__)

# The installer's server also serves the installer.
_SOURCE_CONNECTIONS: Final = 3


async def start(context: Context) -> None:
    """Watch, send and serve."""
    settings = context.settings(AssistedSettings)
    own = await context.database()
    url, name = source = _source(context, settings, own.name)
    database = await Database.open(
        url, name, service=context.row.name, min_size=0, max_size=_SOURCE_CONNECTIONS, create=False
    )
    context.on_close(database.close)
    # The usual environment variables name a customer's proxy.
    session = aiohttp.ClientSession(trust_env=True, auto_decompress=False)
    context.on_close(session.close)
    installer, ledger = InstallerStore(database), Ledger(own)
    builder = Builder(installer, settings)
    consent = Consent(settings)
    sender = Sender(ledger, builder, Endpoint(session, settings), settings, consent)
    worker = Worker(installer, ledger, sender, settings, source, (context.postgres, own.name))
    leadership = Leadership(context.postgres, own.name, worker.run, settings.interval_seconds)
    context.health.add("leader election", lambda: leadership.problem)
    context.health.add("the installer's tables", lambda: worker.problem)
    context.health.add("consent", lambda: consent.problem)
    context.spawn("leader", leadership.run)
    registry = None if settings.database_url else Registry(own, settings.rate_limits)
    auth = not context.lenient if settings.auth is None else settings.auth
    if auth and not settings.token:
        _log.warning("rest_closed", meaning="ASSISTED_EVENTS_TOKEN is not set: every request is answered 401")
    api = Api(installer, ledger, builder, registry, settings, consent, auth=auth)
    await context.listen(api.application())


def _source(context: Context, settings: AssistedSettings, own: str) -> tuple[str, str]:
    """Return the URL and the name of the installer's database."""
    if not settings.database_url:
        return context.postgres, own
    name = urlsplit(settings.database_url).path.strip("/")
    if not name:
        raise ConfigurationError("ASSISTED_DATABASE_URL: got no database, expected postgresql://…/<database>")
    return settings.database_url, name
