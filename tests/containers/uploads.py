"""Uploads without end, each tried again under its id, and what became of them."""

import asyncio
import hashlib
import random
import time
import uuid
from contextlib import suppress

import aiohttp

from headrace.contracts.identity import Identity, Internal, System, encode_identity
from tests.faults.test_history import archived_digests, synced_keys, tracked_statuses
from tests.history import Seen, Sent, Verdict, check
from tests.waiting import eventually

SENDERS = 4
# Between two uploads of a sender, at most: load all the time, but no more than the consumers work off on the way.
PAUSE_SECONDS = 0.5
# A container that is replaced on a busy machine is away for seconds.
PATIENCE_SECONDS = 120.0
ENDED_SECONDS = 240.0


async def send_until(done: asyncio.Event, url: str) -> list[Sent]:
    """What the senders had sent when `done` was set."""
    sent: list[Sent] = []
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:

        async def sender() -> None:
            while not done.is_set():
                sent.append(await _send(session, url))
                await asyncio.sleep(random.random() * PAUSE_SECONDS)

        await asyncio.gather(*(sender() for _ in range(SENDERS)))
    return sent


async def _send(session: aiohttp.ClientSession, url: str) -> Sent:
    request_id = uuid.uuid4().hex
    payload = random.randbytes(200 + random.randrange(7) * 4000)
    cluster_id = str(uuid.UUID(int=random.randrange(50)))
    identity = Identity(
        org_id="1", type="System", internal=Internal(org_id="1"), system=System(cluster_id=cluster_id)
    )
    headers = {"x-rh-identity": encode_identity(identity), "x-rh-insights-request-id": request_id}
    digest = hashlib.md5(payload, usedforsecurity=False).hexdigest()  # what S3 gives as the ETag
    deadline, attempts = time.monotonic() + PATIENCE_SECONDS, 0
    while time.monotonic() < deadline:
        attempts += 1
        form = aiohttp.FormData()
        form.add_field("file", payload, filename="a", content_type="application/vnd.redhat.ols.periodic+tar")
        with suppress(aiohttp.ClientError, TimeoutError):
            async with session.post(f"{url}/api/ingress/v1/upload", data=form, headers=headers) as response:
                if response.status in (201, 202):
                    return Sent(request_id, digest, acknowledged=True, attempts=attempts)
        await asyncio.sleep(random.random())  # a sender's own backoff, not a wait for a condition
    return Sent(request_id, digest, acknowledged=False, attempts=attempts)


async def verdict_of(sent: list[Sent], settings) -> Verdict:
    """Once every acknowledged one has ended."""
    ids = {upload.request_id for upload in sent}
    acknowledged = {upload.request_id for upload in sent if upload.acknowledged}

    async def all_ended() -> bool:
        statuses = await tracked_statuses(settings)
        left = [name for name in acknowledged if ("archiver", "success") not in statuses[name]]
        assert not left, f"{len(left)} of {len(acknowledged)} have no end, such as {left[:3]}"
        return True

    await eventually(all_ended, within_seconds=ENDED_SECONDS, every_seconds=1)
    archived, synced = await archived_digests(settings), await synced_keys(settings)
    statuses = await tracked_statuses(settings)
    return check(
        sent, Seen(*({name: found.get(name, ()) for name in ids} for found in (archived, synced, statuses)))
    )
