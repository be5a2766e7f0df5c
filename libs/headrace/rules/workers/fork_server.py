"""The process that loads the rules once and forks every worker: `python -m …fork_server FD PARENT`.

A fork takes milliseconds, while a new process would have to load the rules. The fork server has a single thread,
because forking with threads is unsafe, and waits for orders on its socket; when the socket closes, it ends with all its
workers.
"""

import gc
import json
import os
import signal
import socket
import sys
from contextlib import suppress
from typing import Any, Final

from headrace.archives import ArchiveLimits
from headrace.rules.evaluation import Rules, RulesConfig
from headrace.rules.workers.frames import ANSWER, BURY, FORK, ORDER, frame, receive_piece
from headrace.rules.workers.worker import Memory, Terms, run_worker
from headrace.runtime.children import die_with
from headrace.runtime.errors import ConfigurationError
from headrace.runtime.logging import configure

# Less memory is not enough to unpack even a small archive.
MIN_ROOM_BYTES: Final = 64 << 20


def main(control_number: str, parent: str) -> None:
    """Load the rules, report it, then fork on demand."""
    die_with(int(parent))
    configure("WARNING", os.environ.get("HEADRACE_LOG_FORMAT", "json"))
    with socket.socket(fileno=int(control_number)) as control:
        boot = json.loads(receive_piece(control))
        try:
            rules = Rules.load(_config(boot["config"]))
            # Loaded objects are never collected, so that workers share their memory pages with this process.
            gc.collect()
            gc.freeze()
            terms = _terms(boot)
        except ConfigurationError as error:
            control.sendall(frame(json.dumps({"error": str(error)}).encode()))
            return
        control.sendall(frame(b"{}"))
        with suppress(EOFError, ConnectionError):
            _Nursery(control, rules, terms).obey()


def _config(values: dict[str, Any]) -> RulesConfig:
    config: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
    return RulesConfig(**config)


def _terms(boot: dict[str, Any]) -> Terms:
    max_rss_bytes: int = boot["max_rss_bytes"]
    taken_bytes = Memory.now().resident_bytes
    if max_rss_bytes - taken_bytes < MIN_ROOM_BYTES:
        raise ConfigurationError(
            f"a worker may use {max_rss_bytes} bytes of memory, but the loaded rules alone use "
            f"{taken_bytes}; expected a limit of at least {taken_bytes + MIN_ROOM_BYTES}"
        )
    return Terms(ArchiveLimits(**boot["limits"]), max_rss_bytes - taken_bytes)


class _Nursery:
    def __init__(self, control: socket.socket, rules: Rules, terms: Terms) -> None:
        self._control = control
        self._rules = rules
        self._terms = terms
        self._children: set[int] = set()
        self._pid = os.getpid()

    def obey(self) -> None:
        """Fork workers and reap ended ones until the socket closes."""
        try:
            while True:
                order, descriptors, _flags, _address = socket.recv_fds(self._control, ORDER.size, 2)
                if not order:
                    return
                kind, pid = ORDER.unpack(order)
                answer = self._fork(*descriptors) if kind == FORK else self._bury(kind, pid)
                self._control.sendall(ANSWER.pack(answer))
        finally:
            for kill in (os.killpg, os.kill):
                for child in self._children:
                    with suppress(ProcessLookupError):
                        kill(child, signal.SIGKILL)
            for child in self._children:
                os.waitpid(child, 0)

    def _fork(self, connection: int, traces: int) -> int:
        """Return the child's process id, or -errno."""
        try:
            pid = os.fork()
        except OSError as error:
            pid = -(error.errno or 1)
        if pid == 0:
            self._become_worker(connection, traces)
        os.close(connection)
        os.close(traces)
        if pid > 0:
            self._children.add(pid)
        return pid

    def _become_worker(self, connection: int, traces: int) -> None:
        """Run as a worker; this function does not return."""
        code = 1
        try:
            self._control.close()
            with socket.socket(fileno=connection) as served:
                run_worker(served, traces, self._rules, self._terms, self._pid)
            code = 0
        except (BrokenPipeError, ConnectionResetError):
            code = 0
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _bury(self, kind: bytes, pid: int) -> int:
        """Wait for the end of a killed child; return its wait status."""
        if kind != BURY or pid not in self._children:
            return -1
        self._children.discard(pid)
        _, status = os.waitpid(pid, 0)
        return status


if __name__ == "__main__":
    main(*sys.argv[1:])
