"""The `headrace` command in processes of its own that begin with everything imported.

Python and what the command imports take most of a second to start, many times as long as most commands take to work,
and tests start services hundreds of times. Here that is done once: a server forks for each. Whether the command starts
from nothing is for others to try.
"""

import asyncio
import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from headrace_services.registry import SERVICES

COMMAND_SECONDS = 280.0
_CONTEXT = multiprocessing.get_context("forkserver")
_PRELOADED = [
    "headrace_services.__main__",
    "headrace_services.segment_bridge.stages",
    "headrace_services.rules_engine.config_yaml.run",
    *(f"headrace_services.{row.name}.app" for row in SERVICES),
]


class Forked:
    """A process, with what tests use of `asyncio.subprocess.Process`; any event loop may wait for it."""

    def __init__(
        self,
        *arguments: str,
        environment: Mapping[str, str],
        directory: Path,
        streams: tuple[Path, Path, Path],
    ) -> None:
        """``environment`` is all it has; ``streams`` are its stdin, and what its stdout and stderr are added to."""
        _CONTEXT.set_forkserver_preload(_PRELOADED)
        terms = (arguments, dict(environment), str(directory), [str(stream) for stream in streams])
        self._process = _CONTEXT.Process(target=_run, args=terms, daemon=True)
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, or the signal's number below zero; None while it runs."""
        return self._process.exitcode

    async def wait(self) -> int:
        """The exit code, once it has ended."""
        loop = asyncio.get_running_loop()
        # One of one's own: a loop has one reader for each descriptor.
        sentinel = os.dup(self._process.sentinel)
        ended = loop.create_future()
        loop.add_reader(sentinel, lambda: None if ended.done() else ended.set_result(None))
        try:
            if self.returncode is None:
                await ended
        finally:
            loop.remove_reader(sentinel)
            os.close(sentinel)
        self._process.join()
        assert self.returncode is not None
        return self.returncode

    def join(self, within_seconds: float) -> int:
        """The exit code, for who has no event loop."""
        self._process.join(within_seconds)
        if self.returncode is None:
            self.kill()
            raise TimeoutError(f"pid {self.pid} has not ended within {within_seconds:g} s")
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Nothing where it has ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)


async def headrace(
    *arguments: str, given: bytes, environment: Mapping[str, str], directory: Path
) -> tuple[int | None, bytes, bytes]:
    """Exit code, stdout and stderr of a command."""
    with _streams(given) as streams:
        process = Forked(*arguments, environment=environment, directory=directory, streams=streams)
        try:
            code = await asyncio.wait_for(process.wait(), COMMAND_SECONDS)
            return code, streams[1].read_bytes(), streams[2].read_bytes()
        finally:
            process.kill()


def run_headrace(
    *arguments: str, environment: Mapping[str, str], directory: Path
) -> subprocess.CompletedProcess[str]:
    """The same for who has no event loop."""
    with _streams(b"") as streams:
        process = Forked(*arguments, environment=environment, directory=directory, streams=streams)
        code = process.join(COMMAND_SECONDS)
        _, stdout, stderr = (stream.read_text(encoding="utf-8") for stream in streams)
        return subprocess.CompletedProcess(arguments, code, stdout, stderr)


@contextlib.contextmanager
def _streams(given: bytes) -> Iterator[tuple[Path, Path, Path]]:
    with tempfile.TemporaryDirectory(prefix="headrace-forked-") as name:
        streams = Path(name, "in"), Path(name, "out"), Path(name, "err")
        streams[0].write_bytes(given)
        for stream in streams[1:]:
            stream.touch()
        yield streams


def _run(arguments: tuple[str, ...], environment: dict[str, str], directory: str, streams: list[str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    for number, (path, flags) in enumerate(
        zip(streams, (os.O_RDONLY, *[os.O_WRONLY | os.O_CREAT | os.O_APPEND] * 2), strict=True)
    ):
        opened = os.open(path, flags, 0o600)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 -- as long as the process
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    # Of the directory too there may be modules, as for `python -m headrace_services`.
    sys.path.insert(0, directory)
    sys.argv = ["headrace", *arguments]
    from headrace_services.__main__ import main

    main()
