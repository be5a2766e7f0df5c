"""Keeps one engine running: starts it, sees it die, says why, starts it again within a budget."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import structlog

from headrace.local.directory import started
from headrace.local.engine import Engine, EngineName
from headrace.local.install import Progress
from headrace.local.ports import check_free
from headrace.local.process import Child, ChildFailed
from headrace.runtime.errors import Fatal

State = Literal["starting", "ready", "restarting", "failed", "stopped", "given"]

# Tries before the first answer: after a kill, PostgreSQL's former helpers may take a moment to go.
FIRST_STARTS = 3
BACKOFF_SECONDS = 0.5
BACKOFF_LIMIT_SECONDS = 5.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class RestartBudget:
    """So many restarts in so many seconds; beyond it the engine counts as failed."""

    restarts: int = 5
    seconds: float = 60.0


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

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


class Supervisor:
    """One engine and the child that is it."""

    def __init__(
        self,
        engine: Engine,
        *,
        logs: Path,
        progress: Progress,
        budget: RestartBudget,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self.engine = engine
        self.state: State = "stopped"
        self.restarts = 0
        self._log = logs / f"{engine.name}.log"
        self._progress = progress
        self._budget = budget
        self._changed = changed
        self._child: Child | None = None
        self._recent: deque[float] = deque()
        self._keeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return when it answers. Raises ConfigurationError, or ChildFailed with the end of its log."""
        self._set("starting")
        await self.engine.prepare(self._progress)
        began = time.monotonic()
        for what, port in self.engine.listens_on().items():
            check_free(port, what)
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
        self._progress(
            f"{self.engine.product} is ready after {time.monotonic() - began:.1f} s at {self.engine.address}"
        )
        self._keeping = asyncio.create_task(self._keep(), name=f"keep {self.engine.name}")

    async def stop(self) -> None:
        """Ask it to end, then make it."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        await self._end()
        self._set("stopped")

    def status(self) -> EngineStatus:
        """As of now."""
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
        )

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

    async def _end(self) -> None:
        if self._child is not None:
            await self._child.stop(within_seconds=self.engine.stop_within_seconds)
            await self.engine.after_stop()

    async def _keep(self) -> None:
        attempt = 0
        while self._child is not None:
            code = await self._child.wait()
            attempt += 1
            self._tell_death(code)
            if not self._may_restart():
                self._set("failed")
                self._progress(
                    f"{self.engine.product} died more than {self._budget.restarts} times in "
                    f"{self._budget.seconds:g} s and stays down; its log is {self._log}"
                )
                return
            self._set("restarting")
            await asyncio.sleep(_backoff_seconds(attempt))
            try:
                await self._run()
            except Fatal as error:
                log.warning(
                    "engine_not_restarted", engine=self.engine.name, reason=str(error).splitlines()[0]
                )
                continue
            attempt = 0
            self._progress(f"{self.engine.product} is back at {self.engine.address}")

    def _tell_death(self, code: int) -> None:
        lines = self._child.tail() if self._child is not None else []
        log.warning("engine_died", engine=self.engine.name, exit_code=code, log=str(self._log))
        words = "".join(f"\n  {line}" for line in lines)
        self._progress(f"{self.engine.product} died ({code}); the end of {self._log}:{words}")

    def _may_restart(self) -> bool:
        now = time.monotonic()
        while self._recent and now - self._recent[0] > self._budget.seconds:
            self._recent.popleft()
        if len(self._recent) >= self._budget.restarts:
            return False
        self._recent.append(now)
        self.restarts += 1
        return True

    def _set(self, state: State) -> None:
        self.state = state
        self._changed()


def _backoff_seconds(attempt: int) -> float:
    return random.uniform(0, min(BACKOFF_LIMIT_SECONDS, BACKOFF_SECONDS * 2 ** (attempt - 1)))  # noqa: S311 -- jitter
