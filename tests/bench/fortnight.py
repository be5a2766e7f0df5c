"""Fifteen days of thousands of experiments, uploaded as archives; until each has its last recommendation.

    python -m tests.bench.fortnight [--experiments 5000] [--days 15]

Not part of `make bench`: it takes minutes. Writes docs/benchmarks-fortnight.md.
"""

import argparse
import asyncio
import itertools
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import asyncpg
import psutil
import uvloop

from headrace.contracts.identity import Identity, Internal, System, encode_identity
from headrace.local.ports import EnginePorts
from headrace.local.shape import settings_of_ports
from headrace.local.stack import Engines
from headrace.runtime.settings import EngineSettings
from headrace.samples import KINDS, SampleOptions
from headrace.samples.files import file_entry, json_entry, write_archive_file
from headrace.service.initialise import initialise
from headrace_services.registry import SERVICES
from tests.bench.report import PAGE, Figure, machine
from tests.bench.ros_csv import write_file
from tests.processes import ServiceProcess
from tests.waiting import eventually

CLUSTERS = 5
ORG_ID = "1"
GROUPS = (
    ("ingress",),
    ("payload_tracker", "archiver"),
    ("kruize",),
    ("koku", "sources_api", "ros_api"),
    ("ros_processor", "ros_poller"),
)


