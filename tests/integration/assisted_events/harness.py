"""The sender with tables of its own, and an endpoint that answers as a test wants and hides nothing."""

import asyncio
import io
import json
import os
import sys
import tarfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from headrace.local.ports import EnginePorts
from headrace.runtime.settings import EngineSettings
from headrace.service.host import Host
from headrace_services.assisted_events.api import PREFIX
from tests.answers import Answer
from tests.processes import ROOT, ServiceProcess
from tests.service import Running, connected, open_client, own, running, url_of
from tests.serving import serving
from tests.waiting import eventually

OK = (202, b'{"request_id":"r"}')
Behaviour = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Received:
    """One upload, taken apart."""

    headers: dict[str, str]
    part: dict[str, str]
    content: bytes

    @property
    def request_id(self) -> str:
        return self.headers["X-Rh-Insights-Request-Id"]

    @property
    def cluster_id(self) -> str:
        return self.headers["User-Agent"].rpartition("cluster/")[2]

    @property
    def members(self) -> dict[str, Any]:
        return members_of(self.content)


def members_of(content: bytes) -> dict[str, Any]:
    """Member name to its JSON value, in order."""
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as tar:
        found = [(item, tar.extractfile(item)) for item in tar]
        assert all(item.mode == 0o644 for item, _ in found)
        return {item.name: json.loads(opened.read()) for item, opened in found if opened}


@dataclass
class Endpoint:
    """An ingress of a test's own; `script` is taken from the front, after it `answer` holds."""

    url: str = ""
    answer: Any = OK
    script: list[Any] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    accepted: list[Received] = field(default_factory=list)
    probes: int = 0
    probe_drops: int = 0
    on_upload: Callable[[Received], None] = lambda _: None

    async def probe(self, request: web.Request) -> web.Response:
        self.probes += 1
        if self.probes <= self.probe_drops:
            assert request.transport
            request.transport.abort()
        return web.Response(status=405)

    async def upload(self, request: web.Request) -> web.StreamResponse:
        answer = self.script.pop(0) if self.script else self.answer
        if answer == "drop mid-body":
            await request.content.readany()
            assert request.transport
            request.transport.abort()
            return web.Response()
        reader = await request.multipart()
        part = await reader.next()
        assert isinstance(part, aiohttp.BodyPartReader)
        content = bytes(await part.read())
        described = {"name": part.name or "", "filename": part.filename or "", **part.headers}
        assert await reader.next() is None
        upload = Received(dict(request.headers), described, content)
        self.received.append(upload)
        self.on_upload(upload)
        if answer == "hang":
            await asyncio.sleep(3600)
        if answer == "drop after":
            self.accepted.append(upload)
            assert request.transport
            request.transport.abort()
            return web.Response()
        status, body, *headers = answer
        if 200 <= status < 300:
            self.accepted.append(upload)
        return web.Response(status=status, body=body, headers=headers[0] if headers else None)


@asynccontextmanager
async def open_endpoint() -> AsyncIterator[Endpoint]:
    endpoint = Endpoint()
    app = web.Application(client_max_size=1 << 30)
    app.router.add_get("/upload", endpoint.probe)
    app.router.add_post("/upload", endpoint.upload)
    async with serving(app) as url:
        endpoint.url = f"{url}/upload"
        yield endpoint


@dataclass
class Sender(Running[Answer]):
    """A running sender, asked by REST, and its database."""

    host: Host | None
    database: str

    async def call(self, method: str, path: str, *, json: Any = None, data: Any = None) -> Any:
        """The decoded answer; any status but 2xx fails."""
        status, body = await self.ask(method, path, json=json, data=data)
        assert 200 <= status < 300, (status, body)
        return body

    async def ask(self, method: str, path: str, *, json: Any = None, data: Any = None) -> tuple[int, Any]:
        if json is None:
            answer = await self.send_request(method, PREFIX + path, body=data)
        else:
            headers = {"Content-Type": "application/json"}
            answer = await self.send_request(method, PREFIX + path, body=json, headers=headers)
        is_json = answer.headers.get("Content-Type", "").startswith("application/json")
        return answer.status, answer.json if is_json else answer.body

    async def simulate(self, **terms: Any) -> list[str]:
        answer = await self.call("POST", "/simulations", json=terms)
        return [cluster["id"] for cluster in answer["clusters"]]

    async def sendings(self, cluster_id: str = "") -> list[dict[str, Any]]:
        query = f"?cluster_id={cluster_id}" if cluster_id else ""
        found: list[dict[str, Any]] = (await self.call("GET", f"/sendings{query}"))["data"]
        return found

    async def in_state(self, cluster_id: str, state: str, *, within_seconds: float = 60) -> dict[str, Any]:
        """The cluster's newest sending, once it is in that state."""

        async def found() -> dict[str, Any] | None:
            sendings = await self.sendings(cluster_id)
            assert sendings, "nothing on record"
            assert sendings[0]["state"] == state, sendings[0]
            return sendings[0]

        result = await eventually(found, within_seconds=within_seconds, describe=f"{cluster_id} {state}")
        assert result
        return result

    async def execute(self, statement: str, *arguments: Any) -> None:
        async with connected(self.database) as connection:
            await connection.execute(statement, *arguments)


@asynccontextmanager
async def open_sender(
    postgres: str, name: str, *, lenient: bool = True, **environment: str
) -> AsyncIterator[Sender]:
    """The service in this process, on the database `name`; lenient, it wants no token."""
    row = own("assisted_events", database=name)
    fast = {"ASSISTED_RETRY_SECONDS": "0.2", "ASSISTED_MAX_RETRY_SECONDS": "0.5", **environment}
    async with (
        running([row], EngineSettings(postgres=postgres), environment=fast, lenient=lenient) as host,
        open_client() as session,
    ):
        yield Sender(url_of(host), session, host, f"{postgres.rpartition('/')[0]}/{name}")


@dataclass
class ChildProcess(ServiceProcess):
    """The sender as a process of its own, on the database `name`; its output goes to `log`."""

    database: str = ""
    port: int = 0

    @classmethod
    def of(cls, postgres: str, name: str, log: Path, **environment: str) -> "ChildProcess":
        environment = {
            "HEADRACE_POSTGRES": postgres,
            "HEADRACE_LENIENT": "true",
            "ASSISTED_RETRY_SECONDS": "0.2",
            "ASSISTED_MAX_RETRY_SECONDS": "0.5",
            **environment,
        }
        port, admin_port = free_ports(2)
        return cls(("assisted_events",), environment, admin_port, log, database=name, port=port)

    async def spawn(self) -> None:
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.integration.assisted_events.child",
                self.database, str(self.port), str(self.admin_port),
                cwd=ROOT, stdout=log, stderr=log, env={**os.environ, **self.environment},
            )  # fmt: skip

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Sender]:
        postgres = self.environment["HEADRACE_POSTGRES"]
        async with open_client() as session:
            url = f"http://127.0.0.1:{self.port}"
            yield Sender(url, session, None, f"{postgres.rpartition('/')[0]}/{self.database}")


def free_ports(count: int) -> list[int]:
    """Of a hundred that no other process of the tests gets, below those that the system hands out."""
    first = EnginePorts.random().kafka + 20
    return list(range(first, first + count))


def new_name() -> str:
    return f"assisted_{uuid.uuid4().hex[:12]}"
