"""Connects the tracker's parts: statuses from Kafka into PostgreSQL, REST, and the deletion of old payloads."""

import asyncio
from datetime import timedelta
from typing import Final

from headrace.runtime.errors import Retryable
from headrace.runtime.logging import get_logger
from headrace.service.context import Context
from headrace_services.payload_tracker.api import Api
from headrace_services.payload_tracker.handlers import status_handler
from headrace_services.payload_tracker.settings import TrackerSettings
from headrace_services.payload_tracker.states import States
from headrace_services.payload_tracker.store import BatchWriter, TrackerStore

_log = get_logger(__name__)

_FORGET_EVERY_SECONDS: Final = 600.0
_SETTLE_EVERY_SECONDS: Final = 60.0


async def start(context: Context) -> None:
    """Consume, serve, forget."""
    settings = context.settings(TrackerSettings)
    database = await context.database()
    store, states = TrackerStore(database), States(database)
    await states.expect(settings.expected)
    handler = status_handler(BatchWriter(store), request_id_length=settings.request_id_length)
    (statuses,) = context.row.consumes
    # Reporting on reports would never end. Their order does not matter to the rows,
    # so those of one request need not wait for one another.
    await context.consume(statuses, handler, report_status=False, key=lambda _message, _delivery: None)
    auth = not context.lenient if settings.auth is None else settings.auth
    api = Api(store, states, await context.objects(), settings, auth=auth)
    await context.listen(api.application())
    context.spawn("settling", lambda: keep_settling(states))
    if settings.retention_days:
        context.spawn("retention", lambda: keep_forgetting(store, timedelta(days=settings.retention_days)))


async def keep_settling(states: States) -> None:
    """Give payloads of earlier releases a state, a bounded number at a time."""
    while True:
        try:
            while settled := await states.settle():
                _log.info("payloads_settled", count=settled)
        except Retryable as error:
            _log.warning("settling_postponed", reason=str(error))
        await asyncio.sleep(_SETTLE_EVERY_SECONDS)


async def keep_forgetting(store: TrackerStore, older_than: timedelta) -> None:
    """Delete old payloads periodically, a bounded number at a time, so that no lock is held for long."""
    while True:
        try:
            while gone := await store.forget(older_than):
                _log.info("payloads_forgotten", count=gone)
        except Retryable as error:
            _log.warning("retention_postponed", reason=str(error))
        await asyncio.sleep(_FORGET_EVERY_SECONDS)
