"""Thousands of uploads while every part is killed: what was acknowledged is archived exactly once, and ended."""

import asyncio
import hashlib
import random
import uuid
from collections import defaultdict
from contextlib import AsyncExitStack

import aiohttp
import asyncpg
import pytest

from headrace.contracts.archive_synced import ArchiveSynced
from headrace.contracts.identity import Identity, Internal, System, encode_identity
from headrace.contracts.topics import ARCHIVE_SYNCED
from headrace.objects.endpoint import S3Endpoint
from headrace.objects.store import ObjectStore
from tests.faults.killing import Stack, moments_of
from tests.faults.recording import FULL
from tests.history import Seen, Sent, check
from tests.records import reader
from tests.waiting import eventually

UPLOADS = 2000 if FULL else 500
SENDERS = 12
CLUSTERS = 150
ARCHIVES = "insights-archives"
# How often each part is killed, at random uploads. A broker takes seconds to come back.
KILLS = {"ingress": 5, "archiver": 4, "kafka": 3, "s3": 3}
if not FULL:
    KILLS = dict.fromkeys(KILLS, 1)
# A sender gives up after so many tries, so that some ids stay unacknowledged.
TRIES = 4


async def send(session, url, number):
    """One upload, tried again under its id as a sender does."""
    request_id = uuid.uuid4().hex
    payload = random.Random(number).randbytes(200 + number % 7 * 4000)
    cluster_id = str(uuid.UUID(int=number % CLUSTERS))
    identity = Identity(
        org_id="1", type="System", internal=Internal(org_id="1"), system=System(cluster_id=cluster_id)
    )
    headers = {"x-rh-identity": encode_identity(identity), "x-rh-insights-request-id": request_id}
    digest = hashlib.md5(payload, usedforsecurity=False).hexdigest()  # what S3 gives as the ETag
    for attempt in range(1, TRIES + 1):
        form = aiohttp.FormData()
        form.add_field("file", payload, filename="a", content_type="application/vnd.redhat.ols.periodic+tar")
        try:
            async with session.post(f"{url}/api/ingress/v1/upload", data=form, headers=headers) as response:
                if response.status in (201, 202):
                    return Sent(request_id, digest, acknowledged=True, attempts=attempt)
        except (aiohttp.ClientError, TimeoutError):
            pass
        await asyncio.sleep(random.random() * 0.5)  # a sender's own backoff, not a wait for a condition
    return Sent(request_id, digest, acknowledged=False, attempts=TRIES)


async def send_all(stack):
    numbers = iter(range(UPLOADS))
    moments = moments_of(KILLS, UPLOADS)
    sent = []
    timeout = aiohttp.ClientTimeout(total=20)
    async with aiohttp.ClientSession(timeout=timeout) as session:

        async def sender():
            for number in numbers:
                if part := moments.get(number):
                    await stack.kill(part)
                sent.append(await send(session, stack.url, number))

        await asyncio.gather(*(sender() for _ in range(SENDERS)))
    return sent


async def archived_digests(settings):
    store = await ObjectStore.open(S3Endpoint.of(settings))
    found = defaultdict(list)
    try:
        keys = [item async for item in store.list(ARCHIVES)]
        for item in keys:
            info = await store.head(ARCHIVES, item.key)
            found[info.metadata["requestid"]].append(item.etag)
    finally:
        await store.close()
    return found


async def synced_keys(settings):
    consumer = reader(settings.kafka, ARCHIVE_SYNCED.name, isolation_level="read_committed")
    await consumer.start()
    found = defaultdict(list)
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        while any([await consumer.position(part) < end for part, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                for record in records:
                    message = ArchiveSynced.from_json(record.value)
                    found[message.request_id].append(message.path)
    finally:
        await consumer.stop()
    return found


async def tracked_statuses(settings):
    url = settings.postgres.rpartition("/")[0] + "/payload_tracker"
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            "SELECT p.request_id, s.name AS service, t.name AS status FROM payload_statuses x"
            " JOIN payloads p ON p.id = x.payload_id JOIN services s ON s.id = x.service_id"
            " JOIN statuses t ON t.id = x.status_id"
        )
    finally:
        await connection.close()
    found = defaultdict(list)
    for row in rows:
        found[row["request_id"]].append((row["service"], row["status"]))
    return found


@pytest.mark.xdist_group("kills")
@pytest.mark.slow
@pytest.mark.timeout(420)
@pytest.mark.row(32)
async def test_acknowledged_uploads_survive_the_killing_of_every_part(tmp_path, record_property):
    async with AsyncExitStack() as closing:
        stack = Stack(tmp_path, ("ingress", "payload_tracker", "archiver"))
        await stack.start(closing)
        keepers = [asyncio.create_task(stack.keep(process)) for process in stack.services.values()]
        try:
            sent = await send_all(stack)
            await asyncio.gather(
                *(eventually(process.is_ready, within_seconds=60) for process in stack.services.values())
            )
        finally:
            for keeper in keepers:
                keeper.cancel()
        acknowledged = {upload.request_id for upload in sent if upload.acknowledged}

        async def all_ended():
            statuses = await tracked_statuses(stack.settings)
            return all(("archiver", "success") in statuses[request_id] for request_id in acknowledged)

        await eventually(
            all_ended, within_seconds=120, every_seconds=1, describe="every acknowledged id ended"
        )
        verdict = check(
            sent,
            Seen(
                archived=await archived_digests(stack.settings),
                synced=await synced_keys(stack.settings),
                statuses=await tracked_statuses(stack.settings),
            ),
        )
        record_property("figures", f"kills: {dict(stack.kills)}\n{verdict}")
        assert verdict.broken == []
        assert stack.kills == KILLS
        # The rest were given up while a part was away.
        assert verdict.counts["acknowledged"] >= UPLOADS * 0.6
