"""`make bench`: measures, prints, and writes docs/benchmarks.md. Everything stays on loopback and ends by itself."""

import itertools
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import psutil
import uvloop

from headrace.local.ports import EnginePorts
from headrace.local.shape import settings_of_ports
from headrace.local.stack import Engines
from headrace.objects.endpoint import S3Endpoint
from headrace.runtime.logging import configure
from headrace.runtime.settings import EngineSettings
from headrace.service.initialise import initialise
from headrace_services.registry import SERVICES
from tests.bench import (
    aggregator,
    aggregator_rest,
    assisted_events,
    flow,
    ingress,
    kruize_http,
    kruize_math,
    lists,
    ols_collector,
    recommendations,
    ros_csv,
    rules,
    rules_service,
    runtime,
    scale_out,
    segment,
    sizing,
    start,
)
from tests.bench.report import PAGE, Figure, page, section
from tests.processes import ServiceProcess

OF_THEIR_OWN = (start, sizing, scale_out, ros_csv, rules, ols_collector, kruize_math, segment, lists)
OF_ENGINES = (runtime, rules_service, aggregator)
OF_SERVICES = (ingress, flow, assisted_events, kruize_http, aggregator_rest, recommendations)
# These store objects.
OF_S3 = (start, sizing, scale_out, rules_service, ingress, flow, assisted_events, recommendations)
PARTS = (*OF_THEIR_OWN, *OF_ENGINES, *OF_SERVICES)

_S3_SERVERS = {"seaweedfs": "SeaweedFS", "minio": "MinIO"}


class Report:
    """The sections so far, of the parts that are wanted: all, or those named."""

    def __init__(self, names: Sequence[str]) -> None:
        self.wanted = {part for part in PARTS if not names or _name(part) in names}
        if unknown := set(names) - set(map(_name, PARTS)):
            sys.exit(f"no part is named {', '.join(unknown)}; there are {', '.join(map(_name, PARTS))}")
        self.sections: dict[str, str] = {}

    async def add(self, part: ModuleType, *given: object) -> None:
        """Measure a part, if it is wanted, and print it."""
        if part not in self.wanted:
            return
        figures: list[Figure] = await part.measure(*given)
        s3 = _S3_SERVERS[os.environ.get("S3") or "seaweedfs"] if part in OF_S3 else ""
        self.sections[part.TITLE] = section(part.TITLE, part.TEXT, figures, s3=s3)
        print(f"\n{part.TITLE}")
        for row in figures:
            print(f"  {row.name:40} {row.value:>14}  {row.spread:20} {row.bar}", flush=True)


def _name(part: ModuleType) -> str:
    return part.__name__.rpartition(".")[2]


@dataclass(frozen=True)
class Stack:
    """Engines, and services as processes beside them on ports of their own."""

    settings: EngineSettings
    environment: dict[str, str]
    directory: Path
    admin_ports: Iterator[int]
    closing: AsyncExitStack

    def url(self, port_variable: str) -> str:
        return f"http://127.0.0.1:{self.environment[port_variable]}"

    def database_url(self, name: str) -> str:
        return f"{self.settings.postgres.rpartition('/')[0]}/{name}"

    async def start(self, *names: str) -> psutil.Process:
        log = self.directory / f"{names[0]}.log"
        process = ServiceProcess(names, self.environment, next(self.admin_ports), log)
        self.closing.push_async_callback(process.stop)
        await process.start(ready_within_seconds=120)
        return psutil.Process(process.pid)


@asynccontextmanager
async def open_stack() -> AsyncIterator[Stack]:
    with tempfile.TemporaryDirectory() as name:
        async with AsyncExitStack() as closing:
            directory, ports = Path(name), EnginePorts.random()
            engines = await closing.enter_async_context(
                Engines(directory / "data", ports, s3=cast("Any", os.environ.get("S3") or None))
            )
            environment = engines.environment()
            settings = EngineSettings(
                kafka=environment["HEADRACE_KAFKA"],
                s3=environment["HEADRACE_S3"],
                postgres=environment["HEADRACE_POSTGRES"],
            )
            await initialise(settings, SERVICES)
            environment |= settings_of_ports(SERVICES, ports.kafka)
            environment |= {"HEADRACE_LOG_LEVEL": "INFO", "KOKU_REGISTER_SOURCES": "true"}
            # Senders with a token come as somebody.
            environment["INGRESS_DEFAULTORGID"] = "12345"
            yield Stack(settings, environment, directory, itertools.count(ports.kafka + 50), closing)


async def main() -> None:
    """Each part in turn, so that none disturbs another."""
    # What a part runs in this process would otherwise write a line a message, and be slower for it.
    configure("WARNING", "text")
    report = Report(sys.argv[1:])
    for part in OF_THEIR_OWN:
        await report.add(part)
    if report.wanted.intersection((*OF_ENGINES, *OF_SERVICES)):
        async with open_stack() as stack:
            for part in OF_ENGINES:
                await report.add(part, stack.settings)
            if report.wanted.intersection(OF_SERVICES):
                await measure_services(stack, report)
    before = PAGE.read_text() if PAGE.exists() else ""
    PAGE.write_text(page([part.TITLE for part in PARTS], report.sections, before))
    print(f"\nwritten to {PAGE.relative_to(Path.cwd()) if PAGE.is_relative_to(Path.cwd()) else PAGE}")


async def measure_services(stack: Stack, report: Report) -> None:
    """Those that are measured from outside, each started when it is needed."""
    settings, url = stack.settings, stack.url("INGRESS_WEBPORT")
    front = await stack.start("ingress")
    await report.add(ingress, url, S3Endpoint.of(settings), front)
    await stack.start("payload_tracker", "archiver")
    await runtime.drained(settings, "archiver", within_seconds=600)
    await report.add(flow, url, settings.kafka)
    installer = await stack.start("assisted_events")
    await report.add(assisted_events, stack.url("ASSISTED_EVENTS_PORT"), settings.kafka, installer)
    engine = await stack.start("kruize")
    await report.add(kruize_http, stack.url("AUTOTUNE_SERVER_PORT"), engine, stack.database_url("kruize"))
    await stack.start("results_aggregator")
    rest_url = stack.url("RESULTS_AGGREGATOR_PORT")
    await report.add(aggregator_rest, rest_url, stack.database_url("aggregator"))
    await stack.start("koku", "ros_processor", "ros_poller", "sources_api", "ros_api")
    await report.add(recommendations, url, stack.url("API_PORT"), settings)


if __name__ == "__main__":
    sys.exit(uvloop.run(main()))
