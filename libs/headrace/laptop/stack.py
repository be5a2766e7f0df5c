"""`up`: running the local stack."""

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
from headrace.laptop.logs import LOGS, SERVICES
from headrace.laptop.pages import console_of
from headrace.laptop.status import part_rows
from headrace.local.install import S3Server
from headrace.local.shape import LocalShape, local_shape
from headrace.run_file import is_still, read_run, started
from headrace.runtime.cancellation import end
from headrace.runtime.errors import ConfigurationError
from headrace.runtime.logging import KeptLog, configure
from headrace.runtime.settings import ProcessSettings, is_set, load
from headrace.service.row import Service

_LOOK_SECONDS: Final = 0.5


@dataclass(frozen=True)
class LocalOptions:
    """The data directory, ports, S3 server and lifetime of a local stack."""

    directory: Path
    port_base: int | None = None
    s3: S3Server | None = None
    # The stack stops when this process has ended.
    while_pid: int | None = None


@asynccontextmanager
async def started_stack(
    services: Sequence[Service], options: LocalOptions, output: Output
) -> AsyncIterator[LocalShape]:
    """Start the local shape, report the progress, then print its addresses."""
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
    """Print the addresses of all parts of the running stack."""
    output.line()
    output.table(("part", "what", "url", "credentials"), part_rows(read_run(directory) or {}))
    output.line()
    if console := console_of(directory):
        output.line(f"open {console}/ to watch the flow")
        output.line()


def kept_log(directory: Path) -> KeptLog:
    """Write the services' log to the file that `headrace logs` reads, whatever the terminal shows."""
    return KeptLog(directory.absolute() / LOGS / SERVICES)


def _beginning_of(pid: int) -> float:
    began = started(pid)
    if began is None:
        raise ConfigurationError(f"--while: got {pid}, expected the id of a running process")
    return began


async def _stop_after(pid: int | None, began: float | None, stop: asyncio.Event) -> None:
    """Set the event when the process has ended; without a process, never."""
    while pid is None or is_still(pid, began):  # noqa: ASYNC110 -- another process sets no event
        await asyncio.sleep(_LOOK_SECONDS)
    stop.set()


async def up(services: Sequence[Service], options: LocalOptions) -> None:
    """Run the local stack until a signal."""
    settings = load(ProcessSettings)
    began = None if options.while_pid is None else _beginning_of(options.while_pid)
    on_terminal = sys.stdout.isatty()
    # With nobody there to read it, stdout is the log's alone.
    output = Output(sys.stdout if on_terminal else sys.stderr)
    style = "text" if on_terminal and not is_set("HEADRACE_LOG_FORMAT") else settings.log_format
    kept = kept_log(options.directory)
    log = partial(configure, style=style, kept=kept, kept_level=settings.log_level)
    log("WARNING" if on_terminal else settings.log_level)
    if on_terminal:
        # The spinner and the table come first: no logger may keep the level of now.
        structlog.configure(cache_logger_on_first_use=False)

    async def work(shape: LocalShape, stop: asyncio.Event) -> None:
        if on_terminal:
            log(settings.log_level)
        watching = asyncio.create_task(_stop_after(options.while_pid, began, stop))
        try:
            await shape.host.run(stop)
        finally:
            await end(watching)

    await until_signal(started_stack(services, options, output), work)
