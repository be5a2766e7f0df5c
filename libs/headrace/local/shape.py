"""The local shape: the engines as child processes, every service in this process."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from headrace.database.roles import ensure_roles
from headrace.local.install import S3Server
from headrace.local.ports import HOST, EnginePorts
from headrace.local.stack import VARIABLES, Engines, given_by_environment
from headrace.runtime.health import Health
from headrace.runtime.settings import EngineSettings, ProcessSettings, load
from headrace.service.databases import roles_of
from headrace.service.host import Host
from headrace.service.initialise import initialise
from headrace.service.process import running
from headrace.service.row import Service

_ADMIN_OFFSET: Final = 5
_SERVICES_OFFSET: Final = 10
_STOP_SECONDS: Final = "12"


@dataclass(frozen=True)
class LocalShape:
    """The running parts and their state."""

    engines: Engines
    host: Host

    def urls(self) -> dict[str, Any]:
        """Return every part's URL (with credentials), for people and scripts."""
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
    """Return the environment that moves every port: the admin listener to base + 5, services from base + 10 on."""
    if port_base is None:
        return {}
    settings = {"HEADRACE_ADMIN_PORT": str(port_base + _ADMIN_OFFSET)}
    for port, row in enumerate(rows, port_base + _SERVICES_OFFSET):
        if row.port_variable:
            settings[row.port_variable] = str(port)
    return settings | urls_told(rows, settings)


def urls_told(rows: Sequence[Service], environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment that gives services the URLs of the other services of the stack."""
    return {
        variable: f"http://{HOST}:{_port(row, environment)}{path}"
        for row in rows
        for variable, path in row.known_by
    }


def _defaults(rows: Sequence[Service], directory: Path) -> dict[str, str]:
    """Return defaults that a user's environment overrides, for example to replace a service of ours."""
    return urls_told(rows, os.environ) | {
        # Where LightSpeed writes and its collector reads.
        "OLS_USER_DATA_PATH": str(directory.absolute() / "ols-user-data"),
        "SEGMENT_DEAD_LETTERS": str(directory.absolute() / "segment-dead-letters.jsonl"),
        # The documents' curls work here as printed.
        "HEADRACE_LENIENT": "true",
        # The servers stop after the services, and everything within 25 s.
        "HEADRACE_STOP_SECONDS": _STOP_SECONDS,
    }


def _roles(rows: Sequence[Service], server: str) -> dict[str, str]:
    """Return the environment that gives each service its own role on a server that asks for no password."""
    address = server.rpartition("@")[2]
    return {row.role_variable: f"postgresql://{row.role}@{address}" for row in rows if row.database}


def _port(row: Service, environment: Mapping[str, str]) -> int | None:
    moved = environment.get(row.port_variable, "")
    return int(moved) if moved.isdigit() else row.port


def _ports(rows: Sequence[Service], admin_port: int) -> dict[str, int]:
    """Return the services' ports by purpose; a service itself could only say that its port is in use."""
    ports = {row.name: port for row in rows if (port := _port(row, os.environ))}
    return {"health and metrics": admin_port} | ports


def _import_the_rest(rows: Sequence[Service]) -> None:
    """Import what is needed once the engines are ready, and is therefore imported in functions here."""
    for name in ("simulators.chain", "tools"):
        import_module(f"headrace.local.{name}")
    for row in rows:
        row.module("app")


@contextmanager
def _restored_environment() -> Iterator[None]:
    """Restore the environment when the stack ends, so that the next stack of this process does not use its values."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


@asynccontextmanager
async def local_shape(
    rows: Sequence[Service],
    *,
    directory: Path,
    port_base: int | None = None,
    s3: S3Server | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> AsyncIterator[LocalShape]:
    """Start everything, publish the addresses, stop it in order. A ``port_base`` of 0 is any that is free."""
    if port_base == 0:
        port_base = EnginePorts.random().kafka
    ports = EnginePorts.seed() if port_base is None else EnginePorts.at(port_base)
    given = given_by_environment()
    with _restored_environment():
        os.environ.update(settings_of_ports(rows, port_base))
        for name, value in _defaults(rows, directory).items():
            os.environ.setdefault(name, value)
        process = load(ProcessSettings)
        # More than a second of imports, while the engines' processes start on other cores.
        importing = asyncio.create_task(asyncio.to_thread(_import_the_rest, rows))
        async with Engines(
            directory,
            ports,
            s3=s3,
            given=given,
            progress=progress,
            other_ports=_ports(rows, process.admin_port),
        ) as engines:
            await importing
            os.environ.update(engines.environment())
            engine_settings = load(EngineSettings)
            if "postgres" not in given:
                for name, value in _roles(rows, engine_settings.postgres).items():
                    os.environ.setdefault(name, value)
            await asyncio.gather(
                initialise(engine_settings, rows),
                # A server of somebody else's may have strangers' databases.
                ensure_roles(engine_settings.postgres, roles_of(rows), whole_server="postgres" not in given),
            )
            from headrace.local.tools import write_tools

            await write_tools(directory, engines.describe(), progress, rows)
            async with (
                _simulators(rows, directory, port_base) as simulators,
                running(rows, engine_settings, process) as host,
            ):
                shape = LocalShape(engines, host)
                host.report("engines", Health({name: partial(engines.problem, name) for name in VARIABLES}))
                host.tell_stalls(lambda seconds: engines.publish(loop_stalled_seconds=seconds))
                engines.publish(**shape.urls(), simulators=simulators)
                yield shape


@asynccontextmanager
async def _simulators(
    rows: Sequence[Service], directory: Path, port_base: int | None
) -> AsyncIterator[dict[str, str]]:
    """Start simulators of external systems that services use, unless the user named real ones; yield their URLs."""
    from headrace.local.simulators.chain import DIRECTORY, ChainPorts, is_wanted, simulated_chain

    if not any(row.simulated for row in rows) or not is_wanted():
        yield {}
        return
    async with simulated_chain(directory / DIRECTORY, ChainPorts.at(port_base)) as chain:
        os.environ.update(chain.environment)
        yield chain.urls()
