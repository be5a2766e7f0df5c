import asyncio
import base64
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import asyncpg
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, TopicPartition
from yarl import URL

from headrace.bus.admin import ensure_topics
from headrace.bus.consumption import Consumption
from headrace.local.ports import EnginePorts
from headrace.local.shape import settings_of_ports
from headrace.runtime.settings import EngineSettings, ProcessSettings
from headrace.service.host import Host
from headrace.service.process import running
from headrace.service.row import Service
from headrace_services.registry import SERVICES
from tests.engines import SessionEngines

BODY_SECONDS = 1.0
# Its answers are pages and streams, which tests/unit/console and tests/integration/console ask for.
PAGES = {"console"}
ROWS = [row for row in SERVICES if row.port is not None and row.name not in PAGES]
IDENTITY = base64.b64encode(
    json.dumps(
        {
            "identity": {
                "account_number": "1001",
                "org_id": "1001",
                "type": "User",
                "internal": {"org_id": "1001"},
                "user": {"username": "jdoe", "user_id": "7", "is_org_admin": True},
            }
        }
    ).encode()
).decode()


@dataclass
class Everything:
    """Every service that listens, in this process."""

    urls: dict[str, str]
    documents: dict[str, dict[str, Any]]
    admin_url: str
    session: aiohttp.ClientSession
    host: Host

    @property
    def operations(self) -> list[tuple[str, str, str, dict[str, Any]]]:
        """Service, method, path, operation: of each service's own document."""
        return [
            (
                service,
                method.upper(),
                _prefix(document) + path,
                operation | {"parameters": _parameters(document, item, operation)},
            )
            for service, document in self.documents.items()
            for path, item in document["paths"].items()
            for method, operation in item.items()
            if method in {"get", "put", "post", "delete", "patch"}
        ]


def _prefix(document: dict[str, Any]) -> str:
    servers = document.get("servers") or [{"url": "/"}]
    return URL(servers[0]["url"]).path.rstrip("/")


def _parameters(document: dict[str, Any], *holders: dict[str, Any]) -> list[dict[str, Any]]:
    return [resolved(document, item) for holder in holders for item in holder.get("parameters", ())]


def resolved(document: dict[str, Any], item: Any) -> Any:
    while isinstance(item, dict) and "$ref" in item:
        found: Any = document
        for part in item["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        item = found
    return item


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def everything(
    engines: SessionEngines, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Everything]:
    process = ProcessSettings(
        admin_port=0, lenient=True, stop_seconds=5.0, body_seconds=BODY_SECONDS, answer_seconds=BODY_SECONDS
    )
    directory = tmp_path_factory.mktemp("everything")
    with pytest.MonkeyPatch.context() as patch:
        async with (
            aiohttp.ClientSession(headers={"x-rh-identity": IDENTITY}) as session,
            running_all(engines, ROWS, process, session, directory, patch) as started,
        ):
            yield started


@asynccontextmanager
async def running_all(
    engines: SessionEngines,
    rows: Sequence[Service],
    process: ProcessSettings,
    session: aiohttp.ClientSession,
    directory: Path,
    patch: pytest.MonkeyPatch,
) -> AsyncIterator[Everything]:
    """These services, with databases and consumer groups of their own, and the documents of those that listen."""
    run = uuid4().hex[:12]
    database = {row.database: f"{row.database}_{run}" for row in rows if row.database}
    rows = [
        replace(
            row,
            database=database[row.database] if row.database else None,
            consumes=tuple(replace(item, group=f"group-{uuid4().hex[:12]}") for item in row.consumes),
        )
        for row in rows
    ]
    # They ask one another.
    for name, value in settings_of_ports(SERVICES, EnginePorts.random().kafka).items():
        patch.setenv(name, value)
    patch.setenv("OLS_USER_DATA_PATH", str(directory / "ols"))
    (directory / "ols").mkdir()
    settings = EngineSettings(kafka=engines.kafka, s3=engines.s3, postgres=engines.postgres)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(_drop, engines.postgres, set(database.values()))
        await ensure_topics(settings, [topic for row in rows for topic in row.topics])
        await asyncio.gather(
            *(_begin_at_the_end(engines.kafka, item) for row in rows for item in row.consumes)
        )
        host = await stack.enter_async_context(running(rows, settings, process))
        listening = [context for context in host.contexts if context.listeners]
        urls = {context.row.name: f"http://127.0.0.1:{context.listeners[0].port}" for context in listening}
        documents = {}
        for context in listening:
            row = context.row
            async with session.get(urls[row.name] + row.openapi_path) as response:
                assert response.status == 200, (row.name, response.status)
                documents[row.name] = json.loads(await response.read())
        yield Everything(urls, documents, f"http://127.0.0.1:{host.admin_port}", session, host)


async def _begin_at_the_end(kafka: str, consumption: Consumption) -> None:
    """What other tests sent to a topic is not for this group."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, group_id=consumption.group, enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = [
            TopicPartition(consumption.topic.name, number) for number in range(consumption.topic.partitions)
        ]
        consumer.assign(partitions)
        await consumer.commit(await consumer.end_offsets(partitions))
    finally:
        await consumer.stop()


async def _drop(url: str, names: set[str]) -> None:
    connection = await asyncpg.connect(url, timeout=60)
    try:
        for name in names:
            await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    finally:
        await connection.close()
