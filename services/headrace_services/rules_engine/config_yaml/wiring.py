"""Starts an engine by a plan: worker pool, downloads, publisher, watchers, consumer."""

import asyncio
from dataclasses import dataclass, replace
from typing import Any, Final

import aiohttp
from aiohttp import web

from headrace.bus.admin import ensure_topics
from headrace.bus.consumer import Consumer
from headrace.bus.consumption import Consumption
from headrace.bus.producer import Producer
from headrace.bus.statuses import StatusReporter
from headrace.contracts.announcement import Announcement, UnjudgedAnnouncement
from headrace.contracts.message import Message
from headrace.contracts.status import PayloadStatus
from headrace.contracts.topics import Topic
from headrace.objects.endpoint import S3Endpoint
from headrace.objects.fetch import Fetcher
from headrace.rules.evaluation import DEFAULT_LIMITS
from headrace.rules.workers.pool import WorkerPool
from headrace.runtime import metrics
from headrace.runtime.errors import Retryable
from headrace.runtime.logging import get_logger
from headrace.runtime.settings import is_set
from headrace.service.context import Context
from headrace_services.rules_engine.config_yaml import classes
from headrace_services.rules_engine.config_yaml.adapters import (
    EVENTS,
    OwnDownloader,
    OwnPublisher,
    OwnThread,
    OwnWatchers,
)
from headrace_services.rules_engine.config_yaml.archives import ArchivePath, SyncedArchive, SyncedResult
from headrace_services.rules_engine.config_yaml.downloads import PipelineDownloads
from headrace_services.rules_engine.config_yaml.pipeline import NOWHERE, STDOUT, OwnEngine, Response, Routes
from headrace_services.rules_engine.config_yaml.plan import DownloadForm, IncomingForm, OutgoingForm, Pipeline
from headrace_services.rules_engine.handlers import RulesEngine
from headrace_services.rules_engine.publishing import (
    Publication,
    rules_result,
    workload_info,
    workloads_result,
)
from headrace_services.rules_engine.settings import RulesEngineSettings

_log: Final = get_logger(__name__)

_RETRY_TOPICS_SECONDS: Final = 5.0
_MESSAGES: Final = {
    IncomingForm.ANNOUNCEMENT: UnjudgedAnnouncement,
    IncomingForm.SYNCED: SyncedArchive,
    IncomingForm.IDP: ArchivePath,
}
_FORMS: Final = {
    OutgoingForm.RULES: rules_result,
    OutgoingForm.WORKLOADS: workloads_result,
    OutgoingForm.WORKLOAD_INFO: workload_info,
}


@dataclass(frozen=True)
class _IncomingTopic(Topic[Any]):
    """A topic whose dead letters go to the topic in the document."""

    dead_letter_topic: str = ""

    @property
    def dead_letters(self) -> str:
        return self.dead_letter_topic or super().dead_letters


@dataclass(frozen=True)
class OwnParts:
    """The instances of the user's own classes."""

    publisher: OwnPublisher | None
    downloader: OwnDownloader | None
    watchers: OwnWatchers
    any: bool


async def start(context: Context, plan: Pipeline) -> None:
    """Load the rules and the user's classes and consume; raises `ConfigurationError` with one line."""
    for note in plan.notes:
        _log.warning("config_without_effect", note=note)
    settings = context.settings(RulesEngineSettings)
    if plan.incoming.deadline_seconds is not None:
        settings = settings.model_copy(update={"deadline_seconds": plan.incoming.deadline_seconds})
    thread = OwnThread()
    context.on_close(thread.close)
    own = await thread.call(_own_parts, plan, thread)
    pool = await _open_pool(context, plan, settings)
    downloads = await _downloads(context, plan, settings, own.downloader)
    routes, statuses = await _routes(context, plan, own.publisher)
    engine = RulesEngine(downloads.download, pool, _publications(plan), routes, statuses)
    handler = OwnEngine(engine, plan.engine, routes, own.publisher, own.watchers) if own.any else engine
    await _serve_metrics(context, plan)
    await _consume(context, plan, settings, handler, statuses)


def _own_parts(plan: Pipeline, thread: OwnThread) -> OwnParts:
    publisher = downloader = None
    if plan.outgoing.own is not None:
        publisher = OwnPublisher(classes.build(plan.outgoing.own, "publish"), thread)
    if plan.download.own is not None:
        downloader = OwnDownloader(classes.build(plan.download.own, "get"), thread)
    watchers = [classes.build(own, *EVENTS) for own in plan.watchers.own]
    return OwnParts(
        publisher,
        downloader,
        OwnWatchers(watchers, thread, plan.rules.extract_directory),
        any=publisher is not None or bool(watchers),
    )


async def _open_pool(context: Context, plan: Pipeline, settings: RulesEngineSettings) -> WorkerPool:
    limits = DEFAULT_LIMITS
    if plan.max_unpacked_bytes is not None:
        limits = replace(limits, max_total_bytes=plan.max_unpacked_bytes)
    pool = await WorkerPool.open(
        plan.rules,
        workers=settings.worker_count,
        deadline_seconds=settings.deadline_seconds,
        max_rss_bytes=settings.max_rss_bytes,
        limits=limits,
    )
    context.on_close(pool.close)
    context.health.add("rules", lambda: pool.problem)
    return pool


