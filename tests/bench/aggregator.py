"""Reports from the topic into the aggregator's tables."""

import asyncio
import os
import time
import uuid
from pathlib import Path

import orjson
import psutil

import headrace_services.results_aggregator
from headrace.bus.admin import ensure_topics
from headrace.bus.consumer import Consumer
from headrace.bus.consumption import Consumption
from headrace.bus.delivery import Delivery
from headrace.bus.producer import Producer
from headrace.bus.statuses import StatusReporter
from headrace.contracts.rules import UnjudgedResult
from headrace.contracts.topics import OCP_RESULTS, PAYLOAD_STATUS, Topic
from headrace.database.migrations import migrate
from headrace.database.pool import Database
from headrace.runtime.settings import EngineSettings
from headrace_services.results_aggregator.handlers import Aggregator
from headrace_services.results_aggregator.store import AggregatorStore
from tests.bench.load import closed_loop
from tests.bench.report import Figure, of_rounds

TITLE = "Results aggregator"
TEXT = (
    "Reports with ten rule hits (about 5 kB) of 1000 clusters, consumed from three partitions by one process and "
    "stored with hits, recommendations and version; `received` and `success` reported for each. First of clusters not "
    "known yet, then newer ones of the same clusters, then the same messages delivered again. A core second is one "
    "of the process itself, or of the process' and PostgreSQL's together."
)
CLUSTERS = 1000
HITS = 10
ROUNDS = 3
AIM = "at least 500 /s"


async def measure(settings: EngineSettings) -> list[Figure]:
    """Rates of storing, by what is known already."""
    name = f"bench_{uuid.uuid4().hex[:8]}"
    database = await Database.open(settings.postgres, name, service="bench")
    producer = await Producer.open(settings, service="bench")
    try:
        await migrate(database, Path(headrace_services.results_aggregator.__path__[0]) / "migrations")
        aggregator = Aggregator(AggregatorStore(database))
        new = await _rate(settings, producer, aggregator, minute=0)
        newer = [await _rate(settings, producer, aggregator, minute=1 + n) for n in range(ROUNDS)]
        again = [await _rate(settings, producer, aggregator, minute=ROUNDS) for _ in range(ROUNDS)]
    finally:
        await producer.close()
        await database.close()
    return [
        Figure("stored, new clusters", f"{new[0]:.0f} /s", bar=AIM),
        of_rounds("stored, known clusters", [rate for rate, _, _ in newer], "/s", bar=AIM),
        of_rounds("… a core second of the process", [own for _, own, _ in newer], "", bar="at least 500"),
        of_rounds("… a core second with PostgreSQL's", [both for _, _, both in newer], ""),
        of_rounds("delivered again", [rate for rate, _, _ in again], "/s"),
    ]


async def _rate(
    settings: EngineSettings, producer: Producer, aggregator: Aggregator, *, minute: int
) -> tuple[float, float, float]:
    """Messages a second, a core second of this process, and one of PostgreSQL's and this process' together."""
    topic = Topic(f"bench-{uuid.uuid4().hex[:8]}", UnjudgedResult, OCP_RESULTS.partitions)
    await ensure_topics(settings, [topic, PAYLOAD_STATUS])
    bodies = [_message(cluster, minute) for cluster in range(CLUSTERS)]
    await closed_loop(lambda n: producer.send_raw(topic.name, bodies[n], key=None), CLUSTERS, 64)
    began, ended = asyncio.Event(), asyncio.Event()
    count = 0

    async def handle(message: UnjudgedResult, delivery: Delivery) -> str:
        nonlocal count
        text = await aggregator.handle_report(message, delivery)
        count += 1
        began.set()
        if count == CLUSTERS:
            ended.set()
        return text

    consumer = Consumer(
        Consumption(topic, group=topic.name),
        handle,
        service="bench",
        settings=settings,
        producer=producer,
        statuses=StatusReporter(producer, "bench"),
    )
    running = asyncio.create_task(consumer.run())
    try:
        async with asyncio.timeout(120):
            await began.wait()
            first, start, own, postgres = count, time.perf_counter(), _own_seconds(), _postgres_seconds()
            await ended.wait()
            seconds = time.perf_counter() - start
            own, postgres = _own_seconds() - own, _postgres_seconds() - postgres
    finally:
        await consumer.stop()
        await running
    done = CLUSTERS - first
    return done / seconds, done / own, done / (own + postgres)


def _message(cluster: int, minute: int) -> bytes:
    reports = [
        {
            "rule_id": f"rule_{n}|KEY_{n}",
            "component": f"headrace_pack.rules.rule_{n}.report",
            "type": "rule",
            "key": f"KEY_{n}",
            "details": {"type": "rule", "error_key": f"KEY_{n}", "nodes": ["node-" + "x" * 20] * 10},
            "tags": ["openshift"],
            "links": {"kcs": ["https://example.com/solutions/1"]},
        }
        for n in range(cluster % 3, cluster % 3 + HITS)
    ]
    version = {"info_id": "version_info|CLUSTER_VERSION_INFO", "details": {"version": "4.16.3"}}
    return orjson.dumps(
        {
            "OrgID": 1 + cluster % 7,
            "AccountNumber": 1,
            "ClusterName": str(uuid.UUID(int=cluster)),
            "Report": {
                "system": {"metadata": {}, "hostname": None},
                "reports": reports,
                "fingerprints": [],
                "info": [version],
            },
            "LastChecked": f"2026-11-21T21:{minute:02}:22.990776891Z",
            "Version": 2,
            "RequestId": f"{cluster}-{minute}",
            "Metadata": {"gathering_time": "2026-11-21T21:00:00Z"},
        }
    )


def _own_seconds() -> float:
    spent = psutil.Process(os.getpid()).cpu_times()
    return spent.user + spent.system


def _postgres_seconds() -> float:
    """Of the servers' processes alive now; a connection that ends takes its share away, but none does here."""
    total = 0.0
    for process in psutil.process_iter(["name", "cpu_times"]):
        if process.info["name"] == "postgres" and process.info["cpu_times"]:
            total += process.info["cpu_times"].user + process.info["cpu_times"].system
    return total
