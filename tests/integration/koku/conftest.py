import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from headrace.bus.admin import ensure_topics
from headrace.bus.delivery import Delivery
from headrace.bus.producer import Producer
from headrace.contracts.announcement import Announcement
from headrace.contracts.identity import Identity, encode_identity
from headrace.contracts.ros import RosEvent, UploadValidation
from headrace.contracts.topics import ROS_EVENTS, UPLOAD_VALIDATION
from headrace.objects.endpoint import S3Endpoint
from headrace.objects.fetch import Fetcher
from headrace.objects.store import ObjectStore
from headrace.runtime.errors import Retryable
from headrace.runtime.settings import EngineSettings
from headrace.web.peer import Peer
from headrace_services.koku.handlers import Buckets, Koku
from headrace_services.koku.shipper import Shipper
from headrace_services.koku.sources import Sources
from tests.engines import SessionEngines
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


class Told(Producer):
    """The real producer, with a note of what was acknowledged; can be cut off before or after that."""

    def __init__(self, producer: Producer) -> None:
        self.__dict__.update(producer.__dict__)
        self.events: list[RosEvent] = []
        self.keys: list[str | None] = []
        self.validations: list[UploadValidation] = []
        self.order: list[str] = []
        self.cut: tuple[str, str] | None = None

    async def send(self, topic: Any, message: Any, **options: Any) -> None:
        if self.cut == (topic.name, "before"):
            raise Retryable("cut off before")
        await super().send(topic, message, **options)
        self.order.append(topic.name)
        (self.events if isinstance(message, RosEvent) else self.validations).append(message)
        if isinstance(message, RosEvent):
            self.keys.append(options.get("key"))
        if self.cut == (topic.name, "after"):
            raise Retryable("cut off after")


@dataclass
class Bench:
    """Koku on real engines with buckets of its own, and a peer that speaks the Sources API's wire."""

    koku: Koku
    store: ObjectStore
    peer: SourcesPeer
    told: Told
    stage: str
    ros: str
    cost: str
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
        now = datetime.now(UTC)
        delivery = Delivery("t", 0, 0, None, {"service": "hccm"}, now, now)
        return await replace(self.koku, **changes).handle(message, delivery)

    def sources(self, *, register: bool = False, cache_seconds: float = 0.0, **options: Any) -> Sources:
        peer = self.koku.sources._peer
        return Sources(peer, prefix=PREFIX, register=register, cache_seconds=cache_seconds, **options)

    async def objects(self, bucket: str = "") -> dict[str, bytes]:
        found = {}
        async for item in self.store.list(bucket or self.ros):
            async with self.store.get(bucket or self.ros, item.key) as chunks:
                found[item.key] = b"".join([chunk async for chunk in chunks])
        return found

    def folder(self, source: dict[str, Any]) -> str:
        return f"org{ORG}/source={source['uid']}/date=2026-08-01"

    @property
    def verdicts(self) -> list[str]:
        return [message.validation for message in self.told.validations]


@pytest.fixture
async def bench(engines: SessionEngines, fresh: Callable[[str], str]) -> AsyncIterator[Bench]:
    store = await ObjectStore.open(S3Endpoint.parse(engines.s3))
    settings = EngineSettings(kafka=engines.kafka)
    await ensure_topics(settings, [ROS_EVENTS, UPLOAD_VALIDATION])
    producer = await Producer.open(settings, service="koku")
    try:
        async with serving_sources() as peer, aiohttp.ClientSession(auto_decompress=False) as session:
            stage, ros, cost = fresh("stage"), fresh("ros"), fresh("cost")
            await asyncio.gather(*map(store.ensure_bucket, (stage, ros, cost)))
            told = Told(producer)
            koku = Koku(
                fetcher=Fetcher(store, session, variable="KOKU_ALLOWED_HOSTS"),
                sources=Sources(
                    Peer(session, peer.url, name="the Sources API", timeout_seconds=5),
                    prefix=PREFIX,
                    register=False,
                    cache_seconds=0.0,
                ),
                shipper=Shipper(store),
                producer=told,
                buckets=Buckets(ros, cost),
                url_seconds=172_800,
            )
            yield Bench(koku, store, peer, told, stage, ros, cost)
    finally:
        await producer.close()
        await store.close()