async def main(experiments: int, days: int) -> None:
    """Start, send, wait, say."""
    async with running() as (settings, url, processes):
        peaks: dict[str, int] = {}
        watch = asyncio.create_task(_watch(processes, peaks))
        began = time.monotonic()
        sent_bytes = await send_all(url, experiments, days)
        sent = time.monotonic() - began
        await _all_recommended(settings, experiments, days)
        whole = time.monotonic() - began
        watch.cancel()
        sizes = {name: await _size(settings, name) for name in ("kruize", "postgres")}
        experiment_days = experiments * days
        figures = [
            Figure("experiments, days, intervals", f"{experiments}, {days}, {experiment_days * 96}"),
            Figure("uploads, compressed", f"{CLUSTERS * days}, {sent_bytes / 1e6:.0f} MB"),
            Figure("until the last 202", f"{sent:.0f} s"),
            Figure(
                "until the last recommendation", f"{whole / 60:.1f} min", bar="upstream: 277 min on 8 CPUs"
            ),
            Figure("intervals a second", f"{experiment_days * 96 / whole:.0f}"),
            Figure(
                "Kruize's database, an experiment-day", f"{sizes['kruize'] / experiment_days / 1000:.0f} KB"
            ),
            Figure("ROS database, an experiment-day", f"{sizes['postgres'] / experiment_days / 1000:.0f} KB"),
            *(Figure(f"peak RSS, {names}", f"{peak >> 20} MiB") for names, peak in peaks.items()),
        ]
    lines = [
        "# A fortnight of usage",
        "",
        "Written by `python -m tests.bench.fortnight`: archives of a day and a fifth of the experiments each, sent to",
        "ingress; services, engines and sender on the same machine.",
        "",
        f"- machine: {machine()}",
        f"- {datetime.now(UTC):%Y-%m-%d}",
        "",
        "| figure | value | beside |",
        "|---|---|---|",
        *(f"| {figure.name} | {figure.value} | {figure.bar} |" for figure in figures),
    ]
    PAGE.with_name("benchmarks-fortnight.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


@asynccontextmanager
async def running() -> AsyncIterator[tuple[EngineSettings, str, list[ServiceProcess]]]:
    """The whole stack, each group of services a process."""
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
            environment |= settings_of_ports(SERVICES, ports.kafka) | {"KOKU_REGISTER_SOURCES": "true"}
            admin_ports = itertools.count(ports.kafka + 50)
            processes = []
            for names in GROUPS:
                process = ServiceProcess(names, environment, next(admin_ports), directory / f"{names[0]}.log")
                closing.push_async_callback(process.stop, within_seconds=60)
                await process.start(ready_within_seconds=120)
                processes.append(process)
            yield settings, f"http://127.0.0.1:{environment['INGRESS_WEBPORT']}", processes


async def send_all(url: str, experiments: int, days: int) -> int:
    """Day after day, cluster after cluster; returns the bytes sent."""
    total = 0
    timeout = aiohttp.ClientTimeout(total=300)
    with tempfile.TemporaryDirectory() as name:
        async with aiohttp.ClientSession(timeout=timeout) as session:
            for day, cluster in itertools.product(range(days), range(CLUSTERS)):
                path = await asyncio.to_thread(_archive, Path(name), cluster, day, experiments // CLUSTERS)
                total += path.stat().st_size
                await _upload(session, url, path, _cluster_id(cluster))
    return total


def _cluster_id(number: int) -> str:
    return SampleOptions(seed=77_000 + number).cluster()


def _archive(directory: Path, cluster: int, day: int, workloads: int) -> Path:
    name = f"ros-openshift-container-202611.{day}.csv"
    write_file(directory / name, workloads=workloads, pods=1, day=day)
    manifest = {
        "uuid": _cluster_id(cluster),
        "cluster_id": _cluster_id(cluster),
        "version": "4.1.0",
        "date": "2026-11-17T00:00:00Z",
        "files": [],
        "resource_optimization_files": [name],
    }
    entries = [json_entry("manifest.json", manifest), file_entry(name, directory / name)]
    return write_archive_file(directory / "cost-mgmt.tar.gz", entries, SampleOptions().now)


async def _upload(session: aiohttp.ClientSession, url: str, path: Path, cluster_id: str) -> None:
    identity = Identity(
        account_number=ORG_ID,
        org_id=ORG_ID,
        type="System",
        internal=Internal(org_id=ORG_ID),
        system=System(cluster_id=cluster_id),
    )
    form = aiohttp.FormData()
    content = await asyncio.to_thread(path.read_bytes)
    form.add_field("file", content, filename=path.name, content_type=KINDS["cost"].content_type)
    headers = {"x-rh-identity": encode_identity(identity)}
    async with session.post(f"{url}/api/ingress/v1/upload", data=form, headers=headers) as response:
        if response.status != 202:
            raise RuntimeError(f"{response.status}: {await response.text()}")


async def _all_recommended(settings: EngineSettings, experiments: int, days: int) -> None:
    end = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(days=days)
    wanted = experiments // CLUSTERS * CLUSTERS
    database = await asyncpg.connect(settings.postgres.rpartition("/")[0] + "/postgres")
    told = 0.0

    async def every() -> bool:
        nonlocal told
        count = await database.fetchval(
            "SELECT count(*) FROM recommendation_sets WHERE monitoring_end_time = $1", end
        )
        if time.monotonic() - told > 30:
            told = time.monotonic()
            newest = await database.fetchval("SELECT max(monitoring_end_time) FROM recommendation_sets")
            print(f"{count} of {wanted} up to {end:%Y-%m-%d}; newest {newest}", flush=True)
        return bool(count == wanted)

    try:
        await eventually(every, within_seconds=3 * 3600, every_seconds=2, describe="every recommendation")
    finally:
        await database.close()


async def _size(settings: EngineSettings, name: str) -> int:
    database = await asyncpg.connect(settings.postgres.rpartition("/")[0] + "/postgres")
    try:
        return int(await database.fetchval("SELECT pg_database_size($1::name)", name))
    finally:
        await database.close()


async def _watch(processes: list[ServiceProcess], peaks: dict[str, int]) -> None:
    while True:
        for process in processes:
            names = ", ".join(process.names)
            rss = psutil.Process(process.pid).memory_info().rss
            peaks[names] = max(rss, peaks.get(names, 0))
        await asyncio.sleep(1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--experiments", type=int, default=5000)
    parser.add_argument("--days", type=int, default=15)
    given = parser.parse_args()
    sys.exit(uvloop.run(main(given.experiments, given.days)))
