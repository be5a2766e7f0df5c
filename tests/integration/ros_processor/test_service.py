"""The processor as `headrace serve` runs it: on topics and in a database of its own, with a real Kruize."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import asyncpg
import pytest

from headrace.bus.admin import ensure_topics
from headrace.bus.producer import Producer
from headrace.contracts.ros import RosEvent
from headrace.contracts.topics import (
    PAYLOAD_STATUS,
    RECOMMENDATION_REQUESTS,
    ROS_EVENTS,
    SOURCES_RESOURCES,
    Topic,
)
from headrace.objects.endpoint import S3Endpoint
from headrace.objects.store import ObjectStore
from headrace.runtime import metrics
from headrace.runtime.settings import EngineSettings
from headrace.service.host import Host
from headrace_services.ros_processor.aggregation import CsvLimits, aggregate
from tests.disks import small_disk
from tests.engines import SessionEngines
from tests.integration.ros_processor import usage
from tests.integration.ros_processor.conftest import CLUSTER
from tests.integration.ros_processor.peers import KruizePeer, SourcesPeer
from tests.records import Records, open_records
from tests.service import own, own_database, running, url_of
from tests.serving import serving
from tests.waiting import eventually


@dataclass
class Flow:
    """What is around a processor: topics, a bucket, a database; and ways to look at them."""

    engines: EngineSettings
    store: ObjectStore
    producer: Producer
    bucket: str
    database: asyncpg.Pool
    database_name: str
    events: Topic[RosEvent]
    requests: Topic[Any]
    sources: Topic[Any]
    group: str
    records: Records
    starting: asyncio.Lock = field(default_factory=asyncio.Lock)

    def row(self) -> Any:
        """The processor's, on this flow's topics."""
        row = own("ros_processor", database=self.database_name, topics=[self.events, self.sources])
        # A second processor continues where the first stopped.
        groups = (self.group, f"{self.group}-housekeeper")
        consumes = tuple(replace(item, group=group) for item, group in zip(row.consumes, groups, strict=True))
        return replace(row, consumes=consumes)

    async def run(self, stack: AsyncExitStack, *rows: Any, **environment: str) -> Host:
        variables = {
            "RECOMMENDATION_TOPIC": self.requests.name,
            "REQUESTED_ROS_BUCKET": self.bucket,
        } | environment
        # One start at a time, or the one that ends last would restore what the other had set.
        async with self.starting:
            return await stack.enter_async_context(
                running(rows or [self.row()], self.engines, environment=variables)
            )

    async def send(self, content: bytes, **fields: Any) -> str:
        """The document's typed message for a file of this content; returns the request id."""
        request_id = uuid4().hex
        await self.store.put(self.bucket, f"{request_id}.csv", content)
        body = {
            "request_id": request_id,
            "b64_identity": "e30=",
            "metadata": {
                "account": "12345", "org_id": "12345", "source_id": "test-source-id", "cluster_uuid": CLUSTER,
                "cluster_alias": "test-cluster",
            },
            "files": [f"http://minio:9000/{self.bucket}/{request_id}.csv"],
        }  # fmt: skip
        await self.producer.send_raw(self.events.name, json.dumps(body | fields).encode(), key=None)
        return request_id

    async def ending(self, request_id: str, within_seconds: float = 30.0) -> tuple[str, str]:
        """How a request ended: status and text."""

        async def find() -> tuple[str, str] | None:
            for status in await self.records.bodies(PAYLOAD_STATUS.name, request_id=request_id):
                if status["status"] in {"success", "error"}:
                    return status["status"], status["status_msg"]
            return None

        return await eventually(find, within_seconds=within_seconds)

    async def count(self, table: str) -> int:
        return int(await self.database.fetchval(f"select count(*) from {table}"))  # noqa: S608


