"""`make bench`: measures, prints, and writes docs/benchmarks.md. Everything stays on loopback and ends by itself."""

import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import psutil
import uvloop

from headrace.local.ports import EnginePorts
from headrace.local.stack import Engines
from headrace.objects.endpoint import S3Endpoint
from headrace.runtime.settings import EngineSettings
from headrace.service.initialise import initialise
from services.registry import SERVICES
from tests.bench import flow, ingress, runtime, start
from tests.bench.report import PAGE, Figure, page
from tests.processes import ServiceProcess


async def main() -> None:
    """Each part in turn, so that none disturbs another."""
    sections = []

    def add(title: str, text: str, figures: list[Figure]) -> None:
        sections.append((title, text, figures))
        print(f"\n{title}")
        for row in figures:
            print(f"  {row.name:40} {row.value:>14}  {row.spread:20} {row.bar}", flush=True)

    add(start.TITLE, start.TEXT, await start.measure())
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
            base = ports.kafka + 10
            environment |= {"INGRESS_WEBPORT": str(base), "PAYLOAD_TRACKER_PORT": str(base + 1)}
            environment |= {"ARCHIVER_PORT": str(base + 2), "HEADRACE_LOG_LEVEL": "INFO"}
            url = f"http://127.0.0.1:{base}"
            front = ServiceProcess(("ingress",), environment, base + 20, directory / "ingress.log")
            back = ServiceProcess(
                ("payload_tracker", "archiver"), environment, base + 21, directory / "back.log"
            )
            closing.push_async_callback(front.stop)
            await front.start()
            process = psutil.Process(front.pid)
            add(ingress.TITLE, ingress.TEXT, await ingress.measure(url, S3Endpoint.of(settings), process))
            closing.push_async_callback(back.stop)
            await back.start(ready_within_seconds=120)
            await runtime.drained(settings, "archiver", within_seconds=600)
            add(flow.TITLE, flow.TEXT, await flow.measure(url, settings.kafka))
    PAGE.write_text(page(sections))
    print(f"\nwritten to {PAGE.relative_to(Path.cwd()) if PAGE.is_relative_to(Path.cwd()) else PAGE}")


if __name__ == "__main__":
    sys.exit(uvloop.run(main()))
