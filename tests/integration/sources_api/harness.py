"""The Sources API in this process, and how to ask it and read its events."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord
from yarl import URL

from headrace.bus.admin import ensure_topics
from headrace.contracts.topics import SOURCES_RESOURCES
from headrace.database.pool import Database
from headrace.runtime.settings import EngineSettings, ProcessSettings
from headrace.service.host import Host
from headrace.service.process import running
from headrace_services.registry import BY_NAME
from tests import answers
from tests.reading import reader
from tests.waiting import eventually

V1 = "/api/sources/v1.0"
V3 = "/api/sources/v3.1"
COST = "/insights/platform/cost-management"
PSK = "a-shared-key"


def identity(org_id: str, **changes: Any) -> str:
    """The header's value; a change to None leaves the field out, and so does an empty org id."""
    fields = {"org_id": org_id or None, "type": "User"} | changes
    body = {"identity": {name: value for name, value in fields.items() if value is not None}}
    return base64.b64encode(json.dumps(body).encode()).decode()


class Answer(answers.Answer):
    @property
    def detail(self) -> str:
        """The one error's text, its shape checked."""
        (error,) = self.json["errors"]
        assert error.keys() == {"detail", "status"}
        assert error["status"] == str(self.status)
        return str(error["detail"])

    @property
    def ids(self) -> list[str]:
        return [item["id"] for item in self.json["data"]]


@dataclass
class Events:
    """Records of the topic from the opening on."""

    consumer: AIOKafkaConsumer
    partitions: list[TopicPartition]
    seen: list[ConsumerRecord]

    async def of(self, key: str) -> list[ConsumerRecord]:
        """Those with a key, in order; read up to the topic's present end."""
        ends = await self.consumer.end_offsets(self.partitions)
        async with asyncio.timeout(90):
            while any([await self.consumer.position(at) < ends[at] for at in self.partitions]):
                for records in (await self.consumer.getmany(timeout_ms=100)).values():
                    self.seen += records
        return [record for record in self.seen if record.key == key.encode()]

    async def exactly(self, key: str, count: int, *, within_seconds: float = 10.0) -> list[ConsumerRecord]:
        """Wait until there are so many."""

        async def enough() -> list[ConsumerRecord]:
            found = await self.of(key)
            assert len(found) >= count, types(found)
            return found

        found = await eventually(enough, within_seconds=within_seconds)
        assert len(found) == count, types(found)
        return found


def types(records: list[ConsumerRecord]) -> list[str]:
    return [header(record, "event_type") for record in records]


def header(record: ConsumerRecord, name: str) -> str:
    values = [value.decode() for key, value in record.headers if key == name]
    assert len(values) <= 1
    return values[0] if values else ""


def value(record: ConsumerRecord) -> dict[str, Any]:
    return json.loads(record.value)


@dataclass
class Sources:
    url: str
    host: Host
    database: Database
    events: Events
    session: aiohttp.ClientSession

    async def request(
        self,
        method: str,
        path: str,
        org_id: str = "",
        body: Any = None,
        *,
        raw: bytes | None = None,
        **headers: str,
    ) -> Answer:
        """Ask; paths without a prefix are below v3.1, `_` in header names stands for `-`."""
        sent = {name.replace("_", "-"): text for name, text in headers.items()}
        if org_id:
            sent["x-rh-identity"] = identity(org_id)
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        whole = path if path.startswith(("/api", "/internal", "/health")) else f"{V3}/{path}"
        async with self.session.request(
            method, URL(self.url + whole, encoded=True), data=data, headers=sent
        ) as got:
            return Answer(got.status, dict(got.headers), await got.text())

    async def get(self, path: str, org_id: str = "", **headers: str) -> Answer:
        return await self.request("GET", path, org_id, **headers)

    async def post(self, path: str, org_id: str = "", body: Any = None, **headers: str) -> Answer:
        return await self.request("POST", path, org_id, body, **headers)

    async def patch(self, path: str, org_id: str, body: Any, **headers: str) -> Answer:
        return await self.request("PATCH", path, org_id, body, **headers)

    async def delete(self, path: str, org_id: str, **headers: str) -> Answer:
        return await self.request("DELETE", path, org_id, **headers)

    async def type_id(self, name: str) -> str:
        """Of a source type or, with slashes, an application type."""
        kind = "application_types" if "/" in name else "source_types"
        (found,) = (await self.get(f"{kind}?filter[name]={name}")).ids
        return found

    async def made(self, kind: str, org_id: str, **body: Any) -> dict[str, Any]:
        answer = await self.post(kind, org_id, body)
        assert answer.status == 201, answer.text
        return answer.json

    async def source(self, org_id: str, name: str = "cluster", **body: Any) -> dict[str, Any]:
        fields = {"name": name, "source_type_id": await self.type_id("openshift")} | body
        return await self.made("sources", org_id, **fields)

    async def application(self, org_id: str, source_id: str, type_name: str = COST) -> dict[str, Any]:
        type_id = await self.type_id(type_name)
        return await self.made("applications", org_id, source_id=source_id, application_type_id=type_id)

    async def kept(self) -> int:
        """Events that wait."""
        return await self.database.fetch_value("select count(*) from outbox")


@asynccontextmanager
async def open_events(kafka: str) -> AsyncIterator[Events]:
    settings = EngineSettings(kafka=kafka)
    await ensure_topics(settings, [SOURCES_RESOURCES], with_dead_letters=False)
    consumer = reader(settings.kafka)
    partitions = [TopicPartition(SOURCES_RESOURCES.name, n) for n in range(SOURCES_RESOURCES.partitions)]
    await consumer.start()
    try:
        consumer.assign(partitions)
        for at, end in (await consumer.end_offsets(partitions)).items():
            consumer.seek(at, end)
        yield Events(consumer, partitions, [])
    finally:
        await consumer.stop()


@asynccontextmanager
async def open_sources(
    kafka: str,
    database: str,
    *,
    kafka_seen_by_test: str = "",
    postgres: str = "",
    lenient: bool = False,
    **environment: str,
) -> AsyncIterator[Sources]:
    """The service over the database of that URL; `environment` are its variables."""
    url, _, name = (postgres or database).rpartition("/")
    row = replace(BY_NAME["sources_api"], database=name)
    engines = EngineSettings(kafka=kafka, postgres=f"{url}/postgres")
    process = ProcessSettings(admin_port=0, lenient=lenient, stop_seconds=10.0)
    async with AsyncExitStack() as opened:
        events = await opened.enter_async_context(open_events(kafka_seen_by_test or kafka))
        with pytest.MonkeyPatch.context() as patch:
            for variable, text in (
                {"SOURCES_API_PORT": "0", "SOURCES_PSKS": f"other,{PSK}"} | environment
            ).items():
                patch.setenv(variable, text)
            host = await opened.enter_async_context(running([row], engines, process))
        connected = await Database.open(database, name, service="test")
        opened.push_async_callback(connected.close)
        session = await opened.enter_async_context(aiohttp.ClientSession())
        port = host.contexts[0].listeners[0].port
        yield Sources(f"http://127.0.0.1:{port}", host, connected, events, session)
