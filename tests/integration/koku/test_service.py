import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import aiohttp

from headrace.bus.admin import ensure_topics
from headrace.contracts.clusters import local_cluster_id
from headrace.contracts.identity import Identity, encode_identity
from headrace.contracts.ros import RosEvent
from headrace.contracts.topics import (
    PAYLOAD_STATUS,
    ROS_EVENTS,
    SOURCES_EVENTS,
    UPLOAD_ANNOUNCE,
    UPLOAD_VALIDATION,
)
from headrace.objects.endpoint import S3Endpoint
from headrace.objects.store import ObjectStore
from headrace.runtime.retries import RetryPolicy
from headrace.runtime.settings import EngineSettings
from headrace.samples import KINDS, SampleOptions
from headrace.service.host import Host
from tests.engines import SessionEngines
from tests.integration.koku.sources_peer import SourcesPeer, serving_sources
from tests.proxy import TcpProxy
from tests.records import Records, open_records
from tests.service import own, running, url_of
from tests.waiting import eventually

# As the ROS document's curl sends it.
DOCUMENTED_IDENTITY = (
    "eyJpZGVudGl0eSI6eyJhY2NvdW50X251bWJlciI6IjEyMzQ1IiwiaW50ZXJuYWwiOnsib3JnX2lkIjoiMTIzNDUifX19"
)


@dataclass
class Stack:
    """Ingress and koku as `headrace serve` runs them."""

    host: Host
    peer: SourcesPeer
    records: Records
    store: ObjectStore
    ros: str

    async def upload(self, path: Path, content_type: str, identity: str = DOCUMENTED_IDENTITY) -> str:
        request_id = uuid4().hex
        form = aiohttp.FormData()
        content = await asyncio.to_thread(path.read_bytes)
        form.add_field("file", content, filename=path.name, content_type=content_type)
        headers = {"x-rh-identity": identity, "x-rh-request-id": request_id}
        url = f"{url_of(self.host)}/api/ingress/v1/upload"
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=form, headers=headers) as response,
        ):
            assert response.status in {201, 202}, await response.text()
        return request_id

    async def told(self, topic: str, request_id: str) -> list[dict[str, Any]]:
        return await self.records.bodies(topic, request_id=request_id)

    async def ended(self, request_id: str, *, within_seconds: float = 20) -> tuple[str, str]:
        """Koku's last status of a payload: what and why."""

        async def last() -> tuple[str, str] | None:
            statuses = [
                status
                for status in await self.told(PAYLOAD_STATUS.name, request_id)
                if status["service"] == "koku" and status["status"] != "received"
            ]
            return (statuses[-1]["status"], statuses[-1]["status_msg"]) if statuses else None

        found = await eventually(last, within_seconds=within_seconds)
        assert found
        return found


@asynccontextmanager
async def open_stack(
    engines: SessionEngines, fresh: Callable[[str], str], *, lenient: bool, s3_seen_by_koku: str = ""
) -> AsyncIterator[Stack]:
    topic = replace(UPLOAD_ANNOUNCE, name=fresh("announce"))
    settings = EngineSettings(kafka=engines.kafka, s3=engines.s3)
    await ensure_topics(
        settings,
        [topic, PAYLOAD_STATUS, SOURCES_EVENTS, ROS_EVENTS, UPLOAD_VALIDATION],
        with_dead_letters=True,
    )
    retry = RetryPolicy(attempts=2, base_seconds=0.05, cap_seconds=0.1)
    koku = own("koku", topics=[topic])
    koku = replace(koku, consumes=tuple(replace(item, retry=retry) for item in koku.consumes))
    buckets = {"INGRESS_STAGEBUCKET": "stage", "REQUESTED_ROS_BUCKET": "ros", "REQUESTED_BUCKET": "cost"}
    variables = {name: fresh(kind) for name, kind in buckets.items()}
    store = await ObjectStore.open(S3Endpoint.parse(engines.s3))
    async with AsyncExitStack() as opened:
        opened.push_async_callback(store.close)
        for bucket in variables.values():
            await store.ensure_bucket(bucket)
        peer = await opened.enter_async_context(serving_sources())
        variables |= {
            "INGRESS_KAFKAANNOUNCETOPIC": topic.name,
            "INGRESS_KAFKASOURCESTOPIC": "none",
            "SOURCES_API_BASE_URL": peer.url,
        }
        seen = settings.model_copy(update={"s3": s3_seen_by_koku or engines.s3})
        hosts = [
            await opened.enter_async_context(
                running([row], where, environment=variables, lenient=lenient, stop_seconds=5)
            )
            for row, where in ((own("ingress"), settings), (koku, seen))
        ]
        topics = (PAYLOAD_STATUS.name, ROS_EVENTS.name, UPLOAD_VALIDATION.name)
        records = await opened.enter_async_context(open_records(settings.kafka, *topics))
        yield Stack(hosts[0], peer, records, store, variables["REQUESTED_ROS_BUCKET"])


