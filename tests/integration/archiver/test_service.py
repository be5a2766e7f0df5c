from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from headrace.bus.admin import ensure_topics
from headrace.bus.producer import Producer
from headrace.contracts.announcement import Announcement
from headrace.contracts.identity import Associate, Identity, System, encode_identity
from headrace.contracts.topics import ARCHIVE_SYNCED, PAYLOAD_STATUS, UPLOAD_ANNOUNCE, Topic
from headrace.objects.endpoint import S3Endpoint
from headrace.objects.store import ObjectStore
from headrace.runtime.settings import EngineSettings
from headrace.service.host import Host
from tests.engines import SessionEngines
from tests.service import own, own_database, running, url_of
from tests.waiting import eventually

CLUSTER = "11111111-2222-3333-4444-555555555555"


@pytest.fixture
async def archiving(
    engines: SessionEngines, fresh: Callable[[str], str]
) -> AsyncIterator[tuple[Host, Topic[Announcement]]]:
    """The archiver and the tracker as `headrace serve` runs them, on a topic and in databases of their own."""
    settings = EngineSettings(kafka=engines.kafka, s3=engines.s3, postgres=engines.postgres)
    topic = replace(UPLOAD_ANNOUNCE, name=fresh("announce"))
    await ensure_topics(settings, [topic, PAYLOAD_STATUS, ARCHIVE_SYNCED])
    async with own_database(engines.postgres) as archives, own_database(engines.postgres) as tracked:
        rows = [
            own("archiver", database=archives, topics=[topic]),
            own("payload_tracker", database=tracked, topics=[PAYLOAD_STATUS]),
        ]
        environment = {"ARCHIVER_BUCKET": fresh("archives")}
        async with running(rows, settings, environment=environment) as host:
            yield host, topic


async def test_an_announced_upload_is_archived_and_every_hop_can_be_asked_for(
    archiving: tuple[Host, Topic[Announcement]], engines: SessionEngines, fresh: Callable[[str], str]
) -> None:
    host, topic = archiving
    archiver, tracker = url_of(host), url_of(host, 1)
    store = await ObjectStore.open(S3Endpoint.parse(engines.s3))
    producer = await Producer.open(EngineSettings(kafka=engines.kafka), service="test")
    stage = fresh("stage")
    await store.ensure_bucket(stage)
    good, bad, other = (uuid4().hex for _ in range(3))
    for request_id, service, identity in (
        (good, "ols", Identity(org_id="1", type="System", system=System(cluster_id=CLUSTER))),
        (bad, "hccm", Identity(org_id="1", type="User")),
        (other, "advisor", Identity(org_id="1", type="User")),
    ):
        stored = await store.put(stage, request_id, b"a,b\n1,2\n")
        message = Announcement(
            request_id=request_id, service=service, org_id="1", size=stored.size, url="", bucket=stage,
            object_key=request_id, etag=stored.etag, b64_identity=encode_identity(identity),
        )  # fmt: skip
        await producer.send(topic, message, headers={"service": service})
    associate = encode_identity(Identity(type="Associate", associate=Associate()))
    try:
        async with aiohttp.ClientSession(headers={"x-rh-identity": associate}) as session:

            async def ask(url: str, path: str) -> Any:
                async with session.get(url + path) as response:
                    return await response.json() if response.status == 200 else None

            async def ended(request_id: str) -> Any:
                found = await ask(tracker, f"/api/v1/payloads/{request_id}?sort_dir=asc")
                return found if found and len(found["data"]) == 2 else None

            statuses = await eventually(lambda: ended(good), within_seconds=30)
            listed = await ask(archiver, f"/api/archives/v1/archives?request_id={good}")
            archive = listed["data"][0]
            assert archive["key"].startswith(f"archives/compressed/11/{CLUSTER}/")
            assert [
                (item["service"], item["status"], item.get("status_msg")) for item in statuses["data"]
            ] == [
                ("archiver", "received", None),
                ("archiver", "success", f"archived to {archive['bucket']}/{archive['key']}"),
            ]
            assert await store.head(archive["bucket"], archive["key"])
            statuses = await eventually(lambda: ended(bad), within_seconds=30)
            assert statuses["data"][1]["status"] == "error"
            assert "cluster id not found" in statuses["data"][1]["status_msg"]
            assert await ask(tracker, f"/api/v1/payloads/{other}") is None
        problems = [context.health.problems for context in host.contexts]
        assert problems == [{}, {}]
    finally:
        await producer.close()
        await store.close()
