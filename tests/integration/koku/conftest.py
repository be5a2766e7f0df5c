import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from headrace.bus.admin import ensure_topics
from headrace.contracts.announcement import Announcement
from headrace.contracts.identity import Identity, encode_identity
from headrace.contracts.ros import RosEvent, UploadValidation
from headrace.contracts.topics import ROS_EVENTS, UPLOAD_VALIDATION
from headrace.objects.fetch import Fetcher
from headrace.objects.store import ObjectStore
from headrace.runtime.settings import EngineSettings
from headrace.web.peer import Peer
from headrace_services.koku.handlers import Buckets, Koku
from headrace_services.koku.shipper import Shipper
from headrace_services.koku.sources import Sources
from tests.handling import Noted, contents, delivery
from tests.integration.koku.sources_peer import PREFIX, SourcesPeer, serving_sources

ORG = "12345"
TIMESTAMP = "2026-08-01T23:59:59.123456789Z"
ROS_HEADER = (
    b"interval_start,interval_end,namespace,container_name,cpu_usage_container_avg,memory_usage_container_avg"
)
NAMESPACE_HEADER = b"interval_start,interval_end,namespace,cpu_usage_namespace_avg,memory_usage_namespace_avg"


def manifest(cluster_id: str, **fields: Any) -> bytes:
    values = {
        "uuid": "795eb333-0000-4000-8000-000000000001",
        "cluster_id": cluster_id,
        "version": "costmanagement-metrics-operator:4.1.0",
        "date": "2026-08-01T10:00:00Z",
        "files": [],
        "resource_optimization_files": [],
    }
    return json.dumps(values | fields).encode()


@dataclass
class Bench:
    """Koku on real engines with buckets of its own, and a peer that speaks the Sources API's wire."""

    koku: Koku
    store: ObjectStore
    peer: SourcesPeer
    told: Noted
    stage: str
    ros: str
    cost: str
    sources_api: Peer
    cluster: str = field(default_factory=lambda: str(uuid4()))

    async def upload(self, content: bytes, request_id: str = "", **fields: Any) -> Announcement:
        request_id = request_id or uuid4().hex
        stored = await self.store.put(self.stage, request_id, [content])
        values = {
            "request_id": request_id,
            "account": "0001",
            "org_id": ORG,
            "service": "hccm",
            "size": len(content),
            "url": "",
            "b64_identity": encode_identity(Identity(org_id=ORG, account_number="0001", type="User")),
            "timestamp": TIMESTAMP,
            "bucket": self.stage,
            "object_key": request_id,
            "etag": stored.etag,
        }
        return Announcement.model_validate(values | fields)

    async def handle(self, message: Announcement, **changes: Any) -> str:
        return await replace(self.koku, **changes).handle(message, delivery(headers={"service": "hccm"}))

    def sources(self, *, register: bool = False, cache_seconds: float = 0.0, **options: Any) -> Sources:
        return Sources(
            self.sources_api, prefix=PREFIX, register=register, cache_seconds=cache_seconds, **options
        )

    async def objects(self, bucket: str = "") -> dict[str, bytes]:
        return await contents(self.store, bucket or self.ros)

    def folder(self, source: dict[str, Any]) -> str:
        return f"org{ORG}/source={source['uid']}/date=2026-08-01"

    @property
    def events(self) -> list[RosEvent]:
        return self.told.messages(RosEvent)

    @property
    def keys(self) -> list[str | None]:
        return [key for topic, key, _ in self.told.sent if topic == ROS_EVENTS.name]

    @property
    def order(self) -> list[str]:
        """Topics, as they were told."""
        return [topic for topic, _, _ in self.told.sent]

    @property
    def verdicts(self) -> list[str]:
        return [message.validation for message in self.told.messages(UploadValidation)]


@pytest.fixture
async def bench(
    objects: ObjectStore, noted: Noted, kafka_url: str, fresh: Callable[[str], str]
) -> AsyncIterator[Bench]:
    await ensure_topics(EngineSettings(kafka=kafka_url), [ROS_EVENTS, UPLOAD_VALIDATION])
    stage, ros, cost = fresh("stage"), fresh("ros"), fresh("cost")
    await asyncio.gather(*map(objects.ensure_bucket, (stage, ros, cost)))
    async with serving_sources() as peer, aiohttp.ClientSession(auto_decompress=False) as session:
        sources_api = Peer(session, peer.url, name="the Sources API", timeout_seconds=5)
        koku = Koku(
            fetcher=Fetcher(objects, session, variable="KOKU_ALLOWED_HOSTS"),
            sources=Sources(sources_api, prefix=PREFIX, register=False, cache_seconds=0.0),
            shipper=Shipper(objects),
            producer=noted,
            buckets=Buckets(ros, cost),
            url_seconds=172_800,
        )
        yield Bench(koku, objects, peer, noted, stage, ros, cost, sources_api)
