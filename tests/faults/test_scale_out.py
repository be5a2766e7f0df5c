"""Replicas of every service come and go while senders go on: nothing fails after retry, is lost or doubled.

In `make test-faults` a process with every service gets a second one beside it, which then takes its place;
in `make test-scale` there are two processes a service, and each of them is replaced in turn.
"""

import asyncio
import hashlib
import itertools
import os
import random
import time
import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass

import aiohttp
import asyncpg
import pytest

from headrace.laptop.uploads import as_organisation
from headrace.samples import KINDS, SampleOptions
from headrace_services.registry import SERVICES
from tests.faults.test_history import archived_digests, synced_keys, tracked_statuses
from tests.faults.test_history_of_recommendations import check as check_usage
from tests.faults.test_history_of_recommendations import make_day, stored
from tests.history import Seen, Sent, check
from tests.replicas import ALL, Cluster
from tests.waiting import eventually

LONG = os.environ.get("HEADRACE_TEST_SCALE") == "long"
CLUSTERS = 20 if LONG else 3
SENDERS = 3
TRIES = 6
ORG_ID = "1"
# Where an acknowledged upload of each kind has to come to its end.
ENDS = {
    "ols": ("archiver",),
    "cost": ("archiver", "koku", "ros-processor"),
    "insights": ("archiver", "rules-engine", "results-aggregator"),
}
ENVIRONMENT = {"RULES_ENGINE_WORKERS": "1", "POLARS_MAX_THREADS": "1", "KOKU_REGISTER_SOURCES": "true"}


@dataclass(frozen=True)
class Payload:
    """Something to send, again and again."""

    kind: str
    content_type: str
    cluster_id: str
    content: bytes
    day: object = None


async def payloads(directory):
    """A few of each kind."""
    found = []
    for number in range(CLUSTERS):
        day = await make_day(directory, number, 0)
        found.append(Payload("cost", KINDS["cost"].content_type, day.cluster_id, day.content, day))
        options = SampleOptions(seed=900 + number)
        path = KINDS["insights"].generate(directory / f"insights-{number}", options)[0]
        kind = KINDS["insights"]
        found.append(Payload("insights", kind.content_type, options.cluster(), path.read_bytes()))
        for size in (300, 30_000):
            content = random.Random(number + size).randbytes(size)
            content_type = "application/vnd.redhat.ols.periodic+tar"
            found.append(Payload("ols", content_type, str(uuid.UUID(int=number)), content))
    return found


async def send(session, url, payload):
    """One upload, tried again under its id as an operator does."""
    request_id = uuid.uuid4().hex
    headers = as_organisation(ORG_ID, payload.cluster_id) | {"x-rh-insights-request-id": request_id}
    digest = hashlib.md5(payload.content, usedforsecurity=False).hexdigest()  # what S3 gives as the ETag
    for attempt in range(1, TRIES + 1):
        form = aiohttp.FormData()
        form.add_field("file", payload.content, filename="a.tar.gz", content_type=payload.content_type)
        try:
            async with session.post(f"{url}/api/ingress/v1/upload", data=form, headers=headers) as response:
                if response.status in (201, 202):
                    return Sent(request_id, digest, acknowledged=True, attempts=attempt)
        except (aiohttp.ClientError, TimeoutError):
            pass
        await asyncio.sleep(0.5 * random.random())  # a sender's own backoff, not a wait for a condition
    return Sent(request_id, digest, acknowledged=False, attempts=TRIES)


