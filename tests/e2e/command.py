"""The `headrace` command as a person runs it: a process of its own, on a directory and ports of its own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil

from headrace.local.ports import EnginePorts
from headrace.runtime.settings import environment_name
from headrace.service.declarations import settings_of
from headrace_services.registry import SERVICES
from tests.calibration import Calibration
from tests.forked import run_headrace

ENGINES = {"kafka", "s3", "postgres"}
READY_SECONDS = 240.0
STOP_SECONDS = 25.0
COMMAND_SECONDS = 240.0
REPOSITORY = Path(__file__).parents[2]
# What the shell that runs the tests holds for another stack.
FOREIGN = ("HEADRACE_", "INGRESS_", "ARCHIVER_", "PAYLOAD_TRACKER_", "AWS_", "MINIO_")
KEPT = ("HEADRACE_CACHE",)
SETTINGS = {
    environment_name(kind, field)
    for row in SERVICES
    for kind in settings_of(row)
    for field in kind.model_fields
}


def environment(**more: str) -> dict[str, str]:
    own = {
        name: value
        for name, value in os.environ.items()
        if name in KEPT or not (name.startswith(FOREIGN) or name in SETTINGS)
    }
    return own | more


def headrace(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "headrace_services", *map(str, arguments)],
        cwd=REPOSITORY,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )


@dataclass(frozen=True)
class Spawned:
    """A command that goes on until it is stopped."""

    process: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait_until_said(self, text: str) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while text not in self.said():
            assert self.process.poll() is None, f"it ended with {self.process.returncode}:\n{self.said()}"
            assert time.monotonic() < deadline, f"no {text!r} within {READY_SECONDS} s:\n{self.said()}"
            time.sleep(0.02)

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def stop(self, with_signal: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """Exit code and seconds until it ended."""
        began = time.monotonic()
        self.process.send_signal(with_signal)
        return self.process.wait(4 * STOP_SECONDS), time.monotonic() - began


@contextlib.contextmanager
def spawned(arguments: Sequence[str], log: Path, **variables: str) -> Iterator[Spawned]:
    """A command just started, what it says in a file; killed at the end when it still runs."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "headrace_services", *arguments],
            cwd=REPOSITORY,
            env=environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Spawned(process, log)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@dataclass(frozen=True)
class Stack(Spawned):
    """A `headrace up`."""

    directory: Path
    port_base: int

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """A command that asks this stack."""
        own = environment(HEADRACE_DIRECTORY=str(self.directory))
        return run_headrace(*map(str, arguments), environment=own, directory=REPOSITORY)

    def urls(self) -> dict[str, Any]:
        """They stay the same; each asking is a process."""
        return self._urls

    @cached_property
    def _urls(self) -> dict[str, Any]:
        shown = self.run("urls", "--json")
        assert shown.returncode == 0, shown.stderr
        return json.loads(shown.stdout)


@contextlib.contextmanager
def starting(directory: Path, *options: str, **variables: str) -> Iterator[Stack]:
    """A stack that has just been started."""
    port_base = EnginePorts.random().kafka
    arguments = ("up", "--directory", str(directory), "--port-base", str(port_base), *options)
    with spawned(arguments, directory.with_name(f"{directory.name}.log"), **variables) as command:
        yield Stack(command.process, command.log, directory, port_base)


@contextlib.contextmanager
def running(directory: Path, *options: str, **variables: str) -> Iterator[Stack]:
    """A stack that is ready. Told to stop at the end, it does so in time and leaves nothing."""
    with starting(directory, *options, **variables) as stack:
        stack.wait_until_said("\nready after ")
        yield stack
        children = stack.children()
        machine = Calibration()
        code, seconds = stack.stop(signal.SIGTERM)
        assert (code, seconds < machine.wall(STOP_SECONDS)) == (0, True), (
            f"{code} after {seconds} s:\n{stack.said()}"
        )
        assert len(children) >= len(ENGINES)
        assert [child for child in children if child.is_running()] == []
        assert not (stack.directory / "run.json").exists()
        assert "Traceback" not in stack.said()
