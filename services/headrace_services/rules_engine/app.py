"""Connects the parts of rules_engine: announcements in, archives evaluated in processes, reports out."""

import aiohttp

from headrace.objects.fetch import Fetcher
from headrace.rules import require_insights_core
from headrace.service.context import Context
from headrace_services.rules_engine.settings import RulesEngineSettings


async def start(context: Context) -> None:
    """Load the rules and consume announcements."""
    require_insights_core()
    from headrace.rules.evaluation import RulesConfig
    from headrace.rules.workers.pool import WorkerPool
    from headrace_services.rules_engine.downloading import Downloader
    from headrace_services.rules_engine.handlers import RulesEngine
    from headrace_services.rules_engine.publishing import FORMS, Publication

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
        [
            Publication(topic.name, FORMS[topic.message])
            for topic in context.row.produces
            if topic.message in FORMS
        ],
        await context.producer(),
        await context.statuses(),
    )
    (announcements,) = context.row.consumes
    await context.consume(announcements, engine.handle)
