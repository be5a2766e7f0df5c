"""The three engines of a local stack."""

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from headrace.local import install
from headrace.local.directory import DataDirectory
from headrace.local.engine import Engine, EngineName
from headrace.local.install import Progress, S3Server
from headrace.local.kafka import Kafka
from headrace.local.minio import WARNING, MinIO
from headrace.local.ports import EnginePorts, check_free
from headrace.local.postgres import Postgres
from headrace.local.seaweedfs import SeaweedFS
from headrace.local.supervisor import PATIENCE, EngineStatus, Patience, RestartBudget, Supervisor
from headrace.runtime.cancellation import end
from headrace.runtime.errors import ConfigurationError, HeadraceError
from headrace.runtime.logging import get_logger

log = get_logger(__name__)

_HELD_EVERY_SECONDS = 0.1

VARIABLES: dict[EngineName, str] = {
    "kafka": "HEADRACE_KAFKA",
    "s3": "HEADRACE_S3",
    "postgres": "HEADRACE_POSTGRES",
}


def given_by_environment() -> dict[EngineName, str]:
    """Return the URLs of engines that the environment names."""
    return {name: os.environ[variable] for name, variable in VARIABLES.items() if os.environ.get(variable)}


def choose_s3(
    directory: DataDirectory, ports: EnginePorts, wanted: S3Server | None, progress: Progress
) -> Engine:
    """Return the server of the directory's objects; at first use the requested one, by default SeaweedFS."""
    held = directory.s3_server(wanted)
    if (held or wanted) != "minio":
        if held is None and wanted is None:
            progress(f"SeaweedFS serves S3; {_how_to_have_minio()}")
        return SeaweedFS(directory.path / "seaweedfs", ports, install.seaweedfs())
    if wanted is None:
        progress(f"{directory.path} contains objects of MinIO, so MinIO is used")
    progress(WARNING)
    log.warning("minio_serves_s3", reason=WARNING)
    return MinIO(directory.path / "minio", ports)


def _how_to_have_minio() -> str:
    """Return how a new directory gets MinIO, on this machine."""
    if found := install.find_minio():
        return f"for {found} instead, start a new directory with S3=minio (--s3 minio)"
    return (
        "for MinIO instead, build it once with `make minio` "
        f"({install.GO_BUILD_MINUTES} minutes, needs Go) and start a new directory with S3=minio (--s3 minio)"
    )


