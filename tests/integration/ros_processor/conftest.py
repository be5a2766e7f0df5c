import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from headrace.bus.admin import ensure_topics
from headrace.contracts.ros import RosEvent
from headrace.contracts.sources import SourcesEvent
from headrace.contracts.topics import RECOMMENDATION_REQUESTS
from headrace.database.pool import Database
from headrace.objects.endpoint import S3Endpoint
from headrace.objects.fetch import Fetcher
from headrace.objects.store import ObjectStore
from headrace.runtime.settings import EngineSettings
from headrace.web.peer import Peer
from headrace_services.ros_processor.client import Kruize
from headrace_services.ros_processor.handlers import UsageFiles
from headrace_services.ros_processor.housekeeper import Housekeeper
from headrace_services.ros_processor.profile import ProfileKeeper
from headrace_services.ros_processor.store import RosStore
from tests.engines import SessionEngines
from tests.handling import Noted, delivery
from tests.integration.ros_processor.peers import KruizePeer, SourcesPeer
from tests.service import open_client
from tests.serving import serving

CLUSTER = "1b77b73f-1d3e-43c6-9f55-bcd9fb6d1a0c"
NOW = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
TABLES = ("rh_accounts", "clusters", "workloads", "workload_metrics")


@dataclass
class Bench:
    """A processor on real engines with a bucket and a database of its own, and a Kruize to play with."""

    files: UsageFiles
    housekeeper: Housekeeper
    kruize: KruizePeer
    sources: SourcesPeer
    store: ObjectStore
    bucket: str
    database: Database
    producer: Noted
    session: aiohttp.ClientSession
    profile: ProfileKeeper
    uploaded: int = field(default=0)

    async def event(self, *contents: bytes, names: tuple[str, ...] = (), **fields: Any) -> RosEvent:
        """An event of koku's form for files that are in the bucket."""
        keys = []
        for number, content in enumerate(contents):
            self.uploaded += 1
            key = names[number] if names else f"org12345/source=x/ros-{self.uploaded}.csv"
            await self.store.put(self.bucket, key, content)
            keys.append(key)
        metadata = {
            "account": "12345", "org_id": "12345", "source_id": "7", "cluster_uuid": CLUSTER,
            "cluster_alias": "test-cluster",
        }  # fmt: skip
        body = {
            "request_id": "request-1",
            "b64_identity": "e30=",
            "metadata": metadata | fields.pop("metadata", {}),
            "files": [f"http://s3.elsewhere:9000/{self.bucket}/{key}" for key in keys],
            "object_keys": keys,
        }
        return RosEvent.model_validate(body | fields)

    async def handle(self, event: RosEvent, files: UsageFiles | None = None, at: datetime = NOW) -> str:
        return await (files or self.files).handle(event, delivery(at))

    async def destroy(self, headers: dict[str, str] | None = None, **fields: Any) -> str:
        """An application is gone."""
        body = {"id": 3, "source_id": 7, "application_type_id": 2, "tenant": "12345"} | fields
        event = SourcesEvent.from_json(json.dumps(body).encode())
        return await self.housekeeper.handle(event, delivery(NOW, headers))

    async def dump(self) -> dict[str, list[str]]:
        """Every row, with where it stands: one that was written again with the same values shows too."""
        found = {}
        for table in TABLES:
            rows = await self.database.fetch(f"select xmin::text, t.*::text as row from {table} t order by 2")  # noqa: S608
            found[table] = [f"{row['xmin']} {row['row']}" for row in rows]
        return found

    @property
    def asked(self) -> list[tuple[str, dict[str, Any]]]:
        """Key and body of each message of the last batch."""
        return [(item.key.decode(), json.loads(item.value)) for item in self.producer.batches[-1]]

    async def count(self, table: str) -> int:
        return int(await self.database.fetch_value(f"select count(*) from {table}"))  # noqa: S608

    def asking(self, url: str, *, timeout_seconds: float) -> UsageFiles:
        """The handler, asking the Kruize of that URL."""
        peer = Peer(self.session, url, name="Kruize", timeout_seconds=timeout_seconds)
        return replace(self.files, kruize=Kruize(peer, self.profile, max_records=100, concurrency=4))

    def with_hosts(self, *hosts: str) -> UsageFiles:
        """The handler, with hosts it may fetch from."""
        fetcher = Fetcher(
            self.store, self.session, allowed_hosts=hosts, variable="ROS_ALLOWED_HOSTS",
            fetch_seconds=2.0,
        )  # fmt: skip
        return replace(self.files, fetcher=fetcher)


@pytest.fixture
async def bench(
    engines: SessionEngines, tables: Database, noted: Noted, fresh: Callable[[str], str]
) -> AsyncIterator[Bench]:
    # Nobody reads it; what was acknowledged is noted.
    topic = replace(RECOMMENDATION_REQUESTS, name="ros-processor-requests")
    await ensure_topics(EngineSettings(kafka=engines.kafka), [topic])
    kruize_peer, sources_peer = KruizePeer(), SourcesPeer()
    async with (
        serving(kruize_peer.application()) as kruize_peer.url,
        serving(sources_peer.application()) as sources_peer.url,
        open_client() as session,
    ):
        store = await ObjectStore.open(S3Endpoint.parse(engines.s3, aliases=["minio:9000"]))
        bucket = fresh("ros-data")
        await store.ensure_bucket(bucket)
        peer = Peer(session, kruize_peer.url, name="Kruize", timeout_seconds=10.0)
        profile = ProfileKeeper(peer, version=2.0, update=True)
        kruize = Kruize(peer, profile, max_records=100, concurrency=4)
        files = UsageFiles(
            fetcher=Fetcher(store, session, variable="ROS_ALLOWED_HOSTS"),
            bucket=bucket,
            kruize=kruize,
            store=RosStore(tables),
            producer=noted,
            requests=topic,
        )
        sources = Peer(session, sources_peer.url, name="the Sources API", timeout_seconds=10.0)
        housekeeper = Housekeeper(sources, "/api/sources/v3.1", kruize, tables)
        yield Bench(
            files, housekeeper, kruize_peer, sources_peer, store, bucket, tables, noted, session, profile
        )
        await store.close()
