"""Far more large uploads at once than ingress has room for: 429 for some, and a memory that stays within a gigabyte."""

import asyncio
import uuid
from collections import Counter

import aiohttp
import psutil
import pytest

from headrace.bus.admin import ensure_topics
from headrace.contracts.announcement import Announcement
from headrace.contracts.topics import Topic
from headrace.local.ports import EnginePorts
from headrace.objects.endpoint import S3Endpoint
from headrace.objects.store import ObjectStore
from headrace.runtime.settings import EngineSettings
from tests.integration.ingress.harness import FORM, ID_HEADER, IDENTITY, UPLOAD, form, part
from tests.processes import ServiceProcess
from tests.waiting import eventually

GIBIBYTE = 1 << 30


async def streamed(size_bytes):
    """A whole form, made as it is sent: senders hold nothing."""
    whole = form(part(b"@"))
    before, _, after = whole.partition(b"@")
    yield before
    piece = b"x" * (1 << 16)
    for _ in range(size_bytes // len(piece)):
        yield piece
    yield after


@pytest.mark.row(10)
@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_hundred_large_uploads_at_once_stay_within_a_gibibyte(
    kafka_url, s3_url, fresh, tmp_path, row
):
    topics = {name: fresh("memory") for name in ("ANNOUNCE", "SOURCES", "TRACKER")}
    bucket = fresh("memory")
    settings = EngineSettings(kafka=kafka_url, s3=s3_url)
    await ensure_topics(settings, [Topic(name, Announcement) for name in topics.values()])
    store = await ObjectStore.open(S3Endpoint.of(settings))
    port = EnginePorts.random().kafka
    service = ServiceProcess(
        ("ingress",),
        {
            "HEADRACE_KAFKA": kafka_url, "HEADRACE_S3": s3_url, "INGRESS_WEBPORT": str(port),
            "INGRESS_STAGEBUCKET": bucket, "INGRESS_QUEUESECONDS": "2",
            "INGRESS_MAXCONCURRENTUPLOADS": str(row["places"]),
            **{f"INGRESS_KAFKA{name}TOPIC": topic for name, topic in topics.items()},
        },
        port + 1,
        tmp_path / "ingress.log",
    )  # fmt: skip
    try:
        await store.ensure_bucket(bucket)
        await service.start(ready_within_seconds=120)
        process, peak = psutil.Process(service.pid), 0
        idle = process.memory_info().rss
        answers = Counter()
        timeout = aiohttp.ClientTimeout(total=500)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:

            async def upload():
                headers = {"x-rh-identity": IDENTITY, ID_HEADER: uuid.uuid4().hex, "Content-Type": FORM}
                try:
                    async with session.post(
                        f"http://127.0.0.1:{port}{UPLOAD}", data=streamed(row["mib"] << 20), headers=headers
                    ) as response:
                        answers[response.status, response.headers.get("Retry-After", "")] += 1
                except aiohttp.ClientError:
                    # It was refused before the body was read, and the connection closed under the sender.
                    answers[0, ""] += 1

            uploading = [asyncio.create_task(upload()) for _ in range(row["uploads"])]
            while not all(task.done() for task in uploading):
                peak = max(peak, process.memory_info().rss)
                await asyncio.wait(uploading, timeout=0.05)
        row.record(
            uploads=f"{row['uploads']} x {row['mib']} MiB",
            answers={status or "closed": count for (status, _), count in sorted(answers.items())},
            idle_mib=idle >> 20,
            peak_mib=peak >> 20,
        )
        assert sum(answers.values()) == row["uploads"]
        assert {key for key in answers if key[0]} <= {(202, ""), (429, "5")}
        assert answers[202, ""] >= row["places"]
        assert peak < GIBIBYTE
        # It goes on as if nothing had been.
        await eventually(service.is_ready)
        assert await service.stop() == 0
    finally:
        if service.process is not None and service.process.returncode is None:
            await service.kill()
        await store.close()
