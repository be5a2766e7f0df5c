"""One real Kafka, S3 server and PostgreSQL for a whole test session, whichever number of workers it has.

The process that owns the session (xdist's controller, or pytest itself) runs a host in a thread; whoever
needs a server asks it over a Unix socket for the URL, and the first who asks has it started. Its choice:

1. a URL in HEADRACE_TEST_KAFKA, HEADRACE_TEST_S3 or HEADRACE_TEST_POSTGRES;
2. containers of compose.yaml's images, with HEADRACE_TEST_ENGINES=containers;
3. child processes on random ports, data in a directory that is removed at the end.

HEADRACE_TEST_S3 may also be `minio` or `seaweedfs`: then only that server is tested.
"""

import asyncio
import contextlib
import json
import os
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import asyncpg

if TYPE_CHECKING:
    from headrace.local.engine import Engine

HOST_SOCKET = "HEADRACE_TEST_ENGINES_SOCKET"
# A first start may build MinIO.
ANSWER_SECONDS = 1800.0
STOP_SECONDS = 60.0
SERVERS = ("kafka", "postgres", "minio", "seaweedfs")


class Unavailable(Exception):
    """This machine cannot have that server; the text says why."""


@dataclass(frozen=True)
class SessionEngines:
    """URLs as the HEADRACE_KAFKA, HEADRACE_S3 and HEADRACE_POSTGRES variables want them."""

    kafka: str
    s3: str
    postgres: str


def s3_servers() -> tuple[str, ...]:
    """The S3 servers that tests of S3 behaviour run on."""
    chosen = os.environ.get("HEADRACE_TEST_S3", "")
    if "://" in chosen:
        return ("given",)
    return (chosen,) if chosen else ("minio", "seaweedfs")


def url_of(server: str) -> str:
    """`kafka`, `postgres`, `s3` (the session's own choice), `minio` or `seaweedfs`; started on first need."""
    if given := os.environ.get(f"HEADRACE_TEST_{server.upper()}"):
        if server != "s3" or "://" in given:
            return given
        server = given
    if server == "given":
        return os.environ["HEADRACE_TEST_S3"]
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_SECONDS)
        connection.connect(os.environ[HOST_SOCKET])
        with connection.makefile("rw", encoding="utf-8") as stream:
            stream.write(f"{server}\n")
            stream.flush()
            answer = json.loads(stream.readline())
    if "error" in answer:
        raise Unavailable(answer["error"])
    return str(answer["url"])


class _Running(Protocol):
    async def stop(self) -> None: ...


class Host:
    """Starts servers on request, in the process that lives as long as the session."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="headrace-test-"))
        self._socket = self._directory / "engines.sock"
        self._running: list[_Running] = []
        self._urls: dict[str, str] = {}
        self._loop = asyncio.new_event_loop()
        # The servers die with the thread that started them, so this one lasts.
        self._thread = threading.Thread(target=self._serve, name="test engines", daemon=True)
        self._listening = threading.Event()

    def start(self) -> None:
        self._thread.start()
        if not self._listening.wait(10):
            raise RuntimeError("the host of the test engines does not listen")
        os.environ[HOST_SOCKET] = str(self._socket)

    def close(self) -> None:
        os.environ.pop(HOST_SOCKET, None)
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(STOP_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(STOP_SECONDS)
        self._loop.close()
        shutil.rmtree(self._directory)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._locks = {server: asyncio.Lock() for server in (*SERVERS, "s3")}
        self._server = self._loop.run_until_complete(asyncio.start_unix_server(self._answer, self._socket))
        self._listening.set()
        self._loop.run_forever()

    async def _stop(self) -> None:
        self._server.close()
        await self._server.wait_closed()
        await asyncio.gather(*(running.stop() for running in self._running))

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from headrace.runtime.errors import HeadraceError

        server = (await reader.readline()).decode().strip()
        try:
            answer = {"url": await self._url(server)}
        except (HeadraceError, KeyError) as error:
            answer = {"error": f"{server}: {error}"}
        writer.write(json.dumps(answer).encode() + b"\n")
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        writer.close()

    async def _url(self, server: str) -> str:
        async with self._locks[server]:
            if server not in self._urls:
                self._urls[server] = await (self._url("seaweedfs") if server == "s3" else self._start(server))
        return self._urls[server]

    async def _start(self, server: str) -> str:
        if os.environ.get("HEADRACE_TEST_ENGINES") == "containers" and server != "minio":
            from tests.engine_containers import Container

            container = Container(server)
            self._running.append(container)
            return await container.start()
        from headrace.local.supervisor import Patience, RestartBudget, Supervisor

        engine = await self._engine(server)
        supervisor = Supervisor(
            engine,
            logs=self._directory / server / "logs",
            progress=_tell,
            # All tests share the engine: waiting for it is better than a restart, a restart is better than a hang.
            budget=RestartBudget(restarts=3, seconds=3600.0),
            patience=Patience(every_seconds=20.0, silent_seconds=60.0, refusing_seconds=20.0),
        )
        self._running.append(supervisor)
        await supervisor.start()
        if server == "postgres":
            await _forget_durability(engine.url)
        return engine.url

    async def _engine(self, server: str) -> "Engine":
        from headrace.local import install
        from headrace.local.kafka import Kafka
        from headrace.local.minio import MinIO
        from headrace.local.ports import EnginePorts
        from headrace.local.postgres import Postgres
        from headrace.local.seaweedfs import SeaweedFS

        directory, ports = self._directory / server, EnginePorts.random()
        if server == "kafka":
            return Kafka(directory / "data", ports)
        if server == "postgres":
            return Postgres(directory / "data", ports)
        if server == "minio":
            return MinIO(directory / "data", ports, await install.minio(_tell))
        return SeaweedFS(directory / "data", ports, install.seaweedfs())


async def _forget_durability(url: str) -> None:
    """A thousand databases come and go in a session, and none of them has to outlive the machine."""
    connection = await asyncpg.connect(url, timeout=60)
    try:
        for setting in (
            "fsync = off",
            "full_page_writes = off",
            "checkpoint_timeout = '1h'",
            "autovacuum = off",
        ):
            await connection.execute(f"ALTER SYSTEM SET {setting}")
        await connection.execute("SELECT pg_reload_conf()")
    finally:
        await connection.close()


def start_early(fixture_names: Iterable[str]) -> None:
    """Start what the collected tests will ask for, so that no test's own time limit pays for it."""
    needs = {"engines": ("kafka", "s3", "postgres"), "kafka_url": ("kafka",), "s3_url": ("s3",)}
    needs |= {"postgres_url": ("postgres",), "database": ("postgres",)}
    needs |= {"s3_endpoint": s3_servers(), "s3_endpoints": s3_servers()}
    wanted = {server for name in fixture_names for server in needs.get(name, ())}
    asking = [threading.Thread(target=_ask, args=(server,)) for server in sorted(wanted)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()


def _ask(server: str) -> None:
    # The fixture that needs it tells what is wrong.
    with contextlib.suppress(Unavailable):
        url_of(server)


def _tell(line: str) -> None:
    print(f"engines: {line}", file=sys.__stderr__, flush=True)
