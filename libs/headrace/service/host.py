"""Runs services in one process: opens engines once, starts each service, watches, stops all in order."""

import asyncio
import gc
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from typing import Any, Final

from headrace.bus.producer import Producer
from headrace.objects.endpoint import S3Endpoint
from headrace.objects.store import ObjectStore
from headrace.runtime import metrics
from headrace.runtime.errors import ConfigurationError, Retryable
from headrace.runtime.health import Health
from headrace.runtime.logging import get_logger
from headrace.runtime.settings import EngineSettings, ProcessSettings
from headrace.service.context import Context
from headrace.service.row import Service
from headrace.web.admin import admin_app
from headrace.web.listener import Listener

_log = get_logger(__name__)

_PING_EVERY_SECONDS: Final = 5.0
_PING_SECONDS: Final = 5.0
_LOOP_LAG_EVERY_SECONDS: Final = 1.0


class Host:
    """One process of one or more services."""

    def __init__(self, engines: EngineSettings, process: ProcessSettings) -> None:
        self.engines = engines
        self.process = process
        self.contexts: list[Context] = []
        self._stack = AsyncExitStack()
        self._lock = asyncio.Lock()
        self._producers: dict[EngineSettings, Producer] = {}
        self._stores: dict[S3Endpoint, ObjectStore] = {}
        self._tasks: dict[asyncio.Task[None], str] = {}
        self._admin: Listener | None = None

    async def start(self, rows: Sequence[Service]) -> None:
        """Start every row's service, then the admin listener."""
        self.spawn("loop lag", _measure_loop_lag)
        for row in rows:
            context = Context(row, self)
            self.contexts.append(context)
            await row.module("app").start(context)
            _log.info("service_started", service=row.name, port=[item.port for item in context.listeners])
        # What start-up made (modules, API models) lives as long as the process: no collection need walk it again.
        gc.collect()
        gc.freeze()
        healths = {context.row.name: context.health for context in self.contexts}
        self._admin = await Listener.open(admin_app(healths), self.process.host, self.process.admin_port)

    @property
    def admin_port(self) -> int:
        """Where probes and scrapes go."""
        return self._admin.port if self._admin else 0

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set; re-raises what made a service's task fail."""
        waiter = asyncio.ensure_future(stop.wait())
        try:
            while not waiter.done():
                done, _ = await asyncio.wait({waiter, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
                for task in done - {waiter}:
                    name = self._tasks.pop(task)  # type: ignore[arg-type]
                    if error := task.exception():
                        _log.error("task_failed", task=name, reason=str(error))
                        raise error
        finally:
            waiter.cancel()

    async def stop(self) -> None:
        """Stop accepting, finish or hand back what is in flight, close; within ``stop_seconds``."""
        try:
            async with asyncio.timeout(self.process.stop_seconds):
                await self._stop()
        except TimeoutError:
            _log.error("stop_deadline_passed", seconds=self.process.stop_seconds)

    async def _stop(self) -> None:
        share = self.process.stop_seconds * 0.8
        await asyncio.gather(*(listener.close() for c in self.contexts for listener in c.listeners))
        await asyncio.gather(*(consumer.stop(share) for c in self.contexts for consumer in c.consumers))
        for task in self._tasks:
            task.cancel()
        for task in list(self._tasks):
            with suppress(asyncio.CancelledError, Exception):
                await task
        for context in reversed(self.contexts):
            await context.stack.aclose()
        if self._admin:
            await self._admin.close()
        await self._stack.aclose()
        _log.info("stopped")

    def spawn(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        """Run until the process stops; a failure stops the process."""

        async def run() -> None:
            await work()

        self._tasks[asyncio.create_task(run(), name=name)] = name

    async def producer(self, engines: EngineSettings) -> Producer:
        """The one producer of the process for a Kafka."""
        async with self._lock:
            if engines not in self._producers:
                producer = await Producer.open(engines, service="host")
                self._stack.push_async_callback(producer.close)
                self._producers[engines] = producer
        return self._producers[engines]

    async def objects(self, endpoint: S3Endpoint) -> ObjectStore:
        """The one object store of the process for an endpoint."""
        async with self._lock:
            if endpoint not in self._stores:
                store = await ObjectStore.open(endpoint)
                self._stack.push_async_callback(store.close)
                self._stores[endpoint] = store
        return self._stores[endpoint]

    def port(self, row: Service) -> int:
        """Where a service listens: its environment variable, else its row's port."""
        text = os.environ.get(row.port_variable, "") if row.port_variable else ""
        if not text:
            return row.port or 0
        if not text.isdigit() or int(text) > 65535:
            raise ConfigurationError(f"{row.port_variable}: got {text!r}, expected a port number")
        return int(text)

    def watch(self, health: Health, name: str, ping: Callable[[], Awaitable[Any]]) -> None:
        """Ask an engine every few seconds; the health check answers from the last answer."""
        state: dict[str, str | None] = {"problem": None}
        health.add(name, lambda: state["problem"])

        async def loop() -> None:
            while True:
                try:
                    async with asyncio.timeout(_PING_SECONDS):
                        await ping()
                    state["problem"] = None
                except (Retryable, TimeoutError, OSError) as error:
                    state["problem"] = f"{name} does not answer: {str(error) or type(error).__name__}"
                await asyncio.sleep(_PING_EVERY_SECONDS)

        self.spawn(f"watch {name}", loop)


async def _measure_loop_lag() -> None:
    while True:
        before = time.monotonic()
        await asyncio.sleep(_LOOP_LAG_EVERY_SECONDS)
        metrics.LOOP_LAG_SECONDS.set(max(0.0, time.monotonic() - before - _LOOP_LAG_EVERY_SECONDS))
