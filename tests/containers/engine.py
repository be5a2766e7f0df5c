"""The container engine and the stack of compose.yaml on it."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from headrace.runtime.settings import EngineSettings
from headrace_services.registry import SERVICES
from tests.composed import ROOT, composed, serving, variables
from tests.e2e.stacks import compose_urls
from tests.waiting import eventually

ENGINE = os.environ.get("CONTAINER_ENGINE", "podman")
COMPOSE = (sys.executable, "-m", "podman_compose") if ENGINE == "podman" else (ENGINE, "compose")
COMMAND_SECONDS = 300.0
# What a busy machine may take; the figures say what it took.
HEALTHY_SECONDS = 300.0


def why_not() -> str:
    """What keeps the tests from running here; empty when nothing does."""
    if shutil.which(ENGINE) is None:
        return f"there is no {ENGINE}: `make podman` installs it on Debian; then `make images`, `make test-containers`"
    info = command(ENGINE, "info")
    if info.returncode:
        return f"{ENGINE} cannot run here (`make test-containers` sets it up): {info.stderr.strip()[-300:]}"
    images = {service["image"] for service in composed(variables())["services"].values()}
    missing = [image for image in sorted(images) if command(ENGINE, "image", "inspect", image).returncode]
    return f"images are missing, `make images` builds them: {', '.join(missing)}" if missing else ""


def command(*words: object, within_seconds: float = COMMAND_SECONDS) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in words],
        cwd=ROOT, capture_output=True, text=True, timeout=within_seconds, check=False,
    )  # fmt: skip


def said(*words: object) -> str:
    """What a command that has to succeed prints."""
    done = command(*words)
    assert done.returncode == 0, f"{words} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()


class Stack:
    """compose.yaml's, running."""

    def __init__(self) -> None:
        self.services = started(composed(variables()))
        self.urls = compose_urls()
        # Container by the registry's name.
        self.containers = {row: f"{name}_1" for row, name in serving({"services": self.services}).items()}
        self.settings = EngineSettings(
            kafka=self.urls["kafka"], s3=self.urls["s3"], postgres=self.urls["postgres"]
        )

    @property
    def names(self) -> list[str]:
        """Every container that stays up."""
        return [service["container_name"] for name, service in self.services.items() if name != "init"]

    def unhealthy(self, names: Sequence[str] = ()) -> list[str]:
        """By their own checks, asked now: without systemd nothing else asks them."""
        return [
            name for name in names or self.names if command(ENGINE, "healthcheck", "run", name).returncode
        ]

    async def healthy(self, *names: str) -> None:
        """Wait until these are, all when none is named."""

        async def well() -> bool:
            left = await asyncio.to_thread(self.unhealthy, names)
            assert not left, f"not healthy: {left}"
            return True

        await eventually(well, within_seconds=HEALTHY_SECONDS, every_seconds=0.5)

    def pid(self, name: str) -> int:
        """Of the container's first process, as the host sees it; 0 while it does not run."""
        return int(said(ENGINE, "inspect", "--format", "{{.State.Pid}}", name))

    async def kill(self, name: str) -> None:
        """kill -9 from outside, as the kernel does it; waits until the engine has started it again."""
        pid = await asyncio.to_thread(self.pid, name)
        os.kill(pid, signal.SIGKILL)

        async def another() -> bool:
            return await asyncio.to_thread(self.pid, name) not in {0, pid}

        await eventually(another, within_seconds=60, every_seconds=0.2, describe=f"{name} is started again")

    def replace(self, row: str) -> None:
        """A new container in the place of the old one, which gets SIGTERM."""
        name = self.containers[row].removesuffix("_1")
        said(*COMPOSE, "up", "-d", "--no-deps", "--force-recreate", name)


def started(found: Mapping[str, Any]) -> dict[str, Any]:
    """The services that `up` starts: those of a profile are for who asks for them."""
    return {name: service for name, service in found["services"].items() if "profiles" not in service}


# The registry's names of those that serve, in its order.
ROWS = [row.name for row in SERVICES if row.name in serving({"services": started(composed())})]
