"""The local shape: the backing servers as children, every service in this process."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from headrace.local.install import S3Server
from headrace.local.ports import EnginePorts
from headrace.local.stack import Engines, given_by_environment
from headrace.runtime.settings import EngineSettings, ProcessSettings, load
from headrace.service.host import Host
from headrace.service.initialise import initialise
from headrace.service.process import running
from headrace.service.row import Service

DIRECTORY: Final = Path(".headrace")
_ADMIN_OFFSET: Final = 5
_SERVICES_OFFSET: Final = 10


@dataclass(frozen=True)
class LocalShape:
    """What runs and what it can be asked."""

    engines: Engines
    host: Host

    def urls(self) -> dict[str, Any]:
        """Every part's URL (and credentials), for people and scripts."""
        address = self.host.process.host
        services = {
            context.row.name: {
                "url": f"http://{address}:{context.listeners[0].port}",
                "health": f"http://{address}:{context.listeners[0].port}{context.row.health_path}",
            }
            for context in self.host.contexts
            if context.listeners
        }
        admin = f"http://{address}:{self.host.admin_port}"
        return {"services": services, "admin": {"health": f"{admin}/health", "metrics": f"{admin}/metrics"}}


def settings_of_ports(rows: Sequence[Service], port_base: int | None) -> dict[str, str]:
    """Environment that moves every port: the admin listener's to base + 5, the services' to base + 10 onward."""
    if port_base is None:
        return {}
    ports = {
        row.port_variable: str(port_base + _SERVICES_OFFSET + index)
        for index, row in enumerate(rows)
        if row.port_variable
    }
    return {"HEADRACE_ADMIN_PORT": str(port_base + _ADMIN_OFFSET), **ports}


@asynccontextmanager
async def local_shape(
    rows: Sequence[Service],
    *,
    directory: Path = DIRECTORY,
    port_base: int | None = None,
    s3: S3Server | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> AsyncIterator[LocalShape]:
    """Start everything, publish where it is, stop it in order."""
    ports = EnginePorts.seed() if port_base is None else EnginePorts.at(port_base)
    async with Engines(directory, ports, s3=s3, given=given_by_environment(), progress=progress) as engines:
        os.environ.update(settings_of_ports(rows, port_base) | engines.environment())
        # The documents' curls work here as printed.
        os.environ.setdefault("HEADRACE_LENIENT", "true")
        engine_settings = load(EngineSettings)
        await initialise(engine_settings, rows)
        async with running(rows, engine_settings, load(ProcessSettings)) as host:
            shape = LocalShape(engines, host)
            engines.publish(**shape.urls())
            yield shape


async def run_until(stop: asyncio.Event, shape: LocalShape) -> None:
    """Work until ``stop``; raises what made a service fail."""
    await shape.host.run(stop)