@pytest.fixture
async def flow(engines: SessionEngines, fresh: Callable[[str], str]) -> AsyncIterator[Flow]:
    settings = EngineSettings(kafka=engines.kafka, s3=engines.s3, postgres=engines.postgres)
    events = replace(ROS_EVENTS, name=fresh("events"))
    requests = replace(RECOMMENDATION_REQUESTS, name=fresh("requests"))
    sources = replace(SOURCES_RESOURCES, name=fresh("sources"))
    await ensure_topics(settings, [events, requests, sources, PAYLOAD_STATUS])
    name, bucket = fresh("ros").replace("-", "_"), fresh("ros-data")
    async with AsyncExitStack() as stack:
        store = await ObjectStore.open(S3Endpoint.of(settings))
        stack.push_async_callback(store.close)
        await store.ensure_bucket(bucket)
        producer = await Producer.open(settings, service="test")
        stack.push_async_callback(producer.close)
        await stack.enter_async_context(own_database(engines.postgres, name))
        database = await stack.enter_async_context(
            asyncpg.create_pool(engines.postgres, database=name, min_size=0, max_size=2)
        )
        records = await stack.enter_async_context(open_records(settings.kafka, PAYLOAD_STATUS.name))
        yield Flow(
            settings, store, producer, bucket, database, name, events, requests, sources, fresh("group"), records
        )  # fmt: skip


async def test_the_typed_message_ends_in_a_real_kruize(flow: Flow) -> None:
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(own_database(flow.engines.postgres))
        host = await flow.run(stack, own("kruize", database=database))
        url = url_of(host)
        processor = await flow.run(stack, KRUIZE_URL=url)
        sent = await flow.send(usage.day(intervals=40, workloads=4))
        assert await flow.ending(sent) == ("success", "4 workloads, 8 containers, 160 intervals sent")
        assert await flow.count("workload_metrics") == 320
        again = await flow.send(usage.day(intervals=40, workloads=4))
        assert await flow.ending(again) == (
            "success", "4 workloads, 8 containers, 160 intervals sent (160 already known to Kruize)"
        )  # fmt: skip
        namespaces = await flow.send(usage.written([usage.namespace_row(number) for number in range(3)]))
        assert await flow.ending(namespaces) == ("success", "1 workload, 3 intervals sent")
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{url}/listExperiments") as response:
                experiments = await response.json()
            name = f"12345|test-source-id|{CLUSTER}|shop|deployment|app-0"
            query = {"experiment_name": name, "interval_end_time": "2023-06-02T10:00:00.000Z"}
            async with session.post(f"{url}/updateRecommendations", params=query) as response:
                assert response.status == 201, await response.text()
        assert len(experiments) == 5
        await eventually(lambda: not processor.contexts[0].health.problems, within_seconds=90)


async def test_a_kruize_that_is_away_holds_the_message_until_it_is_back(flow: Flow) -> None:
    kruize = KruizePeer()
    async with AsyncExitStack() as stack:
        async with serving(kruize.application()) as url:
            port = int(url.rpartition(":")[2])
        processor = await flow.run(stack, KRUIZE_HOST="127.0.0.1", KRUIZE_PORT=str(port))
        health = processor.contexts[0].health
        sent = await flow.send(usage.day())
        await eventually(
            lambda: "Kruize does not answer" in str(health.report()["kruize"]), within_seconds=90
        )
        assert "Kruize does not answer" in str(health.report()["performance profile"])
        assert kruize.results == {}
        await stack.enter_async_context(serving(kruize.application(), port))
        assert (await flow.ending(sent, 40))[0] == "success"
        assert len(kruize.results) == 12
        assert await flow.count("workload_metrics") == 24
        await eventually(lambda: not health.problems, within_seconds=40)


