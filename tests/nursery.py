"""Commands of `headrace` as processes that are forked from one which has imported everything.

A start costs a second of imports; the tests of faults start services hundreds of times. What is forked here is killed,
signalled and waited for as any other process.
"""

import asyncio
import atexit
import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent


class Child:
    """A forked process, with what tests use of `asyncio.subprocess.Process`; any event loop may wait for it."""

    def __init__(self, nursery: "Nursery", pid: int) -> None:
        self._nursery = nursery
        self._fd = os.pidfd_open(pid)
        self._returncode: int | None = None
        self.pid = pid

    def __del__(self) -> None:
        os.close(self._fd)

    @property
    def returncode(self) -> int | None:
        """The exit code, or the signal's number below zero; None while it runs."""
        if self._returncode is None:
            self._returncode = self._nursery.status_of(self.pid)
        return self._returncode

    async def wait(self) -> int:
        """Its exit code once it has ended."""
        loop = asyncio.get_running_loop()
        # One of one's own: a loop has one reader for each descriptor.
        fd = os.dup(self._fd)
        ended = loop.create_future()
        loop.add_reader(fd, lambda: ended.done() or ended.set_result(None))
        try:
            if self.returncode is None:
                await ended
        finally:
            loop.remove_reader(fd)
            os.close(fd)
        # The descriptor tells once it can be waited for.
        status = self.returncode
        assert status is not None
        return status

    def send_signal(self, number: int) -> None:
        """Nothing where it has ended."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._fd, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)


class Nursery:
    """The process that forks, asked over its pipes; it and what it forked end with this one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.nursery"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        atexit.register(self.close)

    def close(self) -> None:
        """End it, and what it forked."""
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process.wait(30)

    def start(self, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> Child:
        """`headrace ARGUMENTS` with this environment and no other; its output is added to ``log``."""
        told = {"arguments": list(arguments), "environment": dict(environment), "log": str(log)}
        return Child(self, int(self._ask(told)))

    def status_of(self, pid: int) -> int | None:
        """Its exit code; None while it runs."""
        status = self._ask({"pid": pid})
        return None if status is None else os.waitstatus_to_exitcode(status)

    def _ask(self, told: Mapping[str, object]) -> int | None:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        with self._lock:
            stdin.write(json.dumps(told).encode() + b"\n")
            stdin.flush()
            answer: int | None = json.loads(stdout.readline())
        return answer


def main() -> None:
    """Answer each line: one that tells of a process with its pid, one that asks for a pid with its wait status."""
    from services.__main__ import main as headrace
    from services.registry import SERVICES

    for row in SERVICES:
        importlib.import_module(f"services.{row.name}.app")
    ended: dict[int, int | None] = {}
    for line in sys.stdin.buffer:
        told = json.loads(line)
        if "pid" in told:
            answer = ended[told["pid"]]
            if answer is None:
                answer = ended[told["pid"]] = _status_of(told["pid"])
        else:
            answer = os.fork()
            if not answer:
                _become(told["arguments"], told["environment"], told["log"])
                headrace()
                return
            ended[answer] = None
        os.write(1, json.dumps(answer).encode() + b"\n")
    for pid in (pid for pid, status in ended.items() if status is None):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _status_of(pid: int) -> int | None:
    found, status = os.waitpid(pid, os.WNOHANG)
    return status if found else None


def _become(arguments: Sequence[str], environment: Mapping[str, str], log: str) -> None:
    """What a new process would have of its own: words, environment, files."""
    sys.argv[1:] = arguments
    os.environ.clear()
    os.environ.update(environment)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for own, standard in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(own, standard)
    os.close(nothing)
    os.close(output)


if __name__ == "__main__":
    main()