class Engines:
    """`async with Engines(…) as engines`: all engines answer inside, and none runs afterwards.

    `given` URLs, by engine, replace the matching child. Enter it in a thread that lasts as long as the servers should.
    `progress` receives one line for each step that a waiting user wants to see. `other_ports`, by purpose, are those
    that the caller will listen on: a start that cannot succeed ends before anything is created.
    """

    def __init__(
        self,
        directory: Path,
        ports: EnginePorts,
        *,
        s3: S3Server | None = None,
        given: Mapping[EngineName, str] | None = None,
        progress: Progress = lambda _: None,
        budget: RestartBudget | None = None,
        patience: Patience = PATIENCE,
        other_ports: Mapping[str, int] | None = None,
    ) -> None:
        self._directory = DataDirectory(directory)
        self._ports = ports
        self._s3 = s3
        self._given = dict(given or {})
        self._progress = progress
        self._budget = budget or RestartBudget()
        self._patience = patience
        self._other_ports = dict(other_ports or {})
        self._parts: dict[EngineName, Supervisor] = {}
        self._published: dict[str, Any] = {}
        self._ready = False
        self._holding: asyncio.Task[None] | None = None
        self.ready_after_seconds = 0.0

    async def __aenter__(self) -> Self:
        began = time.monotonic()
        self._directory.acquire()
        try:
            self._directory.end_leftovers()
            engines = [self._engine(name) for name in VARIABLES if name not in self._given]
            self._check_ports(engines)
            # One that fails, a missing program say, ends the others' start.
            async with asyncio.TaskGroup() as group:
                for engine in engines:
                    group.create_task(self._start(engine))
        except BaseException as error:
            await self._stop()
            if isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            if isinstance(error, OSError):
                error = ConfigurationError(f"{error.filename or self._directory.path}: {error.strerror}")
            if isinstance(error, ConfigurationError):
                self._directory.remove_if_made()
            raise error from None
        self._ready = True
        self.ready_after_seconds = time.monotonic() - began
        self._write()
        self._holding = asyncio.create_task(self._hold_what_is_held(), name="held engines")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    def environment(self) -> dict[str, str]:
        """Return HEADRACE_KAFKA (host:port), HEADRACE_S3 (URL with credentials) and HEADRACE_POSTGRES (URL)."""
        return {VARIABLES[status.name]: status.url for status in self.describe()}

    def describe(self) -> list[EngineStatus]:
        """Return one row for each engine, in a fixed order."""
        return [
            self._parts[name].status() if name in self._parts else _given_status(name, self._given[name])
            for name in VARIABLES
            if name in self._parts or name in self._given
        ]

    def problem(self, name: EngineName) -> str | None:
        """Return why a child is not ready; None if it is ready or not a child."""
        part = self._parts.get(name)
        return (
            None if part is None or part.state == "ready" else f"{part.state}: {part.reason or 'temporarily'}"
        )

    def publish(self, **facts: Any) -> None:
        """Add values that other processes need, such as the services' URLs."""
        self._published |= facts
        self._write()

    def _check_ports(self, engines: Sequence[Engine]) -> None:
        for what, port in self._other_ports.items():
            check_free(port, what)
        for engine in engines:
            for what, port in engine.listens_on().items():
                check_free(port, what)

    async def _start(self, engine: Engine) -> None:
        part = Supervisor(
            engine,
            logs=self._directory.path / "logs",
            progress=self._progress,
            budget=self._budget,
            changed=self._write,
            patience=self._patience,
        )
        self._parts[engine.name] = part
        await part.start()
        if isinstance(engine, MinIO | SeaweedFS):
            self._directory.keep_s3_server("minio" if isinstance(engine, MinIO) else "seaweedfs")

    async def _hold_what_is_held(self) -> None:
        """Stop engines while `held/` names them, and start them again afterwards."""
        while True:
            held = self._directory.held()
            for name, part in self._parts.items():
                if name in held and part.state != "held":
                    await part.hold()
                elif name not in held and part.state == "held":
                    try:
                        await part.release()
                    except (HeadraceError, OSError) as error:
                        log.warning("engine_not_released", engine=name, reason=str(error).splitlines()[0])
            await asyncio.sleep(_HELD_EVERY_SECONDS)

    def _engine(self, name: EngineName) -> Engine:
        if name == "kafka":
            return Kafka(self._directory.path / name, self._ports)
        if name == "postgres":
            return Postgres(self._directory.path / name, self._ports)
        return choose_s3(self._directory, self._ports, self._s3, self._progress)

    async def _stop(self) -> None:
        self._ready = False
        if self._holding is not None:
            await end(self._holding)
        # Shielded: a second Ctrl-C must not leave a server behind.
        stopping = asyncio.gather(*(part.stop() for part in self._parts.values()), return_exceptions=True)
        await asyncio.shield(stopping)
        self._directory.release()

    def _write(self) -> None:
        rows = [status.as_dict() for status in self.describe()]
        try:
            self._directory.publish({"ready": self._ready, "engines": rows} | self._published)
        except OSError as error:
            # A full disk must not stop who waits for room on it; the health report says the same.
            log.warning("run_file_not_written", reason=str(error))


def _given_status(name: EngineName, url: str) -> EngineStatus:
    parts = urlsplit(url if "://" in url else f"//{url}")
    credentials = {}
    address = url
    if name == "s3" and parts.username:
        credentials = {"access_key": parts.username, "secret_key": parts.password or ""}
        address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return EngineStatus(
        name=name,
        product="given",
        version="",
        url=url,
        address=address,
        credentials=credentials,
        state="given",
    )