async def test_what_the_documents_curl_uploads_reaches_the_processor(
    engines: SessionEngines, fresh: Callable[[str], str], tmp_path: Path
) -> None:
    options = SampleOptions(cluster_id=str(uuid4()))
    packed, csv = KINDS["cost"].generate(tmp_path, options)
    async with open_stack(engines, fresh, lenient=True) as stack:
        # curl names a type by the file's ending; ingress takes it for a cost upload.
        uploads = {
            await stack.upload(packed, "application/octet-stream"): (options.cluster_id, 2),
            await stack.upload(csv, "text/csv"): (local_cluster_id("12345", of="bare-csv"), 1),
        }
        for request_id, (cluster_id, files) in uploads.items():
            status, text = await stack.ended(request_id)
            assert (status, f"of cluster {cluster_id} (source" in text) == ("success", True), text
            assert await stack.told(UPLOAD_VALIDATION.name, request_id) == [
                {"request_id": request_id, "validation": "success"}
            ]
            (told,) = await stack.told(ROS_EVENTS.name, request_id)
            event = RosEvent.model_validate(told)
            assert (event.metadata.cluster_uuid, len(event.files)) == (cluster_id, files)
            for key in event.object_keys or ():
                assert await stack.store.head(stack.ros, key)
        refs = [source["source_ref"] for source in stack.peer.of("12345")]
        assert sorted(refs) == sorted(cluster_id for cluster_id, _ in uploads.values())


async def test_elsewhere_an_unknown_cluster_is_a_reason_in_the_payloads_status(
    engines: SessionEngines, fresh: Callable[[str], str], tmp_path: Path
) -> None:
    cluster_id = str(uuid4())
    packed, _ = KINDS["cost"].generate(tmp_path, SampleOptions(cluster_id=cluster_id))
    async with open_stack(engines, fresh, lenient=False) as stack:
        identity = encode_identity(Identity(org_id="12345", type="User"))
        request_id = await stack.upload(packed, KINDS["cost"].content_type, identity)
        status, text = await stack.ended(request_id)
        assert status == "error"
        assert f"the cluster {cluster_id} is not known to the organisation 12345" in text
        (verdict,) = await stack.told(UPLOAD_VALIDATION.name, request_id)
        assert verdict["validation"] == "success"
        assert await stack.told(ROS_EVENTS.name, request_id) == []


async def test_nothing_is_lost_while_s3_is_away(
    engines: SessionEngines, fresh: Callable[[str], str], tmp_path: Path
) -> None:
    packed, _ = KINDS["cost"].generate(tmp_path, SampleOptions(cluster_id=str(uuid4())))
    parts = urlsplit(engines.s3)
    credentials, _, address = parts.netloc.rpartition("@")
    async with (
        TcpProxy.open(address) as proxy,
        open_stack(
            engines, fresh, lenient=True, s3_seen_by_koku=f"http://{credentials}@{proxy.address}"
        ) as stack,
    ):
        await proxy.refuse()
        ids = [await stack.upload(packed, KINDS["cost"].content_type) for _ in range(3)]
        # The others may share its partition, which is held.
        await eventually(lambda: _one_taken_up(stack, ids), within_seconds=30)
        assert [await stack.told(UPLOAD_VALIDATION.name, request_id) for request_id in ids] == [[], [], []]
        await proxy.restore()
        for request_id in ids:
            status, text = await stack.ended(request_id, within_seconds=30)
            assert status == "success", text
            assert len(await stack.told(ROS_EVENTS.name, request_id)) >= 1
        found = [item.key async for item in stack.store.list(stack.ros)]
        # One archive sent three times.
        assert len(found) == 2


async def _one_taken_up(stack: Stack, ids: list[str]) -> bool:
    statuses = [await stack.told(PAYLOAD_STATUS.name, request_id) for request_id in ids]
    return any(status["service"] == "koku" for found in statuses for status in found)
