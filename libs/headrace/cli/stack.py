"""`up`, `serve`, `init`: running the stack or parts of it."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from headrace.cli.lifetime import until_signal
from headrace.cli.output import Output
from headrace.cli.run_file import part_rows
from headrace.database.roles import ensure_roles
from headrace.local.install import S3Server
from headrace.local.shape import LocalShape, local_shape
from headrace.local.stack import read_run
from headrace.runtime import faultpoints
from headrace.runtime.errors import ConfigurationError
from headrace.runtime.logging import configure
from headrace.runtime.retries import RetryPolicy, retrying
from headrace.runtime.settings import EngineSettings, ProcessSettings, is_set, load
from headrace.service.databases import opened_database, roles_of
from headrace.service.host import Host
from headrace.service.initialise import initialise
from headrace.service.process import running
from headrace.service.row import Service

# Between two looks whether engines have come up.
_PAUSE_SECONDS: Final = 2.0


@dataclass(frozen=True)
class LocalOptions:
    """Where a local stack keeps its data and listens, and which S3 server it has."""

    directory: Path
    port_base: int | None = None
    s3: S3Server | None = None


def chosen(services: Sequence[Service], names: Sequence[str]) -> list[Service]:
    """The rows of these names, all when none is given; raises ConfigurationError for a name nobody has."""
    by_name = {service.name: service for service in services}
    wanted = [name.replace("-", "_") for name in names]
    if unknown := [name for name in wanted if name not in by_name]:
        raise ConfigurationError(
            f"no service is named {', '.join(unknown)}; expected some of {', '.join(by_name)}"
        )
    return [by_name[name] for name in dict.fromkeys(wanted)] or list(services)


@asynccontextmanager
async def started_stack(
    services: Sequence[Service], options: LocalOptions, output: Output
) -> AsyncIterator[LocalShape]:
    """The local shape; tells a person how it comes up, then where everything is."""
    began = time.monotonic()
    with ExitStack() as spinner:
        spinner.enter_context(output.waiting("starting"))
        async with local_shape(
            services,
            directory=options.directory,
            port_base=options.port_base,
            s3=options.s3,
            progress=output.line,
        ) as shape:
            spinner.close()
            output.line(f"ready after {time.monotonic() - began:.1f} s")
            show_urls(output, options.directory)
            yield shape
            output.line("stopping")


def show_urls(output: Output, directory: Path) -> None:
    """Print where every part of the running stack is."""
    output.line()
    output.table(("part", "what", "url", "credentials"), part_rows(read_run(directory) or {}))
    output.line()


async def up(services: Sequence[Service], options: LocalOptions) -> None:
    """Run the local stack until a signal."""
    settings = load(ProcessSettings)
    on_terminal = sys.stdout.isatty()
    # With nobody there to read it, stdout is the log's alone.
    output = Output(sys.stdout if on_terminal else sys.stderr)
    style = "text" if on_terminal and not is_set("HEADRACE_LOG_FORMAT") else settings.log_format
    configure("WARNING" if on_terminal else settings.log_level, style)
    if on_terminal:
        # The spinner and the table come first: no logger may keep the level of now.
        structlog.configure(cache_logger_on_first_use=False)

    async def work(shape: LocalShape, stop: asyncio.Event) -> None:
        if on_terminal:
            configure(settings.log_level, style)
        await shape.host.run(stop)

    await until_signal(started_stack(services, options, output), work)


async def serve(rows: Sequence[Service], *, wait_seconds: float | None = None) -> None:
    """Run services against engines given by URL until a signal.

    With ``wait_seconds`` what they need is made first, and engines that are away are asked again for so long.
    """
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
    """Create topics, buckets, roles and databases and bring tables up to date; safe to repeat and to race.

    Engines that are away are asked again for ``wait_seconds``. Only here the user of HEADRACE_POSTGRES administers.
    """
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
    """Print the services' table."""
    headers = ("service", "port", "consumes", "produces", "stores", "what it does")
    rows = [
        (
            row.name,
            row.port,
            ", ".join(item.topic.name for item in row.consumes),
            ", ".join(topic.name for topic in row.produces),
            ", ".join([*row.buckets, *([f"database {row.database}"] if row.database else [])]),
            row.summary,
        )
        for row in services
    ]
    Output().table(headers, rows)
