"""The objects that services of one process share: engines' clients, background tasks, watches."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

from headrace.runtime.cancellation import end
from headrace.runtime.errors import Retryable
from headrace.runtime.health import Health
from headrace.runtime.settings import EngineSettings, ProcessSettings

if TYPE_CHECKING:
    from headrace.bus.producer import Producer
    from headrace.objects.endpoint import S3Endpoint
    from headrace.objects.store import ObjectStore

# The share of the time to stop that requests and messages in flight get; the rest is for closing the engines' clients.
STOP_SHARE: Final = 0.8
_PING_EVERY_SECONDS: Final = 5.0
_PING_SECONDS: Final = 5.0


class Shared:
    """One of each object per process, created when it is first needed."""

    def __init__(self, engines: EngineSettings, process: ProcessSettings) -> None:
        self.engines = engines
        self.process = process
        self.tasks: dict[asyncio.Task[None], str] = {}
        self._stack = AsyncExitStack()
        self._lock = asyncio.Lock()
        self._producers: dict[EngineSettings, Producer] = {}
        self._stores: dict[S3Endpoint, ObjectStore] = {}

    def spawn(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a task until the process stops; a failure stops the process."""
        self.tasks[asyncio.create_task(work(), name=name)] = name

    async def producer(self, engines: EngineSettings) -> "Producer":
        """Return the process' only producer for a Kafka."""
        from headrace.bus.producer import Producer

        async with self._lock:
            if engines not in self._producers:
                producer = await Producer.open(engines, service="host")
                self._stack.push_async_callback(producer.close)
                self._producers[engines] = producer
        return self._producers[engines]

    async def objects(self, endpoint: "S3Endpoint") -> "ObjectStore":
        """Return the process' only object store for an endpoint."""
        from headrace.objects.store import ObjectStore

        async with self._lock:
            if endpoint not in self._stores:
                store = await ObjectStore.open(endpoint)
                self._stack.push_async_callback(store.close)
                self._stores[endpoint] = store
        return self._stores[endpoint]

    def watch(self, health: Health, name: str, ping: Callable[[], Awaitable[Any]]) -> None:
        """Ping an engine every few seconds; the health check reports the last answer."""
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

    async def end_tasks(self) -> None:
        """End the background tasks."""
        await end(*self.tasks)

    async def close(self) -> None:
        """Close every client."""
        await self._stack.aclose()
