"""Deletes reports that were last received too long ago."""

import asyncio
from datetime import datetime, timedelta
from typing import Final

from headrace.contracts.message import utc_now
from headrace.runtime.errors import Retryable
from headrace.runtime.logging import get_logger
from headrace_services.results_aggregator.store import AggregatorStore

_log = get_logger(__name__)

_FORGET_EVERY_SECONDS: Final = 3600.0


async def keep_forgetting(store: AggregatorStore, age: timedelta) -> None:
    """Delete what is older now and then, a bounded number at a time so that no lock is held for long."""
    while True:
        try:
            await forget(store, utc_now() - age)
        except Retryable as error:
            _log.warning("retention_postponed", reason=str(error))
        await asyncio.sleep(_FORGET_EVERY_SECONDS)


async def forget(store: AggregatorStore, before: datetime) -> int:
    """Delete all that is older; returns how many."""
    total = 0
    while gone := await store.forget(before):
        total += gone
    if total:
        _log.info("reports_forgotten", count=total, before=before.isoformat())
    return total
