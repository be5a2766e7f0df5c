"""The service's side of the fork server and its workers: sockets, process ids, wait statuses."""

import asyncio
import json
import os
import re
import signal
import socket
import sys
import tempfile
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, Self

import msgspec

from headrace.rules.workers.frames import (
    ANSWER,
    BURY,
    FORK,
    LENGTH,
    ORDER,
    ReplyTooLarge,
    frame,
    read_piece,
)
from headrace.rules.workers.traces import MAX_TRACE_BYTES, place_of
from headrace.rules.workers.worker import TRACE_SIGNAL
from headrace.runtime.errors import ConfigurationError

_ORDER_SECONDS: Final = 5.0
_CLOSE_SECONDS: Final = 2.0
_TRACE_SECONDS: Final = 0.02
_SLICE_BYTES: Final = 1 << 18
# Rules see the operator's environment variables, except for the credentials of the engines.
_WITHHELD: Final = re.compile(r"KEY|PASSWORD|SECRET|TOKEN|^HEADRACE_(S3|POSTGRES)$")


class Lost(Exception):
    """The process has ended or does not answer."""


@dataclass(frozen=True)
class Death:
    """How a worker ended: the negative number of a signal, or an exit code, or None; and its last place in code."""

    code: int | None
    place: str

    @property
    def killed_by_others(self) -> bool:
        """Whether it ended by a signal that a process does not raise by its own fault."""
        return self.code in {None, -signal.SIGKILL, -signal.SIGTERM}

    @property
    def what(self) -> str:
        """The end in words."""
        if self.code is None:
            return "the process has ended"
        if self.code < 0:
            return f"ended by {signal.Signals(-self.code).name}"
        return f"it exited with code {self.code}"


