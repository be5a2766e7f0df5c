"""What is sent through the whole flow, and senders that try again under an id as operators do."""

import asyncio
import hashlib
import itertools
import random
import time
import uuid
from collections.abc import Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from headrace.laptop.uploads import as_organisation
from headrace.samples import KINDS, SampleOptions
from tests.faults.test_history_of_recommendations import make_day
from tests.history import Sent

TRIES = 6
ORG_ID = "1"
# Where an acknowledged upload of each kind has to come to its end.
ENDS = {
    "ols": ("archiver",),
    "cost": ("archiver", "koku", "ros-processor"),
    "insights": ("archiver", "rules-engine", "results-aggregator"),
}


@dataclass(frozen=True)
class Payload:
    """Something to send, again and again."""

    kind: str
    content_type: str
    cluster_id: str
    content: bytes
    day: object = None


async def payloads(directory, clusters, first=0):
    """A few of each kind, by cluster: so many from the first number on."""
    found = []
    for number in range(first, first + clusters):
        day = await make_day(directory, number, 0)
        found.append(Payload("cost", KINDS["cost"].content_type, day.cluster_id, day.content, day))
        options = SampleOptions(seed=900 + number)
        path = KINDS["insights"].generate(directory / f"insights-{number}", options)[0]
        kind = KINDS["insights"]
        found.append(Payload("insights", kind.content_type, options.cluster(), path.read_bytes()))
        for size in (300, 30_000):
            content = random.Random(number + size).randbytes(size)
            found.append(Payload("ols", KINDS["ols"].content_type, str(uuid.UUID(int=number)), content))
    return found


async def send(session, url, payload, tries=TRIES, answers=None):
    """One upload, tried again under its id; each answer's status and seconds go into `answers`."""
    request_id = uuid.uuid4().hex
    headers = as_organisation(ORG_ID, payload.cluster_id) | {"x-rh-insights-request-id": request_id}
    digest = hashlib.md5(payload.content, usedforsecurity=False).hexdigest()  # what S3 gives as the ETag
    for attempt in range(1, tries + 1):
        form = aiohttp.FormData()
        form.add_field("file", payload.content, filename="a.tar.gz", content_type=payload.content_type)
        began = time.monotonic()
        status, retry_after = 0, ""
        try:
            async with session.post(f"{url}/api/ingress/v1/upload", data=form, headers=headers) as response:
                status, retry_after = response.status, response.headers.get("Retry-After", "")
        except (aiohttp.ClientError, TimeoutError):
            pass
        if answers is not None:
            answers.append(Answer(status, time.monotonic() - began, retry_after, time.monotonic()))
        if status in (201, 202):
            return Sent(request_id, digest, acknowledged=True, attempts=attempt)
        await asyncio.sleep(0.5 * random.random())  # a sender's own backoff, not a wait for a condition
    return Sent(request_id, digest, acknowledged=False, attempts=tries)


@dataclass(frozen=True)
class Answer:
    """One attempt as its sender saw it; status 0 is a broken connection."""

    status: int
    seconds: float
    retry_after: str
    at: float


@dataclass
class Load:
    """What senders sent so far."""

    sent: list = field(default_factory=list)
    answers: list = field(default_factory=list)

    @property
    def acknowledged(self):
        return [(upload, payload) for upload, payload in self.sent if upload.acknowledged]


async def send_each(url, waiting: Iterable[Payload], senders=6, tries=TRIES):
    """Every payload once."""
    load, waiting = Load(), iter(waiting)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:

        async def sender():
            for payload in waiting:
                load.sent.append((await send(session, url, payload, tries, load.answers), payload))

        await asyncio.gather(*(sender() for _ in range(senders)))
    return load


@asynccontextmanager
async def sending(url, prepared, senders=3, tries=TRIES, pause_seconds=0.2, every_seconds=0.0):
    """Senders that go on as long as the context lasts: a pause after each upload, or one upload every so often."""
    load, done = Load(), asyncio.Event()
    waiting = itertools.cycle(prepared)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:

        async def sender():
            due = time.monotonic()
            while not done.is_set():
                payload = next(waiting)
                load.sent.append((await send(session, url, payload, tries, load.answers), payload))
                due += every_seconds
                pause = max(0.0, due - time.monotonic()) if every_seconds else pause_seconds
                await asyncio.sleep(pause)  # the load wanted; not a wait for a condition

        tasks = [asyncio.create_task(sender()) for _ in range(senders)]
        try:
            yield load
        finally:
            done.set()
            await asyncio.gather(*tasks)
