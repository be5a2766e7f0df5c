"""`make bench`: measures, prints, and writes docs/benchmarks.md. Everything stays on loopback and ends by itself."""

import asyncio
import itertools
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import psutil
import uvloop

from headrace.local.ports import EnginePorts
from headrace.local.shape import settings_of_ports
from headrace.local.stack import Engines
from headrace.objects.endpoint import S3Endpoint
from headrace.runtime.logging import configure
from headrace.runtime.settings import EngineSettings
from headrace.service.initialise import initialise
from services.registry import SERVICES
from tests.bench import (
    aggregator,
    aggregator_rest,
    assisted_events,
    flow,
    ingress,
    kruize_http,
    kruize_math,
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
from tests.bench.report import PAGE, Figure, page
from tests.processes import ServiceProcess


class Report:
    """The sections so far."""

    def __init__(self) -> None:
        self.sections: list[tuple[str, str, list[Figure]]] = []

    async def add(self, part: ModuleType, figures: Awaitable[list[Figure]]) -> None:
        """Measure a part and print it."""
        self.sections.append((part.TITLE, part.TEXT, await figures))
        print(f"\n{part.TITLE}")
        for row in self.sections[-1][2]:
            print(f"  {row.name:40} {row.value:>14}  {row.spread:20} {row.bar}", flush=True)


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
            engines = await closing.enter_async_context(Engines(directory / "data", ports))
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
    report = Report()
    await report.add(start, start.measure())
    await report.add(sizing, sizing.measure())
    await report.add(scale_out, scale_out.measure())
    await report.add(ros_csv, ros_csv.measure())
    await report.add(rules, rules.measure())
    await report.add(ols_collector, ols_collector.measure())
    await report.add(kruize_math, asyncio.to_thread(kruize_math.measure))
    await report.add(segment, segment.measure())
    async with open_stack() as stack:
        for part in (runtime, rules_service, aggregator):
            await report.add(part, part.measure(stack.settings))
        await measure_services(stack, report)
    PAGE.write_text(page(report.sections))
    print(f"\nwritten to {PAGE.relative_to(Path.cwd()) if PAGE.is_relative_to(Path.cwd()) else PAGE}")


async def measure_services(stack: Stack, report: Report) -> None:
    """Those that are measured from outside, each started when it is needed."""
    settings, url = stack.settings, stack.url("INGRESS_WEBPORT")
    front = await stack.start("ingress")
    await report.add(ingress, ingress.measure(url, S3Endpoint.of(settings), front))
    await stack.start("payload_tracker", "archiver")
    await runtime.drained(settings, "archiver", within_seconds=600)
    await report.add(flow, flow.measure(url, settings.kafka))
    installer = await stack.start("assisted_events")
    events_url = stack.url("ASSISTED_EVENTS_PORT")
    await report.add(assisted_events, assisted_events.measure(events_url, settings.kafka, installer))
    engine = await stack.start("kruize")
    kruize_url = stack.url("AUTOTUNE_SERVER_PORT")
    await report.add(kruize_http, kruize_http.measure(kruize_url, engine, stack.database_url("kruize")))
    await stack.start("results_aggregator")
    rest_url = stack.url("RESULTS_AGGREGATOR_PORT")
    await report.add(aggregator_rest, aggregator_rest.measure(rest_url, stack.database_url("aggregator")))
    await stack.start("koku", "ros_processor", "ros_poller", "sources_api", "ros_api")
    await report.add(recommendations, recommendations.measure(url, stack.url("API_PORT"), settings))


if __name__ == "__main__":
    sys.exit(uvloop.run(main()))