class Worker:
    """One worker, which evaluates one archive at a time."""

    def __init__(
        self, pid: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, traces: IO[bytes]
    ) -> None:
        self.pid = pid
        self.busy = False
        self.ended = False
        self._reader = reader
        self._writer = writer
        self._traces = traces
        self._on_loss: Callable[[Worker], None] | None = None
        self._reply = self._next_reply()

    def watch(self, on_loss: Callable[["Worker"], None]) -> None:
        """Call a function when the worker ends while it is idle."""
        self._on_loss = on_loss

    async def ask(
        self, seeds: bytes, archive: bytes, *, deadline_seconds: float
    ) -> tuple[dict[str, Any], bytes]:
        """Have an archive evaluated; return the reply and the archive's workload info.

        Raises `TimeoutError`, and `Lost` if the process ended.
        """
        try:
            async with asyncio.timeout(deadline_seconds):
                # Slices avoid a copy of a large archive; a small archive needs one write.
                head = frame(seeds) + LENGTH.pack(len(archive))
                self._writer.write(head + archive[:_SLICE_BYTES])
                for start in range(_SLICE_BYTES, len(archive), _SLICE_BYTES):
                    await self._writer.drain()
                    self._writer.write(archive[start : start + _SLICE_BYTES])
                reply, workload_info = await self._reply
        except (asyncio.IncompleteReadError, ConnectionError, ReplyTooLarge) as error:
            raise Lost(str(error)) from error
        self._reply = self._next_reply()
        # orjson would turn integers beyond 64 bits into floats.
        found: dict[str, Any] = msgspec.json.decode(reply)
        return found, workload_info

    def _next_reply(self) -> "asyncio.Task[tuple[bytes, bytes]]":
        """Wait for the next reply in advance: the end of the stream without one shows that the worker ended."""
        task = asyncio.create_task(self._read_reply())
        task.add_done_callback(self._read)
        return task

    async def _read_reply(self) -> tuple[bytes, bytes]:
        return await read_piece(self._reader), await read_piece(self._reader)

    def _read(self, task: "asyncio.Task[tuple[bytes, bytes]]") -> None:
        if task.cancelled() or task.exception() is None or self.busy or self.ended:
            return
        if self._on_loss is not None:
            self._on_loss(self)

    async def trace(self) -> None:
        """Have the worker write its stack to its trace."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, TRACE_SIGNAL)
            await asyncio.sleep(_TRACE_SECONDS)

    def kill(self) -> None:
        """Kill it with its child processes. Its process id is not reused before it is reaped."""
        self.ended = True
        for kill in (os.killpg, os.kill):
            with suppress(ProcessLookupError, PermissionError):
                kill(self.pid, signal.SIGKILL)

    def close(self) -> str:
        """Release its resources; return its last place in code if it left a trace."""
        self.ended = True
        if self._traces.closed:
            return ""
        self._reply.cancel()
        self._writer.transport.abort()
        try:
            return place_of(os.pread(self._traces.fileno(), MAX_TRACE_BYTES, 0).decode(errors="replace"))
        finally:
            self._traces.close()


class ForkServer:
    """The process that has the rules loaded and forks workers."""

    def __init__(self, process: Process, control: socket.socket) -> None:
        self._process = process
        self._control = control
        self._ordering = asyncio.Lock()
        self.lost = False

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @classmethod
    async def start(cls, boot: Mapping[str, Any], *, load_seconds: float) -> Self:
        """Start the process and wait until it has loaded the rules.

        Raises:
            ConfigurationError: the rules cannot be loaded, or not in time.
        """
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    sys.executable, "-P", "-m", "headrace.rules.workers.fork_server",
                    str(theirs.fileno()), str(os.getpid()),
                    pass_fds=(theirs.fileno(),), stdin=DEVNULL, stdout=2,
                    env=_environment(), start_new_session=True,
                )  # fmt: skip
            server = cls(process, ours)
        except BaseException:
            ours.close()
            raise
        try:
            await server._load(boot, load_seconds)
        except BaseException:
            await server.close()
            raise
        return server

    async def _load(self, boot: Mapping[str, Any], load_seconds: float) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(load_seconds):
                await loop.sock_sendall(self._control, frame(json.dumps(boot, default=str).encode()))
                (size_bytes,) = LENGTH.unpack(await self._receive(LENGTH.size))
                answer = json.loads(await self._receive(size_bytes))
        except TimeoutError:
            raise ConfigurationError(f"the rules were not loaded within {load_seconds:g} s") from None
        except (Lost, OSError):
            raise ConfigurationError(
                "the process that loads the rules ended unexpectedly; its last output is on stderr"
            ) from None
        if "error" in answer:
            raise ConfigurationError(answer["error"])

    async def fork(self) -> Worker:
        """Fork a worker; raises `Lost`, and `OSError` if the system cannot create a process."""
        ours, theirs = socket.socketpair()
        traces = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 -- it lives as long as the worker
        try:
            with theirs:
                pid = await self._order(FORK, 0, [theirs.fileno(), traces.fileno()])
            if pid < 0:
                raise OSError(-pid, os.strerror(-pid))
            reader, writer = await asyncio.open_connection(sock=ours, limit=1 << 20)
        except BaseException:
            ours.close()
            traces.close()
            raise
        return Worker(pid, reader, writer, traces)

    async def bury(self, worker: Worker) -> Death:
        """Wait for the end of a dead or killed worker, and release its resources."""
        try:
            status: int | None = await self._order(BURY, worker.pid, [])
        except Lost:
            status = None
        place = worker.close()
        return Death(None if status is None or status < 0 else os.waitstatus_to_exitcode(status), place)

    async def _order(self, kind: bytes, pid: int, descriptors: list[int]) -> int:
        """Send one order at a time. The caller must not be cancelled, because the next caller would get its answer."""
        async with self._ordering:
            if self.lost:
                raise Lost("the fork server has ended")
            try:
                async with asyncio.timeout(_ORDER_SECONDS):
                    socket.send_fds(self._control, [ORDER.pack(kind, pid)], descriptors)
                    (answer,) = ANSWER.unpack(await self._receive(ANSWER.size))
            except BaseException as error:
                self.lost = True
                if isinstance(error, OSError | TimeoutError | Lost):
                    raise Lost(f"the fork server does not answer: {error!r}") from error
                raise
            return int(answer)

    async def _receive(self, size_bytes: int) -> bytes:
        loop = asyncio.get_running_loop()
        received = b""
        while len(received) < size_bytes:
            piece = await loop.sock_recv(self._control, size_bytes - len(received))
            if not piece:
                raise Lost("the other end closed the connection")
            received += piece
        return received

    async def close(self) -> None:
        """End the process with all its workers."""
        self.lost = True
        self._control.close()
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


def _environment() -> dict[str, str]:
    shown = {name: value for name, value in os.environ.items() if not _WITHHELD.search(name)}
    return shown | {"PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)}
