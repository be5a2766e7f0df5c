"""`serve`, `init` and `services`: running services without the local stack and its dependencies."""

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from headrace.cli.lifetime import until_signal
from headrace.cli.output import Output
from headrace.runtime import faultpoints
from headrace.runtime.errors import ConfigurationError
from headrace.runtime.logging import configure
from headrace.runtime.retries import RetryPolicy, retrying
from headrace.runtime.settings import EngineSettings, ProcessSettings, load
from headrace.service.host import Host
from headrace.service.process import running
from headrace.service.resolution import resolved
from headrace.service.row import Service

# Between two looks whether engines have come up.
_PAUSE_SECONDS: Final = 2.0


def chosen(services: Sequence[Service], names: Sequence[str]) -> list[Service]:
    """Return the rows of these names, all if none is given; raises ConfigurationError for an unknown name."""
    by_name = {service.name: service for service in services}
    wanted = [name.replace("-", "_") for name in names]
    if unknown := [name for name in wanted if name not in by_name]:
        raise ConfigurationError(
            f"unknown service {', '.join(unknown)}; expected some of {', '.join(by_name)}"
        )
    return [by_name[name] for name in dict.fromkeys(wanted)] or list(services)


async def serve(rows: Sequence[Service], *, wait_seconds: float | None = None) -> None:
    """Run services against engines given by URL until a signal.

    With ``wait_seconds`` their resources are created first, and engines that are away are retried for that
    time.
    """
    # What was imported so far lives as long as the process: the collection at the end of the start need not walk it.
    gc.freeze()
    settings = load(ProcessSettings)
    configure(settings.log_level, settings.log_format)
    faultpoints.armed = faultpoints.from_environment()

    async def work(host: Host, stop: asyncio.Event) -> None:
        await host.run(stop)

    await until_signal(_prepared(rows, load(EngineSettings), settings, wait_seconds), work)


@asynccontextmanager
async def _prepared(
    rows: Sequence[Service], engines: EngineSettings, settings: ProcessSettings, wait_seconds: float | None
) -> AsyncIterator[Host]:
    if wait_seconds is not None:
        await _make(engines, rows, wait_seconds)
    async with running(rows, engines, settings) as host:
        yield host


async def initialise_services(rows: Sequence[Service], *, wait_seconds: float = 0.0) -> None:
    """Create topics, buckets, roles and databases and migrate tables; safe to repeat and to run concurrently.

    Engines that are away are retried for ``wait_seconds``. Only here the user of HEADRACE_POSTGRES acts as
    administrator.
    """
    from headrace.database.roles import ensure_roles
    from headrace.service.databases import roles_of

    rows = [resolved(row) for row in rows]
    output = Output()
    engines, roles = load(EngineSettings), roles_of(rows)
    await retrying(_patience(wait_seconds), lambda: ensure_roles(engines.postgres, roles))
    await _make(engines, rows, wait_seconds)
    made = {
        "topics": {topic.name for row in rows for topic in row.topics},
        "buckets": {bucket for row in rows for bucket in row.buckets},
        "roles": {role.name for role in roles},
        "databases": {row.database for row in rows if row.database},
    }
    for kind, names in made.items():
        output.line(f"{kind}: {', '.join(sorted(names)) or 'none'}")


async def _make(engines: EngineSettings, rows: Sequence[Service], wait_seconds: float) -> None:
    from headrace.service.databases import opened_database
    from headrace.service.initialise import initialise

    patience = _patience(wait_seconds)
    await retrying(patience, lambda: initialise(engines, rows))
    # Of those that share a database its owner, where it is among them.
    owners_last = sorted(rows, key=lambda row: row.access == "owns")
    for row in {row.database: row for row in owners_last if row.database}.values():
        database = await retrying(patience, partial(opened_database, row, engines))
        await database.close()


def _patience(wait_seconds: float) -> RetryPolicy:
    return RetryPolicy(attempts=sys.maxsize, budget_seconds=wait_seconds, cap_seconds=_PAUSE_SECONDS)


def show_services(services: Sequence[Service]) -> None:
    """Print the services' table and the terms of each consumer, as this environment's settings change them."""
    rows = [resolved(row) for row in services]
    output = Output()
    output.table(
        ("service", "port", "consumes", "produces", "stores", "summary"),
        [
            (
                row.name,
                row.port,
                ", ".join(item.topic.name for item in row.consumes),
                ", ".join(topic.name for topic in row.produces),
                ", ".join([*row.buckets, *([f"database {row.database}"] if row.database else [])]),
                row.summary,
            )
            for row in rows
        ],
    )
    output.line("")
    output.table(
        ("service", "topic", "group", "handlers at once", "deadline, seconds", "header", "values"),
        [
            (
                row.name,
                item.topic.name,
                item.group,
                item.concurrency,
                f"{item.deadline_seconds:g}",
                item.header,
                ", ".join(sorted(item.values)),
            )
            for row in rows
            for item in row.consumes
        ],
    )
