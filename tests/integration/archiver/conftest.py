import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from headrace.bus.admin import ensure_topics
from headrace.contracts.announcement import Announcement
from headrace.contracts.archive_synced import ArchiveSynced
from headrace.contracts.identity import Identity, System, encode_identity
from headrace.contracts.topics import ARCHIVE_SYNCED
from headrace.database.pool import Database
from headrace.objects.fetch import Fetcher
from headrace.objects.store import ObjectStore
from headrace.runtime.settings import EngineSettings
from headrace_services.archiver.handlers import Archiver
from headrace_services.archiver.store import ArchiveTable
from headrace_services.archiver.targets import Target
from headrace_services.archiver.templates import CLUSTER_LAYOUT, KeyTemplate
from tests.handling import Noted, contents, delivery

CLUSTER = "11111111-2222-3333-4444-555555555555"
NOW = datetime(2026, 11, 21, 21, 28, 22, 990776, tzinfo=UTC)
KEY = f"archives/compressed/11/{CLUSTER}/202611/21/212822.tar.gz"


@dataclass
class Bench:
    """An archiver on real engines, with buckets and a database of its own."""

    archiver: Archiver
    store: ObjectStore
    table: ArchiveTable
    database: Database
    producer: Noted
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
        return await (archiver or self.archiver).handle(
            message, delivery(headers={"service": message.service})
        )

    @property
    def synced(self) -> list[ArchiveSynced]:
        """What is said to be archived."""
        return self.producer.messages(ArchiveSynced)

    async def archived(self, bucket: str = "") -> dict[str, bytes]:
        """Every object in the archive bucket."""
        return await contents(self.store, bucket or self.bucket)

    def with_target(self, **fields: Any) -> Archiver:
        targets = {name: replace(target, **fields) for name, target in self.archiver.targets.items()}
        return replace(self.archiver, targets=targets)


@pytest.fixture
async def bench(
    objects: ObjectStore, tables: Database, noted: Noted, kafka_url: str, fresh: Callable[[str], str]
) -> AsyncIterator[Bench]:
    await ensure_topics(EngineSettings(kafka=kafka_url), [ARCHIVE_SYNCED])
    stage, bucket = fresh("stage"), fresh("archives")
    await asyncio.gather(objects.ensure_bucket(stage), objects.ensure_bucket(bucket))
    target = Target(bucket, None, KeyTemplate.parse(CLUSTER_LAYOUT))
    table = ArchiveTable(tables)
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        archiver = Archiver(
            table=table,
            fetcher=Fetcher(objects, session, variable="ARCHIVER_ALLOWED_HOSTS"),
            targets=dict.fromkeys(("ols", "openshift", "hccm", "assisted-installer"), target),
            stores={"": objects},
            producer=noted,
            now=lambda: NOW,
        )
        yield Bench(archiver, objects, table, tables, noted, stage, bucket)
