"""Keeps one engine running: starts it, notices when it dies or stops answering, reports why, restarts it.

Deaths have a budget, beyond which the engine stays down; while the disk is full, restarts continue without a budget.
"""

import asyncio
import random
import shutil
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import structlog

from headrace.local.engine import Engine, EngineName
from headrace.local.install import Progress
from headrace.local.ports import check_free
from headrace.local.process import Child, ChildFailed
from headrace.run_file import started
from headrace.runtime.cancellation import end
from headrace.runtime.errors import Fatal, Retryable

State = Literal["starting", "ready", "silent", "restarting", "failed", "stopped", "held", "given"]

# Tries before the first answer: after a kill, PostgreSQL's former helpers may take a moment to go.
FIRST_STARTS = 3
BACKOFF_SECONDS = 0.5
BACKOFF_LIMIT_SECONDS = 5.0
# What programs say of it, Java and Go and C.
FULL = "no space left on device"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class RestartBudget:
    """The number of restarts within a time; beyond it the engine counts as failed."""

    restarts: int = 5
    seconds: float = 60.0


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How often an engine is probed, and how long it may be silent before it is killed.

    A busy engine answers late, so the limits are generous; an engine that refuses connections has closed its port and
    will not open it again.
    """

    every_seconds: float = 5.0
    answer_seconds: float = 10.0
    silent_seconds: float = 30.0
    refusing_seconds: float = 10.0
    # It hangs already: an orderly end is asked for, not waited for.
    end_seconds: float = 3.0


PATIENCE = Patience()


@dataclass(frozen=True, kw_only=True)
class EngineStatus:
    """One row of `headrace urls` and `headrace status`."""

    name: EngineName
    product: str
    version: str
    url: str
    address: str
    credentials: dict[str, str]
    state: State
    pid: int | None = None
    started: float | None = None
    restarts: int = 0
    log: str | None = None
    # Why it is not ready.
    reason: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


class Supervisor:
    """One engine and its child process."""

    def __init__(
        self,
        engine: Engine,
        *,
        logs: Path,
        progress: Progress,
        budget: RestartBudget,
        changed: Callable[[], None] = lambda: None,
        patience: Patience = PATIENCE,
    ) -> None:
        self.engine = engine
        self.state: State = "stopped"
        self.restarts = 0
        self._log = logs / f"{engine.name}.log"
        self._progress = progress
        self._budget = budget
        self._changed = changed
        self._patience = patience
        self.reason: str | None = None
        self._child: Child | None = None
        self._recent: deque[float] = deque()
        self._keeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return when the engine answers. Raises ConfigurationError, or ChildFailed with the end of its log."""
        self._set("starting")
        await self.engine.prepare(self._progress)
        began = time.monotonic()
        for what, port in self.engine.listens_on().items():
            check_free(port, what)
        await self._run_at_last()
        self._progress(
            f"{self.engine.product} is ready after {time.monotonic() - began:.1f} s at {self.engine.address}"
        )

    async def stop(self) -> None:
        """Terminate it, then kill it."""
        await self._stop_keeping()
        self._set("stopped")

    async def hold(self) -> None:
        """Stop it in order and keep it stopped, whatever becomes of it, until `release`."""
        await self._stop_keeping()
        self._set("held", "stopped on request")

    async def release(self) -> None:
        """Start an engine that is held again, on its data; raises ChildFailed if it does not start."""
        await self._run_at_last()

    def status(self) -> EngineStatus:
        """The present state."""
        child = self._child if self._child is not None and self._child.running else None
        return EngineStatus(
            name=self.engine.name,
            product=self.engine.product,
            version=self.engine.version,
            url=self.engine.url,
            address=self.engine.address,
            credentials=self.engine.credentials,
            state=self.state,
            pid=child.pid if child else None,
            started=started(child.pid) if child else None,
            restarts=self.restarts,
            log=str(self._log),
            reason=self.reason,
        )

    async def _run_at_last(self) -> None:
        """Run it, in a few attempts, and keep it running from now on."""
        for attempt in range(1, FIRST_STARTS + 1):
            try:
                await self._run()
                await self.engine.after_start()
                break
            except ChildFailed:
                if attempt == FIRST_STARTS:
                    self._set("failed")
                    raise
                await asyncio.sleep(_backoff_seconds(attempt))
        self._keeping = asyncio.create_task(self._keep(), name=f"keep {self.engine.name}")

    async def _stop_keeping(self) -> None:
        keeping, self._keeping = self._keeping, None
        if keeping is not None:
            await end(keeping)
        await self._end()

    async def _run(self) -> None:
        await self.engine.prepare(self._progress)
        self._child = Child(self.engine.product, self.engine.command(), self._log)
        self._child.start()
        # Written down before it answers: whoever comes after a kill must find it.
        self._changed()
        try:
            await self._child.ready(self.engine.probe, within_seconds=self.engine.ready_within_seconds)
        except BaseException:
            await asyncio.shield(self._end())
            raise
        self._set("ready")

    async def _end(self, within_seconds: float | None = None) -> None:
        if self._child is not None:
            await self._child.stop(within_seconds=within_seconds or self.engine.stop_within_seconds)
            await self.engine.after_stop()

    async def _keep(self) -> None:
        attempt = 0
        why = await self._until_ill()
        while self._may_restart():
            attempt += 1
            self._set("restarting", self._full() or why)
            await asyncio.sleep(_backoff_seconds(attempt))
            try:
                await self._run()
            except (Fatal, OSError) as error:
                why = str(error).splitlines()[0]
                log.warning("engine_not_restarted", engine=self.engine.name, reason=self._full() or why)
                continue
            attempt = 0
            self._progress(f"{self.engine.product} is back at {self.engine.address}")
            why = await self._until_ill()
        self._set("failed", why)
        self._progress(
            f"{self.engine.product} died more than {self._budget.restarts} times in "
            f"{self._budget.seconds:g} s and stays down; its log is {self._log}"
        )

    async def _until_ill(self) -> str:
        """Return why the child ended or was considered silent."""
        assert self._child is not None  # noqa: S101 -- it runs
        dying = asyncio.create_task(self._child.wait())
        watching = asyncio.create_task(self._until_silent())
        try:
            await asyncio.wait({dying, watching}, return_when=asyncio.FIRST_COMPLETED)
            if dying.done():
                return self._tell_death(dying.result())
            why = watching.result()
        finally:
            await end(dying, watching)
        log.warning("engine_silent", engine=self.engine.name, reason=why, log=str(self._log))
        self._progress(f"{self.engine.product} {why}: it is killed and started again")
        await self._end(self._patience.end_seconds)
        return why

    async def _until_silent(self) -> str:
        """Probe until it has not answered for too long, or cannot notice that space was freed."""
        silent_since: float | None = None
        was_full = False
        while True:
            await asyncio.sleep(self._patience.every_seconds)
            is_full = self._on_full_disk()
            if was_full and not is_full and self.engine.dwells_on_full:
                return "was on a full disk, where there is room again"
            was_full = is_full
            asked = time.monotonic()
            error = await self._asked()
            if error is None:
                if self.state == "silent":
                    self._set("ready")
                silent_since = None
                continue
            silent_since = silent_since or asked
            seconds = time.monotonic() - silent_since
            why = f"lives and has not answered for {seconds:.0f} s ({str(error) or type(error).__name__})"
            if self.state == "silent" and seconds >= self._patience_with(error):
                return why
            self._set("silent", self._full() or why)

    async def _asked(self) -> Exception | None:
        """Return its answer, or that there is none."""
        try:
            async with asyncio.timeout(self._patience.answer_seconds):
                await self.engine.probe(self._patience.answer_seconds)
        except (Retryable, OSError, TimeoutError) as error:
            return error
        return None

    def _patience_with(self, error: Exception) -> float:
        refused = isinstance(error, ConnectionRefusedError) or isinstance(
            error.__cause__, ConnectionRefusedError
        )
        return self._patience.refusing_seconds if refused else self._patience.silent_seconds

    def _full(self) -> str | None:
        """Return the reason if the engine's disk is full."""
        if not self._on_full_disk() and not (self._child and self._child.has_said(FULL)):
            return None
        free = shutil.disk_usage(self.engine.directory.parent).free
        return f"no space left on {self.engine.directory.parent}: {free >> 20} MiB free"

    def _on_full_disk(self) -> bool:
        disk = shutil.disk_usage(self.engine.directory.parent)
        return disk.free < self.engine.full_below(disk.total)

    def _tell_death(self, code: int) -> str:
        lines = self._child.tail() if self._child is not None else []
        log.warning("engine_died", engine=self.engine.name, exit_code=code, log=str(self._log))
        words = "".join(f"\n  {line}" for line in lines)
        self._progress(f"{self.engine.product} died ({code}); the end of {self._log}:{words}")
        return f"died ({code})"

    def _may_restart(self) -> bool:
        if self._full():
            # It ends by itself, when somebody makes room.
            self.restarts += 1
            return True
        now = time.monotonic()
        while self._recent and now - self._recent[0] > self._budget.seconds:
            self._recent.popleft()
        if len(self._recent) >= self._budget.restarts:
            return False
        self._recent.append(now)
        self.restarts += 1
        return True

    def _set(self, state: State, reason: str | None = None) -> None:
        self.state, self.reason = state, reason
        self._changed()


def _backoff_seconds(attempt: int) -> float:
    return random.uniform(0, min(BACKOFF_LIMIT_SECONDS, BACKOFF_SECONDS * 2 ** (attempt - 1)))  # noqa: S311 -- jitter
