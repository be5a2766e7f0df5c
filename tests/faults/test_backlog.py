"""An hour's messages wait after an outage: they are drained faster than they come, in order, in flat memory."""

import asyncio
import itertools
import time
import uuid
from contextlib import AsyncExitStack

import psutil
import pytest
from aiokafka import AIOKafkaProducer

from headrace.contracts.announcement import Announcement
from headrace.contracts.identity import Identity, Internal, System, encode_identity
from headrace.contracts.message import rfc3339, utc_now
from headrace.contracts.status import PayloadStatus
from headrace.contracts.topics import ARCHIVE_SYNCED, PAYLOAD_STATUS, UPLOAD_ANNOUNCE
from headrace.objects.endpoint import S3Endpoint
from headrace.objects.store import ObjectStore
from tests.faults.whole import Whole
from tests.integration.bus.flow import Flow as BusFlow
from tests.waiting import eventually

HOUR_SECONDS = 3600
# How many statuses there are for each upload.
STATUSES = 10
CLUSTERS = 40
UPLOADED = "insights-upload-perma"
NAMES = ("payload_tracker", "archiver")


def announcement(number, info, when):
    """One upload of a cluster, its moment in the message too: nothing may be dropped for its age."""
    cluster_id = str(uuid.UUID(int=number % CLUSTERS))
    identity = Identity(
        org_id="1", type="System", internal=Internal(org_id="1"), system=System(cluster_id=cluster_id)
    )
    return cluster_id, Announcement(
        account="1", category="periodic", content_type="application/vnd.redhat.ols.periodic+tar",
        request_id=info.key,
        principal="1", org_id="1", service="ols", size=info.size, url=f"s3://{UPLOADED}/{info.key}",
        b64_identity=encode_identity(identity), timestamp=when, bucket=UPLOADED, object_key=info.key, etag=info.etag,
    )  # fmt: skip


async def stored(settings, count):
    """Small objects, each of other bytes."""
    store = await ObjectStore.open(S3Endpoint.of(settings))
    room = asyncio.Semaphore(16)

    async def put(number):
        async with room:
            return await store.put(UPLOADED, f"backlog-{number:08}", b"%d" % number * 50)

    try:
        return await asyncio.gather(*(put(number) for number in range(count)))
    finally:
        await store.close()


async def send_backlog(settings, infos):
    """Spread over the hour that is past, as messages and as records; how many statuses."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka, linger_ms=20)
    began_ms = int(time.time() * 1000) - HOUR_SECONDS * 1000
    await producer.start()
    try:
        for number, info in enumerate(infos):
            at_ms = began_ms + HOUR_SECONDS * 1000 * number // len(infos)
            cluster_id, message = announcement(number, info, rfc3339(utc_now()))
            await producer.send(
                UPLOAD_ANNOUNCE.name, message.to_json(), key=cluster_id.encode(),
                headers=[("service", b"ols")], timestamp_ms=at_ms,
            )  # fmt: skip
            for each in range(STATUSES):
                status = PayloadStatus(
                    service="backlog", request_id=info.key, account="1", org_id="1", status="processing",
                    status_msg=str(each), date=rfc3339(utc_now()),
                )  # fmt: skip
                await producer.send(PAYLOAD_STATUS.name, status.to_json(), timestamp_ms=at_ms + each)
        await producer.flush()
    finally:
        await producer.stop()
    return len(infos) * STATUSES


@pytest.mark.row(22)
@pytest.mark.xdist_group("outages")
@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_an_hours_backlog_is_drained_in_order_and_in_flat_memory(tmp_path, row):
    async with AsyncExitStack() as closing:
        whole = Whole(tmp_path, NAMES)
        await whole.start(closing)
        await asyncio.gather(*(process.stop() for process in whole.services.values()))
        uploads = row["messages"] // (STATUSES + 1)
        infos = await stored(whole.settings, uploads)
        statuses = await send_backlog(whole.settings, infos)
        arrival = (uploads + statuses) / HOUR_SECONDS

        began = time.monotonic()
        await asyncio.gather(
            *(process.start(ready_within_seconds=120) for process in whole.services.values())
        )
        watched = {name: psutil.Process(process.pid) for name, process in whole.services.items()}
        memory = {name: [] for name in watched}

        async def drained():
            for name, process in watched.items():
                memory[name].append(process.memory_info().rss)
            return not any([await whole.lag(name) for name in NAMES])

        await eventually(drained, within_seconds=300 + row["messages"] / 20, every_seconds=0.25)
        seconds = time.monotonic() - began
        rows = await whole.execute("archiver", "select request_id, cluster_id from archives order by id")
        kept = await whole.execute(
            "payload_tracker",
            "select count(*) from payload_statuses s join services v on v.id = s.service_id where v.name = 'backlog'",
        )
        reading = BusFlow(whole.settings, None, None, "", "")
        dead = [
            record
            for topic in (UPLOAD_ANNOUNCE, PAYLOAD_STATUS)
            for record in await reading.records(topic.dead_letters)
        ]
        synced = await reading.records(ARCHIVE_SYNCED.name)
    drain = (uploads + statuses) / seconds
    # Flat: the peak beside what there was when a tenth of the time had gone by.
    growth = {name: max(found) / found[len(found) // 10] for name, found in memory.items()}
    row.record(
        messages=uploads + statuses, arrival_per_second=arrival, drained_per_second=drain, drained_in_seconds=seconds,
        peak_mib={name: round(max(found) / 2**20) for name, found in memory.items()},
        peak_over_early_memory={name: f"{value:.2f}" for name, value in growth.items()},
    )  # fmt: skip
    assert dead == []
    assert len({each["request_id"] for each in rows}) == uploads == len(synced)
    assert kept[0]["count"] == statuses
    assert drain >= 2 * arrival
    for _, group in itertools.groupby(
        sorted(rows, key=lambda each: each["cluster_id"]), lambda e: e["cluster_id"]
    ):
        numbers = [each["request_id"] for each in group]
        assert numbers == sorted(numbers)
    assert max(growth.values()) < 1.5
