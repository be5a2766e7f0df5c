"""The context that a service receives at its start: its row, its settings, the engines, and ways to register its work.

An engine's client is imported when a service first needs it, so that a process loads only those it uses.
"""

import os
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, TypeVar

from aiohttp import web

from headrace.bus.consumption import Consumption
from headrace.contracts.message import Message
from headrace.runtime import tracing
from headrace.runtime.errors import ConfigurationError
from headrace.runtime.health import Health
from headrace.runtime.logging import get_logger
from headrace.runtime.settings import EngineSettings, Settings, is_set
from headrace.service.resolution import Loaded, resolved
from headrace.service.row import Service
from headrace.service.shared import STOP_SHARE, Shared
from headrace.web.listener import Listener
from headrace.web.pace import Pace
from headrace.web.traces import traced

if TYPE_CHECKING:
    from headrace.bus.consumer import Consumer
    from headrace.bus.delivery import Handler, KeyFunction
    from headrace.bus.producer import Producer
    from headrace.bus.statuses import StatusReporter
    from headrace.database.pool import Database
    from headrace.objects.endpoint import S3Endpoint
    from headrace.objects.store import ObjectStore

_log = get_logger(__name__)

S = TypeVar("S", bound=Settings)
M = TypeVar("M", bound=Message)


@dataclass
class Context:
    """One service in one process. ``app.start(context)`` wires everything through it.

    ``row`` is final: the settings that change it are applied.
    """

    row: Service
    shared: Shared
    loaded: Loaded = field(default_factory=Loaded)
    health: Health = field(default_factory=Health)
    listeners: list[Listener] = field(default_factory=list)
    consumers: "list[Consumer[Any]]" = field(default_factory=list)
    stoppers: list[Callable[[float], Awaitable[None]]] = field(default_factory=list)
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    @classmethod
    def of(cls, row: Service, shared: Shared) -> Self:
        """Return the context of a row of the table; raises `ConfigurationError` for a setting with an invalid value."""
        loaded = Loaded()
        return cls(resolved(row, loaded), shared, loaded)

    @property
    def lenient(self) -> bool:
        """Whether this process accepts what the documents' curl commands omit."""
        return self.shared.process.lenient

    @property
    def clusters_follow(self) -> bool:
        """Whether a cluster belongs to the organisation that reported it last, instead of the first."""
        return self.shared.process.cluster_owner == "last"

    @property
    def engines(self) -> EngineSettings:
        """The addresses of the engines."""
        return self.shared.engines

    def settings(self, kind: type[S]) -> S:
        """Return the service's settings from the environment; warns about variables that are set without effect.

        The reasons are in ``WITHOUT_EFFECT`` of the module with the settings.
        """
        idle: Mapping[str, str] = getattr(sys.modules[kind.__module__], "WITHOUT_EFFECT", {})
        for name, reason in idle.items():
            if is_set(name):
                _log.warning("setting_without_effect", service=self.row.name, name=name, reason=reason)
        return self.loaded.of(kind)

    async def producer(self, engines: EngineSettings | None = None) -> "Producer":
        """Return the process' producer with this service's metrics; by default for the platform's Kafka."""
        return (await self.shared.producer(engines or self.engines)).for_service(self.row.name)

    async def statuses(self) -> "StatusReporter":
        """Return a reporter of payload statuses under this service's name."""
        from headrace.bus.statuses import StatusReporter

        return StatusReporter(await self.producer(), self.row.name.replace("_", "-"))

    async def objects(self, endpoint: "S3Endpoint | None" = None) -> "ObjectStore":
        """Return an object store, shared by all services of the process; by default the platform's own."""
        from headrace.objects.endpoint import S3Endpoint

        return await self.shared.objects(endpoint or S3Endpoint.of(self.engines))

    @property
    def postgres(self) -> str:
        """The URL of the service's PostgreSQL server, with the service's role."""
        from headrace.service.databases import url_of

        return url_of(self.row, self.engines)

    async def database(self) -> "Database":
        """Return the service's database, existing and migrated."""
        from headrace.service.databases import awaited_database

        database = await awaited_database(self.row, self.engines)
        self.stack.push_async_callback(database.close)
        self.watch("postgres", database.ping)
        return database

    async def consume(
        self,
        consumption: Consumption,
        handler: "Handler[M]",
        *,
        report_status: bool = True,
        key: "KeyFunction[M] | None" = None,
    ) -> None:
        """Start handling a topic, until the process stops."""
        from headrace.bus.consumer import Consumer

        consumer = Consumer(
            consumption,
            handler,
            service=self.row.name,
            settings=self.engines,
            producer=await self.producer(),
            statuses=await self.statuses() if report_status else None,
            key=key,
        )
        self.consumers.append(consumer)
        self.health.add(f"consumes {consumption.topic.name}", lambda: consumer.problem)
        self.shared.spawn(f"{self.row.name}: {consumption.topic.name}", consumer.run)

    async def listen(
        self, app: web.Application, *, port: int | None = None, own_pace: bool = False
    ) -> Listener:
        """Serve HTTP on the service's port; with ``own_pace`` the service itself limits slow bodies."""
        if tracing.is_on():
            app.middlewares.insert(0, traced(self.row.name, but=self.row.health_path))
        chosen = self._port() if port is None else port
        process = self.shared.process
        listener = await Listener.open(
            app,
            process.host,
            chosen,
            stop_seconds=process.stop_seconds * STOP_SHARE,
            bodies=None if own_pace else Pace(process.body_seconds),
            answers=Pace(process.answer_seconds),
        )
        self.listeners.append(listener)
        return listener

    def spawn(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a background loop until the process stops; its failure stops the process."""
        self.shared.spawn(f"{self.row.name}: {name}", work)

    def watch(self, name: str, ping: Callable[[], Awaitable[Any]]) -> None:
        """Make an engine's answer part of the service's health; ``ping`` raises `Retryable` if it is unhealthy."""
        self.shared.watch(self.health, name, ping)

    def on_stop(self, stop: Callable[[float], Awaitable[None]]) -> None:
        """Register a function that ends a background loop, in limited time, beside listeners and consumers."""
        self.stoppers.append(stop)

    def on_close(self, close: Callable[[], Awaitable[None]]) -> None:
        """Register a function that runs after listeners and consumers have ended, before the engines' clients close."""
        self.stack.push_async_callback(close)

    def _port(self) -> int:
        """Return the port from the row's environment variable, else the row's own."""
        variable = self.row.port_variable
        text = os.environ.get(variable, "") if variable else ""
        if not text:
            return self.row.port or 0
        if not text.isdigit() or int(text) > 65535:
            raise ConfigurationError(f"{variable}: got {text!r}, expected a port number")
        return int(text)