async def _downloads(
    context: Context, plan: Pipeline, settings: RulesEngineSettings, own: OwnDownloader | None
) -> PipelineDownloads:
    of = plan.download
    auth = aiohttp.BasicAuth(of.username, of.password) if of.username else None
    session = aiohttp.ClientSession(auto_decompress=False, auth=auth)
    context.on_close(session.close)
    endpoint = None
    if of.form is DownloadForm.OBJECTS:
        endpoint = S3Endpoint.parse(
            of.endpoint or "https://s3.amazonaws.com", access_key=of.access_key, secret_key=of.secret_key
        )
    max_bytes = of.max_bytes or settings.max_archive_bytes
    fetcher = Fetcher(
        await context.objects(endpoint),
        session,
        allowed_hosts=settings.allowed_hosts,
        variable="RULES_ENGINE_ALLOWED_HOSTS",
        max_bytes=max_bytes,
        fetch_seconds=settings.fetch_seconds,
    )
    return PipelineDownloads(of, fetcher, max_bytes, own_store=is_set("HEADRACE_S3"), own=own)


async def _routes(
    context: Context, plan: Pipeline, publisher: OwnPublisher | None
) -> tuple[Routes, StatusReporter | None]:
    producers: dict[str, Producer] = {}
    if plan.outgoing.kafka is not None:
        producers[plan.outgoing.topic] = await context.producer(plan.outgoing.kafka.engines(context.engines))
    statuses = None
    if (tracker := plan.watchers.tracker) is not None:
        producers[tracker.topic] = await context.producer(tracker.kafka.engines(context.engines))
        topic = Topic(tracker.topic, PayloadStatus)
        statuses = StatusReporter(producers[tracker.topic], tracker.service_name, topic=topic)
    return Routes(producers, publisher), statuses


def _publications(plan: Pipeline) -> list[Publication]:
    out = plan.outgoing
    if out.form in _FORMS:
        return [Publication(out.topic, _FORMS[out.form], compressed=out.compressed)]
    if out.form is OutgoingForm.IDP_RULES:
        return [SyncedResult(out.topic, rules_result, compressed=out.compressed)]
    names = {OutgoingForm.STDOUT: STDOUT, OutgoingForm.NOTHING: NOWHERE}
    return [
        Response(names.get(out.form) or (out.own.name if out.own else ""), rules_result, engine=plan.engine)
    ]


async def _serve_metrics(context: Context, plan: Pipeline) -> None:
    if plan.watchers.prometheus_port is None:
        return

    async def show(_request: web.Request) -> web.Response:
        return web.Response(body=metrics.exposition(), headers={"Content-Type": "text/plain; version=0.0.4"})

    app = web.Application()
    # The Prometheus client's own server answers on every path, too.
    app.router.add_get("/{path:.*}", show)
    await context.listen(app, port=plan.watchers.prometheus_port)


async def _consume(
    context: Context,
    plan: Pipeline,
    settings: RulesEngineSettings,
    handler: RulesEngine | OwnEngine,
    statuses: StatusReporter | None,
) -> None:
    came = plan.incoming
    engines = came.kafka.engines(context.engines)
    topic = _IncomingTopic(came.topic, Announcement, dead_letter_topic=came.dead_letter_topic)
    terms = Consumption(
        topic,
        group=came.group,
        header="service" if came.service else "",
        values=frozenset({came.service} - {""}),
        reads=_MESSAGES[came.form],
        concurrency=settings.concurrency,
        deadline_seconds=settings.attempt_seconds,
        membership=came.membership,
    )
    consumer: Consumer[Any] = Consumer(
        terms,
        handler.handle,
        service=context.row.name,
        settings=engines,
        producer=await context.producer(engines),
        statuses=statuses,
    )
    context.consumers.append(consumer)
    context.health.add(f"consumes {came.topic}", lambda: consumer.problem)
    context.spawn("topics", lambda: _make_topics(context, plan, topic))
    context.spawn(came.topic, consumer.run)


async def _make_topics(context: Context, plan: Pipeline, incoming: _IncomingTopic) -> None:
    """Create the missing topics, however long Kafka is away."""
    wanted = [(plan.incoming.kafka, Topic(name, Message)) for name in (incoming.name, incoming.dead_letters)]
    if plan.outgoing.kafka is not None:
        wanted.append((plan.outgoing.kafka, Topic(plan.outgoing.topic, Message)))
    if plan.watchers.tracker is not None:
        wanted.append((plan.watchers.tracker.kafka, Topic(plan.watchers.tracker.topic, Message)))
    for kafka in dict.fromkeys(access for access, _ in wanted):
        topics = [topic for access, topic in wanted if access == kafka]
        while True:
            try:
                await ensure_topics(kafka.engines(context.engines), topics, with_dead_letters=False)
                break
            except Retryable as error:
                _log.warning("topics not made", reason=str(error))
                await asyncio.sleep(_RETRY_TOPICS_SECONDS)
