"""The consumer runtime beside bare aiokafka on the same topic."""

import asyncio
import time
import uuid

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from headrace.bus.admin import ensure_topics
from headrace.bus.consumer import Consumer, Delivery
from headrace.bus.consumption import Consumption
from headrace.bus.producer import Producer
from headrace.bus.statuses import StatusReporter
from headrace.contracts.announcement import Announcement
from headrace.contracts.topics import PAYLOAD_STATUS, UPLOAD_ANNOUNCE, Topic
from headrace.runtime.settings import EngineSettings
from tests.bench.load import Load, closed_loop
from tests.bench.report import Figure, of_rounds

TITLE = "Consumer runtime"
TEXT = (
    "Announcements of about 700 bytes on three partitions, one consuming process, a handler that does nothing. Bare: "
    "aiokafka's getmany and the same validation, without order per key, retries, commits of finished work or metrics. "
    "With statuses: `received` and `success` acknowledged by the broker for every message."
)
MESSAGES = 20_000
ROUNDS = 3


async def measure(settings: EngineSettings) -> list[Figure]:
    """Rates and the latency from send to handler."""
    topic = Topic(f"bench-{uuid.uuid4().hex[:8]}", Announcement)
    await ensure_topics(settings, [topic, PAYLOAD_STATUS])
    producer = await Producer.open(settings, service="bench")
    try:
        sending = await closed_loop(
            lambda n: producer.send(topic, _announcement(), key=f"k{n % 500}"), MESSAGES, 64
        )
        bare = [await _bare(settings, topic) for _ in range(ROUNDS)]
        plain = [await _runtime(settings, producer, topic, with_statuses=False) for _ in range(ROUNDS)]
        reported = [await _runtime(settings, producer, topic, with_statuses=True) for _ in range(ROUNDS)]
        delay = await _delay(settings, producer)
    finally:
        await producer.close()
    return [
        Figure("sends acknowledged, 64 in flight", f"{sending.per_second:.0f} /s"),
        of_rounds("bare aiokafka", bare, "/s"),
        of_rounds("runtime", plain, "/s"),
        of_rounds("runtime, with statuses", reported, "/s"),
        Figure("send to handler, p50", f"{delay.percentile(0.5) * 1000:.1f} ms"),
        Figure("send to handler, p99", f"{delay.percentile(0.99) * 1000:.1f} ms"),
    ]


async def drained(settings: EngineSettings, group: str, *, within_seconds: float) -> None:
    """Wait until a group has committed all announcements."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka)
    await admin.start()
    await consumer.start()
    partitions = [TopicPartition(UPLOAD_ANNOUNCE.name, n) for n in range(UPLOAD_ANNOUNCE.partitions)]
    try:
        async with asyncio.timeout(within_seconds):
            while True:
                ends = await consumer.end_offsets(partitions)
                done = await admin.list_consumer_group_offsets(group)
                if all(end == 0 or (at in done and done[at].offset >= end) for at, end in ends.items()):
                    return
                await asyncio.sleep(0.5)
    finally:
        await consumer.stop()
        await admin.close()


def _announcement() -> Announcement:
    return Announcement(
        account="1", category="periodic", content_type="application/vnd.redhat.ols.periodic+tar", org_id="1",
        request_id=uuid.uuid4().hex, principal="1", service="ols", size=1, url="http://127.0.0.1:9000/x?" + "y" * 300,
        timestamp="2026-11-23T00:00:00Z",
    )  # fmt: skip


async def _bare(settings: EngineSettings, topic: Topic[Announcement]) -> float:
    consumer = AIOKafkaConsumer(
        topic.name, bootstrap_servers=settings.kafka, auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    try:
        began, count = time.perf_counter(), 0
        async with asyncio.timeout(120):
            while count < MESSAGES:
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    for record in records:
                        Announcement.from_json(record.value)
                    count += len(records)
        return count / (time.perf_counter() - began)
    finally:
        await consumer.stop()


async def _runtime(
    settings: EngineSettings, producer: Producer, topic: Topic[Announcement], *, with_statuses: bool
) -> float:
    """Messages a second, from the first handled to the last."""
    times: list[float] = []
    all_handled = asyncio.Event()

    async def handle(_message: Announcement, _delivery: Delivery) -> None:
        times.append(time.perf_counter())
        if len(times) >= MESSAGES:
            all_handled.set()

    consumer = Consumer(
        Consumption(topic, group=f"bench-{uuid.uuid4().hex[:8]}", concurrency=64),
        handle,
        service="bench",
        settings=settings,
        producer=producer,
        statuses=StatusReporter(producer, "bench") if with_statuses else None,
    )
    running = asyncio.create_task(consumer.run())
    try:
        async with asyncio.timeout(120):
            await all_handled.wait()
    finally:
        await consumer.stop()
        await running
    return len(times) / (times[-1] - times[0])


async def _delay(settings: EngineSettings, producer: Producer) -> Load:
    """From send to handler, one message at a time."""
    topic = Topic(f"bench-{uuid.uuid4().hex[:8]}", Announcement)
    await ensure_topics(settings, [topic])
    handled: asyncio.Queue[float] = asyncio.Queue()

    async def handle(_message: Announcement, _delivery: Delivery) -> None:
        handled.put_nowait(time.perf_counter())

    consumer = Consumer(
        Consumption(topic, group="bench"), handle, service="bench", settings=settings, producer=producer
    )
    running = asyncio.create_task(consumer.run())
    latencies = []
    try:
        async with asyncio.timeout(120):
            for _ in range(520):
                sent = time.perf_counter()
                await producer.send(topic, _announcement())
                latencies.append(await handled.get() - sent)
    finally:
        await consumer.stop()
        await running
    return Load(1.0, latencies[20:])
