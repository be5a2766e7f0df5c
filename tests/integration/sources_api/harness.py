"""The Sources API in this process, and how to ask it and read its events."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka.structs import ConsumerRecord

from headrace.bus.admin import ensure_topics
from headrace.contracts.topics import SOURCES_RESOURCES
from headrace.database.pool import Database
from headrace.runtime.settings import EngineSettings
from headrace.service.host import Host
from tests import answers, identities
from tests.records import Records, open_records
from tests.service import Running, named, open_client, own, running, url_of
from tests.waiting import eventually

V1 = "/api/sources/v1.0"
V3 = "/api/sources/v3.1"
COST = "/insights/platform/cost-management"
PSK = "a-shared-key"


def identity(org_id: str, **changes: Any) -> str:
    """The header's value; a change to None leaves the field out, and so does an empty org id."""
    return identities.stated(**({"org_id": org_id or None, "type": "User"} | changes))


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

    records: Records

    async def of(self, key: str) -> list[ConsumerRecord]:
        """Those with a key, in order; read up to the topic's present end."""
        return [
            record for record in await self.records.all(SOURCES_RESOURCES.name) if record.key == key.encode()
        ]

    async def exactly(self, key: str, count: int, *, within_seconds: float = 90.0) -> list[ConsumerRecord]:
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
class Sources(Running[Answer]):
    answer = Answer

    host: Host
    database: Database
    events: Events

    async def request(
        self,
        method: str,
        path: str,
        org_id: str = "",
        body: Any = None,
        *,
        raw: bytes | None = None,
        **headers: Any,
    ) -> Answer:
        """Ask; paths without a prefix are below v3.1, `_` in header names stands for `-`."""
        sent = named(headers)
        if org_id:
            sent["x-rh-identity"] = identity(org_id)
        whole = path if path.startswith(("/api", "/internal", "/health")) else f"{V3}/{path}"
        return await self.send_request(method, whole, body=body if raw is None else raw, headers=sent)

    async def get(self, path: str, org_id: str = "", **headers: Any) -> Answer:
        return await self.request("GET", path, org_id, **headers)

    async def post(self, path: str, org_id: str = "", body: Any = None, **headers: Any) -> Answer:
        return await self.request("POST", path, org_id, body, **headers)

    async def patch(self, path: str, org_id: str, body: Any, **headers: Any) -> Answer:
        return await self.request("PATCH", path, org_id, body, **headers)

    async def delete(self, path: str, org_id: str, **headers: Any) -> Answer:
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
    engines = EngineSettings(kafka=kafka, postgres=f"{url}/postgres")
    seen = EngineSettings(kafka=kafka_seen_by_test or kafka)
    await ensure_topics(seen, [SOURCES_RESOURCES], with_dead_letters=False)
    variables = {"SOURCES_PSKS": f"other,{PSK}"} | environment
    async with (
        open_records(seen.kafka, SOURCES_RESOURCES.name, partitions=SOURCES_RESOURCES.partitions) as records,
        running([own("sources_api", database=name)], engines, environment=variables, lenient=lenient) as host,
        open_client() as session,
    ):
        connected = await Database.open(database, name, service="test")
        try:
            yield Sources(url_of(host), session, host, connected, Events(records))
        finally:
            await connected.close()
