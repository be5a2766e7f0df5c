"""Services as `headrace serve` runs them, in this process and on the session's engines, and how to call them.

`own` gives a row what no other test touches, and `running` starts rows. A service's tests inherit `Running` for how
they call it and how they read its answers.
"""

import asyncio
import io
import json
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, TypeVar

import aiohttp
import asyncpg
import pytest
from yarl import URL

from headrace.contracts.topics import Topic
from headrace.database.migrations import migrate
from headrace.database.pool import Database
from headrace.runtime.settings import EngineSettings, ProcessSettings
from headrace.service import process
from headrace.service.host import Host
from headrace.service.row import Service
from headrace_services.registry import BY_NAME
from tests.answers import Answer

A = TypeVar("A", bound=Answer)


@dataclass
class Running(Generic[A]):
    """A running service at `url`, and a client of it."""

    # How the service's answers are read.
    answer: ClassVar[type[Any]] = Answer
    # Headers that aiohttp's client sends by itself and this one does not.
    unsent: ClassVar[tuple[str, ...]] = ()

    url: str
    session: aiohttp.ClientSession

    async def send_request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> A:
        """Ask for a path, which is sent as it stands; bytes and streams as they are, any other body as JSON."""
        if body is not None and not isinstance(body, bytes | AsyncIterator | aiohttp.FormData):
            body = json.dumps(body).encode()
        url = URL(self.url + path, encoded=True)
        async with self.session.request(
            method,
            url.extend_query(params) if params else url,
            # The client warns of large bytes, though not of the same in a file.
            data=io.BytesIO(body) if isinstance(body, bytes) else body,
            headers=headers,
            skip_auto_headers=self.unsent,
            allow_redirects=False,
        ) as response:
            found: A = self.answer(response.status, response.headers, await response.read())
            return found


def named(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers given as keywords, with `_` for `-`."""
    return {name.replace("_", "-"): value for name, value in headers.items()}


def url_of(host: Host, number: int = 0) -> str:
    """Where a process' service listens."""
    return f"http://127.0.0.1:{host.contexts[number].listeners[0].port}"


def new_database(kind: str) -> str:
    """A name nobody else uses."""
    return f"{kind}_{uuid.uuid4().hex[:12]}"


@asynccontextmanager
async def own_database(server: str, name: str = "") -> AsyncIterator[str]:
    """URL of an empty database on a server; it is dropped at the end, whoever is connected."""
    name = name or new_database("test")
    async with connected(server) as admin:
        # Files are copied in a third of the time that their pages take through the log.
        await admin.execute(f'CREATE DATABASE "{name}" STRATEGY FILE_COPY')
        try:
            yield f"{server.rpartition('/')[0]}/{name}"
        finally:
            await admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@asynccontextmanager
async def migrated(url: str, service: str, *, opened_by: str = "") -> AsyncIterator[Database]:
    """The database of that URL with a service's tables; connections bear the name of who opened it, the service's."""
    opened = await Database.open(url, url.rpartition("/")[2], service=opened_by or service)
    try:
        await migrate(opened, BY_NAME[service].migrations)
        yield opened
    finally:
        await opened.close()


def own(row: Service | str, *, database: str = "", topics: Iterable[Topic[Any]] = ()) -> Service:
    """A row on a free port, with a database and consumer groups of its own.

    `database` is the name or URL of one that is there. It consumes `topics`, one for each of the row's, or else fresh
    ones.
    """
    row = BY_NAME[row] if isinstance(row, str) else row
    run = uuid.uuid4().hex[:12]
    given = tuple(topics) or [replace(item.topic, name=f"{item.topic.name}-{run}") for item in row.consumes]
    consumes = tuple(
        replace(item, topic=topic, group=f"{item.group}-{run}")
        for item, topic in zip(row.consumes, given, strict=True)
    )
    return replace(
        row,
        port=None if row.port is None else 0,
        port_variable="",
        consumes=consumes,
        database=(database.rpartition("/")[2] or new_database(row.name)) if row.database else None,
    )


@contextmanager
def variables(without: Iterable[str] = (), **environment: str) -> Iterator[None]:
    """The environment of a start: services read it then, and what stayed set would be another service's too."""
    with pytest.MonkeyPatch.context() as patch:
        for name in without:
            patch.delenv(name, raising=False)
        for name, text in environment.items():
            patch.setenv(name, text)
        yield


@asynccontextmanager
async def running(
    rows: Sequence[Service],
    engines: EngineSettings,
    *,
    without: Iterable[str] = (),
    environment: Mapping[str, str] | None = None,
    **terms: Any,
) -> AsyncIterator[Host]:
    """A process of these rows, with these variables; `terms` are the process' settings."""
    settings = ProcessSettings(**({"admin_port": 0} | terms))
    async with AsyncExitStack() as opened:
        with variables(without, **(environment or {})):
            host = await opened.enter_async_context(process.running(rows, engines, settings))
        stop = asyncio.Event()
        working = asyncio.create_task(host.run(stop))
        try:
            yield host
        finally:
            stop.set()
            # What made a task of the service fail makes the test fail.
            await working


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A test's own connection to a database."""
    connection = await asyncpg.connect(url, timeout=60)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def open_client(*, limit: int = 100) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of so many connections at once; 0: of any number."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=limit)) as session:
        yield session
