"""`make bench`: measures, prints, and writes docs/benchmarks.md. Everything stays on loopback and ends by itself."""

import asyncio
import itertools
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

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
    flow,
    ingress,
    kruize_http,
    kruize_math,
    recommendations,
    ros_csv,
    rules,
    rules_service,
    runtime,
    start,
)
from tests.bench.report import PAGE, Figure, page
from tests.processes import ServiceProcess


async def main() -> None:
    """Each part in turn, so that none disturbs another."""
    # What a part runs in this process would otherwise write a line a message, and be slower for it.
    configure("WARNING", "text")
    sections = []

    def add(title: str, text: str, figures: list[Figure]) -> None:
        sections.append((title, text, figures))
        print(f"\n{title}")
        for row in figures:
            print(f"  {row.name:40} {row.value:>14}  {row.spread:20} {row.bar}", flush=True)

    add(start.TITLE, start.TEXT, await start.measure())
    add(ros_csv.TITLE, ros_csv.TEXT, await ros_csv.measure())
    add(rules.TITLE, rules.TEXT, await rules.measure())
    add(kruize_math.TITLE, kruize_math.TEXT, await asyncio.to_thread(kruize_math.measure))
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
            add(runtime.TITLE, runtime.TEXT, await runtime.measure(settings))
            add(rules_service.TITLE, rules_service.TEXT, await rules_service.measure(settings))
            add(aggregator.TITLE, aggregator.TEXT, await aggregator.measure(settings))
            environment |= settings_of_ports(SERVICES, ports.kafka)
            environment |= {"HEADRACE_LOG_LEVEL": "INFO", "KOKU_REGISTER_SOURCES": "true"}
            url, api_url = (
                f"http://127.0.0.1:{environment[name]}" for name in ("INGRESS_WEBPORT", "API_PORT")
            )
            admin_ports = itertools.count(ports.kafka + 50)

            async def start_process(*names: str) -> psutil.Process:
                log = directory / f"{names[0]}.log"
                process = ServiceProcess(names, environment, next(admin_ports), log)
                closing.push_async_callback(process.stop)
                await process.start(ready_within_seconds=120)
                return psutil.Process(process.pid)

            front = await start_process("ingress")
            add(ingress.TITLE, ingress.TEXT, await ingress.measure(url, S3Endpoint.of(settings), front))
            await start_process("payload_tracker", "archiver")
            await runtime.drained(settings, "archiver", within_seconds=600)
            add(flow.TITLE, flow.TEXT, await flow.measure(url, settings.kafka))
            engine = await start_process("kruize")
            kruize_url = f"http://127.0.0.1:{environment['AUTOTUNE_SERVER_PORT']}"
            database_url = f"{settings.postgres.rpartition('/')[0]}/kruize"
            add(
                kruize_http.TITLE,
                kruize_http.TEXT,
                await kruize_http.measure(kruize_url, engine, database_url),
            )
            await start_process("results_aggregator")
            add(
                aggregator_rest.TITLE,
                aggregator_rest.TEXT,
                await aggregator_rest.measure(
                    f"http://127.0.0.1:{environment['RESULTS_AGGREGATOR_PORT']}",
                    f"{settings.postgres.rpartition('/')[0]}/aggregator",
                ),
            )
            await start_process("koku", "ros_processor", "ros_poller", "sources_api", "ros_api")
            add(
                recommendations.TITLE,
                recommendations.TEXT,
                await recommendations.measure(url, api_url, settings),
            )
    PAGE.write_text(page(sections))
    print(f"\nwritten to {PAGE.relative_to(Path.cwd()) if PAGE.is_relative_to(Path.cwd()) else PAGE}")


if __name__ == "__main__":
    sys.exit(uvloop.run(main()))
