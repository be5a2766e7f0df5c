"""Connects Kruize's parts: HTTP, PostgreSQL, and the deletion of old data."""

import asyncio
import random
from datetime import timedelta
from typing import Final

from headrace.contracts.message import utc_now
from headrace.runtime.errors import Retryable
from headrace.runtime.logging import get_logger
from headrace.service.context import Context
from headrace_services.kruize.api import Api
from headrace_services.kruize.cache import ExperimentCache
from headrace_services.kruize.handlers import Recommender
from headrace_services.kruize.listing import Listing
from headrace_services.kruize.profiles import Profiles
from headrace_services.kruize.results import Results
from headrace_services.kruize.settings import KruizeSettings
from headrace_services.kruize.store import ExperimentStore, ProfileStore, ResultStore

_log = get_logger(__name__)

_RETIRE_EVERY_SECONDS: Final = 86_400.0
_RETRY_SECONDS: Final = 300.0


async def start(context: Context) -> None:
    """Serve the API and delete old data."""
    settings = context.settings(KruizeSettings)
    database = await context.database()
    experiments, results = ExperimentStore(database), ResultStore(database)
    cache = ExperimentCache(experiments, settings.cached_experiments)
    api = Api(
        store=experiments,
        cache=cache,
        results=Results(experiments, cache, results, settings),
        recommender=Recommender(results, plots=settings.plots),
        listing=Listing(experiments, results),
        profiles=Profiles(ProfileStore(database)),
        settings=settings,
    )
    await context.listen(api.application())
    context.spawn("retention", lambda: keep_retiring(results, timedelta(days=settings.retention_days)))


async def keep_retiring(results: ResultStore, older_than: timedelta) -> None:
    """Drop old partitions periodically; replicas run at different times."""
    while True:
        wait_seconds = _RETIRE_EVERY_SECONDS
        try:
            await results.retire(utc_now() - older_than)
        except Retryable as error:
            _log.warning("retention_postponed", reason=str(error))
            wait_seconds = _RETRY_SECONDS
        await asyncio.sleep(wait_seconds * random.uniform(0.9, 1.1))  # noqa: S311 -- spread, not secrecy
