"""From the answer 202 to the archive's announcement, at a steady rate."""

import asyncio
import os
import time
import uuid

import aiohttp
from aiokafka import AIOKafkaConsumer

from headrace.contracts.archive_synced import ArchiveSynced
from headrace.contracts.topics import ARCHIVE_SYNCED
from tests.bench.load import Load, multipart_body, upload_headers
from tests.bench.report import Figure

TITLE = "From 202 to archived"
TEXT = (
    "50 uploads of 100 KB a second from 200 clusters, sent at their times whether or not earlier ones are answered; "
    "from the moment the sender has its 202 to the moment `ccx.archive.synced` is read."
)
RATE_PER_SECOND = 50
SECONDS = 20


async def measure(ingress_url: str, brokers: str) -> list[Figure]:
    """Percentiles of the latency."""
    answered: dict[str, float] = {}
    archived: dict[str, float] = {}
    count = RATE_PER_SECOND * SECONDS
    consumer = AIOKafkaConsumer(ARCHIVE_SYNCED.name, bootstrap_servers=brokers, auto_offset_reset="latest")
    await consumer.start()
    await consumer.seek_to_end()
    try:
        async with (
            aiohttp.ClientSession() as session,
            asyncio.timeout(SECONDS * 3),
            asyncio.TaskGroup() as group,
        ):
            group.create_task(_collect(consumer, archived, count))
            body = multipart_body(os.urandom(100_000))
            began = time.perf_counter()
            for number in range(count):
                await asyncio.sleep(max(0.0, began + number / RATE_PER_SECOND - time.perf_counter()))
                group.create_task(_upload(session, ingress_url, number, body, answered))
    finally:
        await consumer.stop()
    delays = Load(1.0, [archived[request_id] - at for request_id, at in answered.items()])
    return [
        Figure("p50", f"{delays.percentile(0.5) * 1000:.0f} ms"),
        Figure("p99", f"{delays.percentile(0.99) * 1000:.0f} ms", bar="< 1000 ms"),
        Figure("most", f"{max(delays.latencies) * 1000:.0f} ms"),
    ]


async def _upload(
    session: aiohttp.ClientSession, url: str, number: int, body: bytes, answered: dict[str, float]
) -> None:
    request_id = uuid.uuid4().hex
    headers = upload_headers(number, request_id)
    async with session.post(f"{url}/api/ingress/v1/upload", data=body, headers=headers) as response:
        if response.status != 202:
            raise RuntimeError(f"{response.status}: {await response.text()}")
        answered[request_id] = time.perf_counter()


async def _collect(consumer: AIOKafkaConsumer, archived: dict[str, float], count: int) -> None:
    while len(archived) < count:
        for records in (await consumer.getmany(timeout_ms=500)).values():
            now = time.perf_counter()
            for record in records:
                archived[str(ArchiveSynced.from_json(record.value).request_id)] = now
