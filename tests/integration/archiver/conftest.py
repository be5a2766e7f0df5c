import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import headrace_services.archiver
from headrace.bus.admin import ensure_topics
from headrace.bus.delivery import Delivery
from headrace.bus.producer import Producer
from headrace.contracts.announcement import Announcement
from headrace.contracts.archive_synced import ArchiveSynced
from headrace.contracts.identity import Identity, System, encode_identity
from headrace.contracts.topics import ARCHIVE_SYNCED
from headrace.database.migrations import migrate
from headrace.database.pool import Database
from headrace.objects.endpoint import S3Endpoint
from headrace.objects.fetch import Fetcher
from headrace.objects.store import ObjectStore
from headrace.runtime.settings import EngineSettings
from headrace_services.archiver.handlers import Archiver
from headrace_services.archiver.store import ArchiveTable
from headrace_services.archiver.targets import Target
from headrace_services.archiver.templates import CLUSTER_LAYOUT, KeyTemplate
from tests.engines import SessionEngines

CLUSTER = "11111111-2222-3333-4444-555555555555"
NOW = datetime(2026, 11, 21, 21, 28, 22, 990776, tzinfo=UTC)
KEY = f"archives/compressed/11/{CLUSTER}/202611/21/212822.tar.gz"
MIGRATIONS = Path(headrace_services.archiver.__file__).parent / "migrations"


class Synced(Producer):
    """The real producer, with a note of what was acknowledged."""

    def __init__(self, producer: Producer) -> None:
        self.__dict__.update(producer.__dict__)
        self.sent: list[ArchiveSynced] = []

    async def send(self, topic: Any, message: Any, **options: Any) -> None:
        await super().send(topic, message, **options)
        assert topic is ARCHIVE_SYNCED
        self.sent.append(message)


@dataclass
class Bench:
    """An archiver on real engines, with buckets and a database of its own."""

    archiver: Archiver
    store: ObjectStore
    table: ArchiveTable
    database: Database
    producer: Synced
    stage: str
    bucket: str
    announced: list[Announcement] = field(default_factory=list)

    async def upload(self, request_id: str, content: bytes = b"not read", **fields: Any) -> Announcement:
        stored = await self.store.put(self.stage, request_id, [content], metadata={"requestid": request_id})
        identity = Identity(org_id="000001", type="System", system=System(cluster_id=CLUSTER))
        values = {
            "request_id": request_id,
            "service": "ols",
            "org_id": "000001",
            "size": len(content),
            "url": self.store.presign(self.stage, request_id, expires_seconds=600),
            "b64_identity": encode_identity(identity),
            "bucket": self.stage,
            "object_key": request_id,
            "etag": stored.etag,
        }
        return Announcement.model_validate(values | fields)

    async def handle(self, message: Announcement, archiver: Archiver | None = None) -> str:
        now = datetime.now(UTC)
        delivery = Delivery(
            topic="t",
            partition=0,
            offset=0,
            key=None,
            headers={"service": message.service},
            timestamp=now,
            first_seen=now,
        )
        return await (archiver or self.archiver).handle(message, delivery)

    async def archived(self, bucket: str = "") -> dict[str, bytes]:
        """Every object in the archive bucket."""
        found = {}
        async for item in self.store.list(bucket or self.bucket):
            async with self.store.get(bucket or self.bucket, item.key) as chunks:
                found[item.key] = b"".join([chunk async for chunk in chunks])
        return found

    def with_target(self, **fields: Any) -> Archiver:
        targets = {name: replace(target, **fields) for name, target in self.archiver.targets.items()}
        return replace(self.archiver, targets=targets)


@pytest.fixture
async def bench(engines: SessionEngines, database: str, fresh: Callable[[str], str]) -> AsyncIterator[Bench]:
    opened = await Database.open(database, database.rpartition("/")[2], service="archiver")
    store = await ObjectStore.open(S3Endpoint.parse(engines.s3))
    settings = EngineSettings(kafka=engines.kafka)
    await ensure_topics(settings, [ARCHIVE_SYNCED])
    producer = await Producer.open(settings, service="archiver")
    session = aiohttp.ClientSession(auto_decompress=False)
    try:
        await migrate(opened, MIGRATIONS)
        stage, bucket = fresh("stage"), fresh("archives")
        await asyncio.gather(store.ensure_bucket(stage), store.ensure_bucket(bucket))
        synced = Synced(producer)
        target = Target(bucket, None, KeyTemplate.parse(CLUSTER_LAYOUT))
        table = ArchiveTable(opened)
        archiver = Archiver(
            table=table,
            fetcher=Fetcher(store, session, variable="ARCHIVER_ALLOWED_HOSTS"),
            targets=dict.fromkeys(("ols", "openshift", "hccm", "assisted-installer"), target),
            stores={"": store},
            producer=synced,
            now=lambda: NOW,
        )
        yield Bench(archiver, store, table, opened, synced, stage, bucket)
    finally:
        await session.close()
        await producer.close()
        await store.close()
        await opened.close()