async def send_until(url, waiting, done, sent):
    """Senders that stop when told."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:

        async def sender():
            while not done.is_set():
                payload = next(waiting)
                sent.append((await send(session, url, payload), payload))
                await asyncio.sleep(0.5)  # the load wanted; not a wait for a condition

        await asyncio.gather(*(sender() for _ in range(SENDERS)))


def shares(replicas):
    """The partitions of each consumer of the table, by replica: (service, topic) to lists."""
    found = defaultdict(list)
    for replica in replicas:
        for key, partitions in replica.assigned().items():
            found[key].append(partitions)
    return found


def shared_by_two(replicas):
    """Every topic's partitions are with two members, each partition with one."""
    found = shares(replicas)
    for row in SERVICES:
        for item in row.consumes:
            lists = found[row.name, item.topic.name]
            assert len(lists) == 2, (row.name, item.topic.name, lists)
            assert all(lists), (row.name, item.topic.name, lists)
            assert sorted(itertools.chain(*lists)) == list(range(item.topic.partitions))
    return True


async def reports_of(settings):
    """How many reports the aggregator has of each cluster."""
    connection = await asyncpg.connect(settings.postgres.rpartition("/")[0] + "/aggregator")
    try:
        return Counter(str(row["cluster"]) for row in await connection.fetch("SELECT cluster FROM report"))
    finally:
        await connection.close()


async def all_ended(settings, sent):
    statuses = await tracked_statuses(settings)
    missing = [
        (upload.request_id, payload.kind, service)
        for upload, payload in sent
        if upload.acknowledged
        for service in ENDS[payload.kind]
        if (service, "success") not in statuses[upload.request_id]
    ]
    assert missing == []
    return True


@pytest.mark.full
@pytest.mark.slow
@pytest.mark.timeout(1800 if LONG else 420)
@pytest.mark.row(33)
async def test_every_service_is_replaced_while_senders_go_on(tmp_path, record_property):
    prepared = await payloads(tmp_path)
    groups = [(name,) for name in ALL] if LONG else [ALL]
    sent, replaced, removed = [], 0, 0
    async with Cluster(tmp_path, **ENVIRONMENT) as cluster:
        await asyncio.gather(*(cluster.add(names) for names in groups))
        done = asyncio.Event()
        sending = asyncio.create_task(
            send_until(cluster.url("ingress"), itertools.cycle(prepared), done, sent)
        )
        try:
            # One more of each, under load: they share the partitions.
            added = time.monotonic()
            await asyncio.gather(*(cluster.add(names) for names in groups))
            await eventually(lambda: shared_by_two(cluster.replicas), within_seconds=90)
            shared_seconds = time.monotonic() - added
            if LONG:
                # Each old one goes when its successor is ready.
                for replica in list(cluster.replicas):
                    replaced += 1
                    await cluster.replace(replica)
                await eventually(lambda: shared_by_two(cluster.replicas), within_seconds=90)
            # Back to one of each: the older.
            for replica in cluster.replicas[: len(groups)]:
                removed += 1
                assert await cluster.remove(replica) == 0
            await eventually(lambda: len(sent) >= 2 * len(prepared), within_seconds=60)
        finally:
            done.set()
            await sending
        await eventually(
            lambda: all_ended(cluster.settings, sent),
            within_seconds=180,
            every_seconds=0.5,
            describe="all ended",
        )
        uploads = [upload for upload, _ in sent]
        verdict = check(
            uploads,
            Seen(
                archived=await archived_digests(cluster.settings),
                synced=await synced_keys(cluster.settings),
                statuses=await tracked_statuses(cluster.settings),
            ),
        )
        days = {payload.cluster_id: payload.day for _, payload in sent if payload.day}
        clusters = {payload.cluster_id for _, payload in sent if payload.kind == "insights"}

        async def nothing_wrong():
            assert check_usage(list(days.values()), set(), *await stored(cluster.settings)) == []
            assert await reports_of(cluster.settings) == Counter(clusters)
            return True

        await eventually(nothing_wrong, within_seconds=60, every_seconds=1)
        record_property(
            "figures",
            f"processes: {len(groups)}, as many added, {replaced} replaced, {removed} removed under load; "
            f"partitions shared {shared_seconds:.1f} s after the second was asked for\n{verdict}",
        )
        assert verdict.broken == []
        assert verdict.counts["not acknowledged"] == 0
