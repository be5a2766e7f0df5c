"""Foreign programs as child processes: they never outlive this process, and their output is kept."""

import asyncio
import contextlib
import functools
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from headrace.runtime.cancellation import end
from headrace.runtime.children import TRAMPOLINE
from headrace.runtime.errors import Fatal, Retryable

LOG_LIMIT_BYTES = 8 * 1024 * 1024
POLL_SECONDS = 0.05


class ChildFailed(Fatal):
    """A child exited with an error or never became ready; the text ends with the last lines of its log."""


class NotReady(Retryable):
    """A probe's answer while a server is still starting."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command: absolute program path first, and the whole environment, nothing inherited."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    stop_signal: signal.Signals = signal.SIGTERM
    unprivileged: bool = False


def clean_environment(**more: str) -> dict[str, str]:
    """Return a minimal environment, without the MINIO_*, AWS_*, PG* … of the shell, which are for other servers."""
    keep = (
        "PATH",
        "HOME",
        "LANG",
        "LC_ALL",
        "TMPDIR",
        "TZ",
        "LD_LIBRARY_PATH",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
    )
    return {name: os.environ[name] for name in keep if name in os.environ} | more


@functools.cache
def unprivileged_account() -> str:
    """Return the account for a server that refuses root and unnamed users, in the form of `trampoline.become`."""
    if os.geteuid() != 0 and _has_name(os.geteuid()):
        return "same"
    nobody = pwd.getpwnam("nobody")
    inside = f"namespace:{nobody.pw_uid}:{nobody.pw_gid}"
    attempt = _through_trampoline(inside, (sys.executable, "-I", "-S", "-c", ""))
    tried = subprocess.run(attempt, check=False, capture_output=True, timeout=30)  # noqa: S603
    if tried.returncode == 0:
        return inside
    return f"user:{nobody.pw_uid}:{nobody.pw_gid}" if os.geteuid() == 0 else "same"


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _through_trampoline(account: str, argv: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-I", "-S", str(TRAMPOLINE), str(os.getpid()), account, *argv]


class Child:
    """One run of a command, in its own session, with its output appended to a log file.

    On Linux the kernel kills it when the *thread* that called `start` ends, so start it from a thread that lasts, such
    as that of the event loop.
    """

    def __init__(self, name: str, command: Command, log: Path) -> None:
        self.name = name
        self.command = command
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._said_before = 0

    @property
    def pid(self) -> int:
        """The process number; raises RuntimeError before `start`."""
        return self._started().pid

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start; returns at once. A program that cannot run exits with 127 or 1 and logs the reason."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        self._said_before = self.log.stat().st_size if self.log.exists() else 0
        account = unprivileged_account() if self.command.unprivileged else "same"
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603
                _through_trampoline(account, self.command.argv),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(self.command.environment),
                cwd=self.log.parent,
                start_new_session=True,
            )

    async def wait(self) -> int:
        """Exit code, negative for a signal."""
        process = self._started()
        async with _death_of(process) as died:
            while process.poll() is None:
                await died()
        return int(process.returncode)

    async def ready(self, probe: Callable[[], Awaitable[None]], *, within_seconds: float) -> None:
        """Probe until it passes. Raises ChildFailed if the child ends first or the time is over."""
        probing = asyncio.create_task(_until_passing(probe))
        ending = asyncio.create_task(self.wait())
        try:
            done, _ = await asyncio.wait(
                (probing, ending), timeout=within_seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if ending in done:
                raise ChildFailed(
                    f"{self.name} exited with {ending.result()} while starting{self.last_words()}"
                )
            if not done:
                raise ChildFailed(f"{self.name} was not ready within {within_seconds:g} s{self.last_words()}")
            await probing
        finally:
            await end(probing, ending)

    async def stop(self, *, within_seconds: float = 10.0) -> None:
        """Terminate, wait, then kill the rest of its process group."""
        if self._process is None:
            return
        if self.running:
            self._process.send_signal(self.command.stop_signal)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.wait(), within_seconds)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self.wait()

    def tail(self, lines: int = 10) -> list[str]:
        """Return the last lines of the log."""
        if not self.log.exists():
            return []
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - 64 * 1024))
            return log.read().decode(errors="replace").splitlines()[-lines:]

    def has_said(self, words: str) -> bool:
        """Return whether the end of this run's log contains the words, in any case."""
        if not self.log.exists():
            return False
        with self.log.open("rb") as log:
            log.seek(max(self._said_before, self.log.stat().st_size - 64 * 1024))
            return words.encode() in log.read().lower()

    def last_words(self) -> str:
        """Return the end of the log as the end of a message."""
        return f"; the end of {self.log}:\n" + "\n".join(f"  {line}" for line in self.tail())

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError(f"{self.name} has not been started")
        return self._process


async def run(name: str, command: Command, log: Path, *, within_seconds: float) -> None:
    """Run a command to its end. Raises ChildFailed unless it succeeds in time; leaves nothing running."""
    child = Child(name, command, log)
    child.start()
    try:
        code = await asyncio.wait_for(child.wait(), within_seconds)
    except TimeoutError:
        raise ChildFailed(f"{name} took longer than {within_seconds:g} s{child.last_words()}") from None
    finally:
        await asyncio.shield(child.stop(within_seconds=2))
    if code != 0:
        raise ChildFailed(f"{name} exited with {code}{child.last_words()}")


async def _until_passing(probe: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await probe()
        except (NotReady, OSError, TimeoutError):
            await asyncio.sleep(POLL_SECONDS)
        else:
            return


@contextlib.asynccontextmanager
async def _death_of(process: subprocess.Popen[bytes]) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Return an awaitable for the end of a child that needs neither signal handlers nor asyncio's child watcher."""
    try:
        # Its number cannot be another's before we reap it, and only `poll` reaps.
        descriptor = os.pidfd_open(process.pid)
    except (AttributeError, OSError):
        yield lambda: asyncio.sleep(POLL_SECONDS)
        return
    died = asyncio.Event()
    asyncio.get_running_loop().add_reader(descriptor, died.set)
    try:

        async def wait() -> None:
            await died.wait()

        yield wait
    finally:
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)
