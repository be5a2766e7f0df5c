"""Services as processes of their own, which tests may kill."""

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from tests.forked import Forked
from tests.waiting import eventually

ROOT = Path(__file__).parent.parent
# What the loader and the interpreter read once.
ONLY_AT_START = {"LD_PRELOAD", "PYTHONWARNINGS"}


@dataclass
class ServiceProcess:
    """`headrace serve NAME…` with a given environment; its output goes to `log`."""

    names: tuple[str, ...]
    environment: Mapping[str, str]
    admin_port: int
    log: Path
    # The tree whose code runs: this one, or a release before it.
    root: Path = ROOT
    process: asyncio.subprocess.Process | Forked | None = field(default=None, init=False)
    kills: int = field(default=0, init=False)

    @property
    def pid(self) -> int:
        """Of the process that runs now."""
        assert self.process is not None
        return self.process.pid

    async def start(self, *, ready_within_seconds: float = 120.0) -> None:
        """Start and wait until its health says ready."""
        await self.spawn()

        async def ready():
            if self.process is None or self.process.returncode is not None:
                raise RuntimeError(f"{self.names} ended by itself:\n{self.log.read_text()[-3000:]}")
            return await self.is_ready()

        await eventually(ready, within_seconds=ready_within_seconds, describe=f"{self.names} ready")

    async def spawn(self) -> None:
        """Start without waiting."""
        environment = {**os.environ, **self.environment, "HEADRACE_ADMIN_PORT": str(self.admin_port)}
        arguments = ("serve", *self.names)
        if self.root == ROOT and not ONLY_AT_START & environment.keys():
            streams = (Path(os.devnull), self.log, self.log)
            self.process = Forked(*arguments, environment=environment, directory=ROOT, streams=streams)
            return
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "headrace_services", *arguments,
                cwd=self.root, stdout=log, stderr=log,
                env=environment | {"PYTHONPATH": f"{self.root / 'libs'}:{self.root}"},
            )  # fmt: skip

    async def is_ready(self) -> bool:
        """What the readiness probe says."""
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session,
                session.get(f"http://127.0.0.1:{self.admin_port}/health/ready") as response,
            ):
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        await self.process.wait()
        self.kills += 1

    async def stop(self, *, within_seconds: float = 90.0) -> int:
        """SIGTERM; returns the exit code."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.terminate()
        try:
            return await asyncio.wait_for(self.process.wait(), within_seconds)
        except TimeoutError:
            self.process.kill()
            await self.process.wait()
            raise