async def test_a_full_disk_holds_the_message_until_there_is_room(
    flow: Flow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So little memory that a small file does not fit, as a large one does not into what there is.
    small = partial(aggregate, limits=CsvLimits(max_partition_bytes=1 << 14))
    monkeypatch.setattr("headrace_services.ros_processor.handlers.aggregate", small)
    kruize = KruizePeer()
    async with AsyncExitStack() as stack:
        disk = stack.enter_context(small_disk(tmp_path))
        monkeypatch.setenv("TMPDIR", str(disk.path))
        url = await stack.enter_async_context(serving(kruize.application()))
        processor = await flow.run(stack, KRUIZE_URL=url)
        health = processor.contexts[0].health
        disk.fill()
        sent = await flow.send(usage.day(intervals=40))
        await eventually(lambda: "(TMPDIR) is full" in str(health.report()), within_seconds=30)
        # Three attempts and more: it is held, and ends by nothing but room.
        tried = metrics.ATTEMPT_FAILURES.labels("ros_processor", flow.events.name, "Retryable")
        before = tried._value.get()
        await eventually(lambda: tried._value.get() >= before + 4, within_seconds=60)
        ended = await flow.records.bodies(PAYLOAD_STATUS.name, request_id=sent)
        assert [status["status"] for status in ended] in ([], ["received"])
        disk.free()
        assert await flow.ending(sent, 40) == ("success", "3 workloads, 6 containers, 120 intervals sent")
        await eventually(lambda: not health.problems, within_seconds=90)
        assert disk.used_by_others == []


async def test_a_file_that_no_room_would_be_enough_for_is_refused(
    flow: Flow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = partial(aggregate, limits=CsvLimits(max_partition_bytes=1 << 14))
    monkeypatch.setattr("headrace_services.ros_processor.handlers.aggregate", small)
    kruize = KruizePeer()
    async with AsyncExitStack() as stack:
        disk = stack.enter_context(small_disk(tmp_path, mebibytes=1))
        if not disk.mounted:
            pytest.skip("no file system can be mounted here")
        monkeypatch.setenv("TMPDIR", str(disk.path))
        url = await stack.enter_async_context(serving(kruize.application()))
        await flow.run(stack, KRUIZE_URL=url)
        sent = await flow.send(usage.day(intervals=200, workloads=40))
        status, text = await flow.ending(sent)
        assert (status, text.partition(": ")[2]) == (
            "error", "the file has more rows than the disk of TMPDIR can hold"
        )  # fmt: skip


async def test_messages_end_with_their_reasons_and_others_go_on(flow: Flow) -> None:
    kruize = KruizePeer()
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serving(kruize.application()))
        await flow.run(stack, KRUIZE_URL=url)
        foreign = await flow.send(b"", files=["http://evil.example/ros.csv?X-Amz-Signature=secret"])
        bad = await flow.send(b"a,b\n1,2\n")
        nobody = await flow.send(usage.day(), metadata={"org_id": "12345"})
        good = await flow.send(usage.day())
        status, text = await flow.ending(foreign)
        assert (status, "ROS_ALLOWED_HOSTS" in text, "secret" in text) == ("error", True, False)
        assert (await flow.ending(bad))[0] == "error"
        status, text = await flow.ending(nobody)
        assert (status, "metadata.cluster_uuid" in text) == ("error", True)
        assert (await flow.ending(good))[0] == "success"


async def test_two_replicas_share_the_work_without_doing_any_twice(flow: Flow) -> None:
    kruize = KruizePeer()
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serving(kruize.application()))
        await asyncio.gather(*(flow.run(stack, KRUIZE_URL=url) for _ in range(2)))
        sent = [await flow.send(usage.day(intervals=1 + number, workloads=5)) for number in range(8)]
        endings = [await flow.ending(request_id) for request_id in sent]
        assert {status for status, _ in endings} == {"success"}
        assert await flow.count("workloads") == 5
        assert await flow.count("workload_metrics") == 8 * 5 * 2
        assert len(kruize.results) == 8 * 5


async def test_a_deleted_application_takes_its_cluster_along_and_uploads_on_its_topic_do_not_matter(
    flow: Flow,
) -> None:
    kruize, sources = KruizePeer(), SourcesPeer()
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serving(kruize.application()))
        sources_url = await stack.enter_async_context(serving(sources.application()))
        await flow.run(stack, KRUIZE_URL=url, SOURCES_API_BASE_URL=sources_url)
        metadata = {"org_id": "12345", "source_id": "7", "cluster_uuid": CLUSTER, "cluster_alias": "c"}
        await flow.ending(await flow.send(usage.day(), metadata=metadata))
        await flow.producer.send_raw(flow.sources.name, b'{"request_id": "an upload"}', key=None)
        other = b'{"id": 1, "source_id": 7, "application_type_id": 2, "tenant": "12345"}'
        await flow.producer.send_raw(
            flow.sources.name, other, key=None, headers=[("event_type", b"Source.destroy")]
        )
        await flow.producer.send_raw(
            flow.sources.name, other, key=None, headers=[("event_type", b"Application.destroy")]
        )

        async def gone() -> bool:
            return await flow.count("clusters") == 0

        await eventually(gone, within_seconds=90)
        assert await flow.count("workload_metrics") == 0
        assert kruize.experiments == {}
