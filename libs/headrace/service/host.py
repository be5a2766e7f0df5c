"""Runs services in one process: starts each, watches their tasks, stops them in order."""

import asyncio
import gc
import time
from collections.abc import Sequence
from typing import Final

from headrace.runtime import metrics
from headrace.runtime.health import Health
from headrace.runtime.logging import get_logger
from headrace.runtime.settings import EngineSettings, ProcessSettings
from headrace.runtime.watchdog import Change, Watchdog
from headrace.service.context import Context
from headrace.service.row import Service
from headrace.service.shared import STOP_SHARE, Shared
from headrace.web.admin import admin_app
from headrace.web.listener import Listener

_log = get_logger(__name__)

_LOOP_LAG_EVERY_SECONDS: Final = 1.0


class Host:
    """One process of one or more services."""

    def __init__(self, engines: EngineSettings, process: ProcessSettings) -> None:
        self.process = process
        self.contexts: list[Context] = []
        self._shared = Shared(engines, process)
        self._starting: str | None = "services are starting"
        self._healths = {"process": Health({"start": lambda: self._starting})}
        self._admin: Listener | None = None
        self._watchdog = Watchdog(process.stall_seconds)

    async def start(self, rows: Sequence[Service]) -> None:
        """Answer probes immediately, then start the service of every row."""
        self._admin = await Listener.open(
            admin_app(self._healths), self.process.host, self.process.admin_port
        )
        self._shared.spawn("loop lag", _measure_loop_lag)
        self._watchdog.start()
        for row in rows:
            context = Context.of(row, self._shared)
            self.contexts.append(context)
            self._healths[row.name] = context.health
            await row.module("app").start(context)
            _log.info("service_started", service=row.name, ports=[item.port for item in context.listeners])
        # Objects from the start (modules, API models) live as long as the process, so collections need not scan them.
        gc.collect()
        gc.freeze()
        self._starting = None

    def report(self, name: str, health: Health) -> None:
        """Show a fact beside the services' health."""
        self._healths[name] = health

    def tell_stalls(self, stalled: Change) -> None:
        """Call ``stalled`` in another thread with the seconds of a stall so far, and with None at its end."""
        self._watchdog.changed = stalled

    @property
    def admin_port(self) -> int:
        """The port for probes and scrapes."""
        return self._admin.port if self._admin else 0

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set; re-raises the failure of a service's task."""
        waiter = asyncio.create_task(stop.wait())
        tasks = self._shared.tasks
        try:
            while not waiter.done():
                await asyncio.wait({waiter, *tasks}, return_when=asyncio.FIRST_COMPLETED)
                for task in [task for task in tasks if task.done()]:
                    name = tasks.pop(task)
                    if error := task.exception():
                        _log.error("task_failed", task=name, reason=str(error))
                        raise error
        finally:
            waiter.cancel()

    async def stop(self) -> None:
        """Stop accepting, finish or return running work, close; within ``stop_seconds``."""
        try:
            async with asyncio.timeout(self.process.stop_seconds):
                await self._stop()
        except TimeoutError:
            _log.error("stop_deadline_passed", seconds=self.process.stop_seconds)

    async def _stop(self) -> None:
        share = self.process.stop_seconds * STOP_SHARE
        # Listeners and consumers stop concurrently: a slow sender must not use up the time in which handlers finish and
        # commit.
        await asyncio.gather(
            *(listener.close() for context in self.contexts for listener in context.listeners),
            *(consumer.stop(share) for context in self.contexts for consumer in context.consumers),
            *(stop(share) for context in self.contexts for stop in context.stoppers),
        )
        await self._shared.end_tasks()
        for context in reversed(self.contexts):
            await context.stack.aclose()
        if self._admin:
            await self._admin.close()
        await self._shared.close()
        await asyncio.to_thread(self._watchdog.stop)
        _log.info("stopped")


async def _measure_loop_lag() -> None:
    while True:
        before = time.monotonic()
        await asyncio.sleep(_LOOP_LAG_EVERY_SECONDS)
        metrics.LOOP_LAG_SECONDS.set(max(0.0, time.monotonic() - before - _LOOP_LAG_EVERY_SECONDS))
        metrics.TASKS.set(len(asyncio.all_tasks()))
