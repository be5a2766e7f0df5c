"""Announced archives fetched, evaluated by two workers, and published."""

import asyncio
import os
import statistics
import time
import uuid

import aiohttp
import psutil

from headrace.bus.admin import ensure_topics
from headrace.bus.consumer import Consumer
from headrace.bus.consumption import Consumption
from headrace.bus.delivery import Delivery
from headrace.bus.producer import Producer
from headrace.bus.statuses import StatusReporter
from headrace.contracts.announcement import Announcement, UnjudgedAnnouncement
from headrace.contracts.identity import Identity, Internal, encode_identity
from headrace.contracts.topics import OCP_RESULTS, PAYLOAD_STATUS, UPLOAD_ANNOUNCE, Topic
from headrace.objects.endpoint import S3Endpoint
from headrace.objects.fetch import Fetcher
from headrace.objects.store import ObjectStore
from headrace.rules.evaluation import RulesConfig
from headrace.rules.workers.pool import WorkerPool
from headrace.runtime.settings import EngineSettings
from headrace_services.rules_engine.downloading import Downloader
from headrace_services.rules_engine.handlers import RulesEngine
from headrace_services.rules_engine.publishing import Publication, rules_result
from headrace_services.rules_engine.settings import RulesEngineSettings
from tests.bench.load import closed_loop
from tests.bench.report import Figure, of_rounds
from tests.bench.rules_archives import MEDIUM, SMALL, archive

TITLE = "Rules engine"
TEXT = (
    "Announcements on three partitions, each archive fetched from S3 by key, evaluated by one of two workers with the "
    "project's rules for OpenShift, its report acknowledged by the broker, `received`, `processing` and `success` "
    "reported. Small and medium archives as above. A core second is one of the service and its workers together, "
    "without the servers that share the machine."
)
WORKERS = 2
DEADLINE_SECONDS = 30.0
MAX_RSS_BYTES = 512 << 20
ARCHIVES = {"small": 1500, "medium": 60}
SHAPES = {"small": SMALL, "medium": MEDIUM}
AIMS = {"small": ">= 250 /s", "medium": ""}
OBJECTS = 32
ROUNDS = 3


async def measure(settings: EngineSettings) -> list[Figure]:
    """Archives a second from message to published report, and of the workers alone."""
    pool = await WorkerPool.open(
        RulesConfig(("headrace.rule_pack",)),
        workers=WORKERS,
        deadline_seconds=DEADLINE_SECONDS,
        max_rss_bytes=MAX_RSS_BYTES,
    )
    store = await ObjectStore.open(S3Endpoint.of(settings))
    producer = await Producer.open(settings, service="bench")
    figures = []
    try:
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            downloader = Downloader(Fetcher(store, session, variable=""), MAX_RSS_BYTES)
            results = Topic(f"bench-{uuid.uuid4().hex[:8]}", OCP_RESULTS.message)
            await ensure_topics(settings, [results, PAYLOAD_STATUS])
            engine = RulesEngine(
                downloader.download,
                pool,
                [Publication(results.name, rules_result)],
                producer,
                StatusReporter(producer, "bench"),
            )
            for name in SHAPES:
                rounds = [await _rates(settings, producer, store, engine, pool, name) for _ in range(ROUNDS)]
                figures += [
                    of_rounds(f"{name}: workers alone", [alone for alone, _, _ in rounds], "/s"),
                    of_rounds(
                        f"{name}: message to report", [rate for _, rate, _ in rounds], "/s", bar=AIMS[name]
                    ),
                    of_rounds(f"{name}: … a core second", [core for _, _, core in rounds], ""),
                ]
            figures.append(Figure("RSS of a worker", f"{_rss_mib(pool):.0f} MiB", bar="< 100 MiB"))
    finally:
        await producer.close()
        await store.close()
        await pool.close()
    return figures


async def _rates(
    settings: EngineSettings,
    producer: Producer,
    store: ObjectStore,
    engine: RulesEngine,
    pool: WorkerPool,
    name: str,
) -> tuple[float, float, float]:
    """Of the pool alone, of the whole way, and of that way a core second."""
    content, count = archive(SHAPES[name]), ARCHIVES[name]

    async def evaluate(_number: int) -> None:
        await pool.evaluate(content)

    alone = await closed_loop(evaluate, count, WORKERS * 2)
    topic = Topic(f"bench-{uuid.uuid4().hex[:8]}", UnjudgedAnnouncement, UPLOAD_ANNOUNCE.partitions)
    await ensure_topics(settings, [topic])
    await store.ensure_bucket(topic.name)
    for number in range(OBJECTS):
        await store.put(topic.name, str(number), [content])
    values = [_announcement(topic.name, number).to_json() for number in range(count)]
    await closed_loop(lambda n: producer.send_raw(topic.name, values[n], key=None), count, 64)
    rate, core = await _consume(settings, producer, engine, pool, topic, count)
    return alone.per_second, rate, core


async def _consume(
    settings: EngineSettings,
    producer: Producer,
    engine: RulesEngine,
    pool: WorkerPool,
    topic: Topic[UnjudgedAnnouncement],
    count: int,
) -> tuple[float, float]:
    ended = asyncio.Event()
    times: list[float] = []
    spent: list[float] = []

    async def handle(message: UnjudgedAnnouncement, delivery: Delivery) -> str:
        text = await engine.handle(message, delivery)
        times.append(time.perf_counter())
        if len(times) in {1, count}:
            spent.append(_cpu_seconds(pool))
        if len(times) == count:
            ended.set()
        return text

    terms = RulesEngineSettings(workers=WORKERS, deadline_seconds=DEADLINE_SECONDS)
    consumption = Consumption(
        topic, group=topic.name, concurrency=terms.concurrency, deadline_seconds=terms.attempt_seconds
    )
    consumer = Consumer(
        consumption,
        handle,
        service="bench",
        settings=settings,
        producer=producer,
        statuses=StatusReporter(producer, "bench"),
    )
    running = asyncio.create_task(consumer.run())
    try:
        async with asyncio.timeout(120):
            await ended.wait()
    finally:
        await consumer.stop()
        await running
    return (count - 1) / (times[-1] - times[0]), (count - 1) / (spent[-1] - spent[0])


def _announcement(bucket: str, number: int) -> Announcement:
    identity = Identity(account_number="1", org_id="1", type="User", internal=Internal(org_id="1"))
    return Announcement(
        account="1", category="periodic", content_type="application/vnd.redhat.openshift.periodic+tar", org_id="1",
        request_id=uuid.uuid4().hex, principal="1", service="openshift", size=1, url="http://127.0.0.1:9000/x",
        timestamp="2026-11-23T00:00:00Z", b64_identity=encode_identity(identity), bucket=bucket,
        object_key=str(number % OBJECTS),
    )  # fmt: skip


def _cpu_seconds(pool: WorkerPool) -> float:
    processes = [psutil.Process(pid) for pid in (os.getpid(), *pool.pids)]
    return sum(process.cpu_times().user + process.cpu_times().system for process in processes)


def _rss_mib(pool: WorkerPool) -> float:
    return statistics.mean(psutil.Process(pid).memory_info().rss for pid in pool.pids) / 2**20
