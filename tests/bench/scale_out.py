"""Two processes of a consumer against one: the rules engine and the ROS processor."""

import asyncio
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil
from prometheus_client.parser import text_string_to_metric_families

from headrace.bus.producer import Outgoing, Producer
from headrace.contracts.identity import Identity, Internal, encode_identity
from headrace.contracts.ros import RosEvent, RosMetadata
from headrace.contracts.topics import ROS_EVENTS, UPLOAD_ANNOUNCE
from headrace.objects.endpoint import S3Endpoint
from headrace.objects.store import ObjectStore
from headrace.samples import KINDS, SampleOptions
from tests.bench.report import Figure
from tests.bench.rules_archives import MEDIUM, archive
from tests.bench.rules_service import _announcement
from tests.replicas import Cluster, Replica
from tests.unit.samples.test_samples import members_of
from tests.waiting import eventually

TITLE = "Two replicas against one"
TEXT = (
    "The same backlog on six partitions, taken up by one process and by two, each with one worker or polars thread. "
    "Core seconds are user and system time: of the consumer's own processes, and of what it makes Kafka, S3, "
    "PostgreSQL and Kruize do. They share this machine, so that no number of processes comes to more than its cores "
    "divided by the core seconds of one item: that limit stands beside what was measured."
)
ARCHIVES = 40
FILES = 20
OBJECTS = 8
ENVIRONMENT = {"RULES_ENGINE_WORKERS": "1", "POLARS_MAX_THREADS": "1", "HEADRACE_KAFKA_PARTITIONS": "6"}
Burst = Callable[[], Awaitable[int]]


@dataclass
class Round:
    """One backlog's way through so many processes."""

    per_second: float
    own_seconds: float
    other_seconds: float

    @property
    def limit(self) -> float:
        """Items a second that this machine's cores allow."""
        return psutil.cpu_count() / (self.own_seconds + self.other_seconds)


async def measure() -> list[Figure]:
    """Both consumers, one and two processes."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        async with Cluster(directory, **ENVIRONMENT) as cluster:
            producer = await Producer.open(cluster.settings, service="bench")
            store = await ObjectStore.open(S3Endpoint.of(cluster.settings))
            try:
                rules = await _announced(store, producer)
                figures = await _compared(cluster, "rules_engine", rules)
                await asyncio.gather(cluster.add(("kruize",)), cluster.add(("sources_api",)))
                usage = await _usage(store, producer, directory)
                figures += await _compared(cluster, "ros_processor", usage)
            finally:
                await store.close()
                await producer.close()
    return figures


async def _compared(cluster: Cluster, name: str, burst: Burst) -> list[Figure]:
    rounds = []
    replicas: list[Replica] = []
    for _ in range(2):
        replicas.append(await cluster.add((name,)))
        # What a first message has to load is loaded before the clock runs.
        await _through(replicas, name, await burst())
        rounds.append(await _measured(cluster, replicas, name, burst))
    for replica in replicas:
        await cluster.remove(replica)
    one, two = rounds
    return [
        Figure(f"{name}: one process", f"{one.per_second:.1f} /s", f"cores allow {one.limit:.1f} /s"),
        Figure(f"{name}: two processes", f"{two.per_second:.1f} /s", f"cores allow {two.limit:.1f} /s"),
        Figure(f"{name}: two against one", f"{two.per_second / one.per_second:.2f} x", bar=">= 1.7 x"),
        Figure(
            f"{name}: core seconds an item",
            f"{one.own_seconds * 1000:.0f} ms",
            f"and {one.other_seconds * 1000:.0f} ms of engines and peers",
        ),
    ]


async def _measured(cluster: Cluster, replicas: Sequence[Replica], name: str, burst: Burst) -> Round:
    own = [replica.process.pid for replica in replicas]
    peers = [replica.process.pid for replica in cluster.replicas if replica not in replicas]
    engines = [child.pid for child in psutil.Process().children() if child.pid not in {*own, *peers}]
    before = _cpu_seconds(own), _cpu_seconds([*peers, *engines])
    began = time.perf_counter()
    count = await burst()
    await _through(replicas, name, count)
    seconds = time.perf_counter() - began
    after = _cpu_seconds(own), _cpu_seconds([*peers, *engines])
    return Round(count / seconds, (after[0] - before[0]) / count, (after[1] - before[1]) / count)


_ended: dict[str, float] = {}


async def _through(replicas: Sequence[Replica], name: str, count: int) -> None:
    """Wait until so many more messages have ended, well."""
    async with aiohttp.ClientSession() as session:

        async def total() -> float:
            return sum([await _processed(session, replica, name) for replica in replicas])

        goal = _ended.get(name, 0.0) + count

        async def reached() -> bool:
            return await total() >= goal

        await eventually(reached, within_seconds=600, every_seconds=0.05, describe=f"{name}: {count} ended")
        _ended[name] = await total()


async def _processed(session: aiohttp.ClientSession, replica: Replica, name: str) -> float:
    async with session.get(f"http://127.0.0.1:{replica.process.admin_port}/metrics") as response:
        families = text_string_to_metric_families(await response.text())
    return sum(
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == "headrace_messages_total"
        and (sample.labels["service"], sample.labels["outcome"]) == (name, "processed")
    )


def _cpu_seconds(pids: Sequence[int]) -> float:
    found = 0.0
    for pid in pids:
        process = psutil.Process(pid)
        for each in (process, *process.children(recursive=True)):
            times = each.cpu_times()
            found += times.user + times.system
        times = process.cpu_times()
        found += times.children_user + times.children_system
    return found


async def _announced(store: ObjectStore, producer: Producer) -> Burst:
    """Announcements of Insights archives that are in S3."""
    bucket = f"bench-{uuid.uuid4().hex[:8]}"
    await store.ensure_bucket(bucket)
    content = archive(MEDIUM)
    for number in range(OBJECTS):
        await store.put(bucket, str(number), [content])

    async def burst() -> int:
        await producer.send_all(
            [
                Outgoing.of(
                    UPLOAD_ANNOUNCE,
                    _announcement(bucket, number % OBJECTS),
                    key=uuid.uuid4().hex,
                    headers={"service": "openshift"},
                )
                for number in range(ARCHIVES)
            ]
        )
        return ARCHIVES

    return burst


async def _usage(store: ObjectStore, producer: Producer, directory: Path) -> Burst:
    """Events of usage files, each time of clusters nobody has seen."""
    path = KINDS["cost"].generate(directory, SampleOptions(seed=1, workloads=4))[0]
    files = {name: text for name, text in (await members_of(path)).items() if name.startswith("ros-")}
    for name, text in files.items():
        await store.put("ros-data", name, [text])
    identity = encode_identity(Identity(org_id="1", type="User", internal=Internal(org_id="1")))

    def event() -> RosEvent:
        cluster = str(uuid.uuid4())
        return RosEvent(
            request_id=uuid.uuid4().hex,
            b64_identity=identity,
            metadata=RosMetadata(org_id="1", source_id="1", cluster_uuid=cluster, cluster_alias=cluster),
            files=[store.presign("ros-data", name, expires_seconds=3600) for name in files],
            object_keys=list(files),
        )

    async def burst() -> int:
        await producer.send_all(
            [Outgoing.of(ROS_EVENTS, event(), key=uuid.uuid4().hex) for _ in range(FILES)]
        )
        return FILES

    return burst


if __name__ == "__main__":
    for row in asyncio.run(measure()):
        print(f"{row.name:40} {row.value:>14}  {row.spread:30} {row.bar}")
