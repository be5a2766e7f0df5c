"""Ingress beside direct PUTs of the same bytes into the same store, in turns."""

import asyncio
import os

import psutil

from headrace.objects.endpoint import S3Endpoint
from tests.bench import s3_clients
from tests.bench.load import direct_puts, uploads
from tests.bench.report import Figure, of_rounds

TITLE = "Ingress"
TEXT = (
    "Uploads a second with 16 in flight, from another process, against PUTs of the same bytes by the tuned "
    "aiobotocore client into the same server, in turns; an upload is answered after S3 has confirmed the bytes and "
    "Kafka has acknowledged the announcement, its copy and the status. CPU is the ingress process' own. The last rows "
    "are PUTs alone, from the bench's process, each confirmed to hold the bytes that were sent; obstore's are there "
    "where it is installed."
)
BUCKET = "insights-upload-perma"
# Bytes, calls a round, and the least ratio we are content with.
SIZES = [
    ("1 KB", 1_000, 1500, ""),
    ("100 KB", 100_000, 1200, "≥ 0.85"),
    ("1 MB", 1_000_000, 300, "≥ 0.8"),
    ("10 MB", 10_000_000, 96, "≥ 0.8"),
]
ROUNDS = 5
GROWTH_UPLOADS = 2000


async def measure(ingress_url: str, endpoint: S3Endpoint, process: psutil.Process) -> list[Figure]:
    """Rates, ratios, CPU and memory."""
    figures = []
    await uploads(ingress_url, os.urandom(1000), 300)
    for name, size, count, bar in SIZES:
        payload = os.urandom(size)
        direct, through, ratios, cpu = [], [], [], []
        # Not counted: memory grows and connections open.
        await direct_puts(endpoint, BUCKET, payload, count // 4)
        await uploads(ingress_url, payload, count // 4)
        for _ in range(ROUNDS):
            direct.append((await direct_puts(endpoint, BUCKET, payload, count)).per_second)
            before = _cpu_seconds(process)
            through.append((await uploads(ingress_url, payload, count)).per_second)
            cpu.append((_cpu_seconds(process) - before) / count * 1000)
            ratios.append(through[-1] / direct[-1])
        figures += [
            of_rounds(f"{name}: direct PUTs", direct, "/s"),
            of_rounds(f"{name}: uploads", through, "/s"),
            of_rounds(f"{name}: uploads / direct PUTs", ratios, "", digits=2, bar=bar),
            of_rounds(f"{name}: CPU an upload", cpu, "ms", digits=2),
        ]
    figures += await _memory(ingress_url, process)
    return figures + await s3_clients.measure(endpoint, BUCKET)


async def _memory(ingress_url: str, process: psutil.Process) -> list[Figure]:
    payload, small = os.urandom(10_000_000), os.urandom(100_000)
    peak = process.memory_info().rss
    done = asyncio.Event()

    async def watch() -> None:
        nonlocal peak
        while not done.is_set():
            peak = max(peak, process.memory_info().rss)
            await asyncio.sleep(0.02)

    watching = asyncio.create_task(watch())
    await uploads(ingress_url, payload, 64)
    done.set()
    await watching
    before = process.memory_info().rss
    await uploads(ingress_url, small, GROWTH_UPLOADS)
    grown = process.memory_info().rss - before
    return [
        Figure("peak RSS with 16 x 10 MB in flight", f"{peak / 2**20:.0f} MiB", bar="< 150 MB"),
        Figure(f"RSS growth over {GROWTH_UPLOADS} uploads", f"{grown / 2**20:+.1f} MiB", bar="none"),
    ]


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
