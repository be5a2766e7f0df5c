"""A process of services from its start to its end, including signals."""

import asyncio
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from headrace.runtime import tracing
from headrace.runtime.logging import get_logger
from headrace.runtime.settings import EngineSettings, ProcessSettings
from headrace.service.host import Host
from headrace.service.row import Service

_log = get_logger(__name__)


def stop_on_signals() -> asyncio.Event:
    """Return an event that SIGTERM and Ctrl-C set; a second signal ends the process at once."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: int) -> None:
        stop.set()
        loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    return stop


@asynccontextmanager
async def running(
    rows: Sequence[Service], engines: EngineSettings, process: ProcessSettings
) -> AsyncIterator[Host]:
    """Run services while the context lasts; leaving it stops them in order."""
    if process.tracing:
        tracing.configure(",".join(row.name for row in rows))
    host = Host(engines, process)
    try:
        await host.start(rows)
        yield host
    finally:
        _log.info("stopping")
        await host.stop()


async def serve(rows: Sequence[Service], engines: EngineSettings, process: ProcessSettings) -> None:
    """Run until a signal; raises the failure of a service."""
    stop = stop_on_signals()
    async with running(rows, engines, process) as host:
        await host.run(stop)
