"""Wiring: announcements in, archives fetched and evaluated in worker processes, reports out."""

import math
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

import aiohttp

from headrace.bus.consumption import Consumption
from headrace.contracts.topics import Topic
from headrace.objects.fetch import Fetcher
from headrace.runtime.errors import ConfigurationError
from headrace.service.context import Context
from headrace_services.rules_engine.settings import RulesEngineSettings

if TYPE_CHECKING:
    from headrace_services.rules_engine.publishing import Publication

# Beside the one in each worker: on their way from S3, or to Kafka.
_IN_HAND_PER_WORKER: Final = 4
_PUBLISH_SECONDS: Final = 30.0


async def start(context: Context) -> None:
    """Load the rules, consume."""
    if find_spec("insights") is None:
        raise ConfigurationError(
            "rules_engine: insights-core is not installed; expected the extra headrace[rules]"
        )
    from headrace.rules.evaluation import RulesConfig
    from headrace.rules.workers.pool import WorkerPool
    from headrace_services.rules_engine.downloading import Downloader
    from headrace_services.rules_engine.handlers import RulesEngine

    settings = context.settings(RulesEngineSettings)
    pool = await WorkerPool.open(
        RulesConfig(settings.packages, target_components=settings.target_components),
        workers=settings.worker_count,
        deadline_seconds=settings.deadline_seconds,
        max_rss_bytes=settings.max_rss_bytes,
    )
    context.on_close(pool.close)
    context.health.add("rules", lambda: pool.problem)
    session = aiohttp.ClientSession(auto_decompress=False)
    context.on_close(session.close)
    fetcher = Fetcher(
        await context.objects(),
        session,
        allowed_hosts=settings.allowed_hosts,
        variable="RULES_ENGINE_ALLOWED_HOSTS",
        max_bytes=settings.max_archive_bytes,
        fetch_seconds=settings.fetch_seconds,
    )
    engine = RulesEngine(
        Downloader(fetcher, settings.max_archive_bytes).download,
        pool,
        _publications(settings),
        await context.producer(),
        await context.statuses(),
    )
    (announcements,) = context.row.consumes
    await context.consume(
        consumption_for(
            announcements, settings.worker_count, settings.deadline_seconds, settings.fetch_seconds
        ),
        engine.handle,
    )


def consumption_for(
    consumption: Consumption, workers: int, deadline_seconds: float, fetch_seconds: float
) -> Consumption:
    """Make the terms that keep so many workers busy.

    An archive may have to wait for others that all come to their deadline, which is no fault of its own: the attempt's
    deadline is longer than that.
    """
    from headrace_services.rules_engine.messages import IncomingUpload

    known = consumption.topic
    concurrency = workers * (1 + _IN_HAND_PER_WORKER)
    turns = math.ceil(concurrency / workers) + 1
    return replace(
        consumption,
        topic=Topic(known.name, IncomingUpload, known.partitions),
        concurrency=concurrency,
        deadline_seconds=fetch_seconds + turns * deadline_seconds + _PUBLISH_SECONDS,
    )


def _publications(settings: RulesEngineSettings) -> "list[Publication]":
    from headrace_services.rules_engine.publishing import (
        Publication,
        rules_result,
        workload_info,
        workloads_result,
    )

    wanted = [
        Publication(settings.results_topic, rules_result),
        Publication(settings.workloads_topic, workloads_result),
        Publication(settings.workload_info_topic, workload_info),
    ]
    return [publication for publication in wanted if publication.topic]
