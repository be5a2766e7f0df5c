"""The collector as its command runs it, a process of its own, against a server that accepts and counts."""

import asyncio
import os
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from aiohttp import web

from tests.bench.memory import peak_mib
from tests.bench.report import Figure
from tests.processes import ROOT
from tests.serving import serving

TITLE = "OLS collector"
TEXT = (
    "`headrace collector run --once` in a process of its own, against an HTTP server that reads the body and answers "
    "202; from the command to its end, start of Python included. Small: 100,000 files of about 1 kB, the most that one "
    "archive takes; large: a chunk of exactly 100 MiB in 100 files. RSS is the highest of the process, the files' "
    "deletion included."
)
SMALL = 100_000
LARGE_BYTES = 1 << 20


@dataclass
class Accepting:
    """What has come in."""

    url: str
    archives: int = 0
    size_bytes: int = 0


async def measure() -> list[Figure]:
    """Both shapes once."""
    figures = []
    for name, fill in (("100,000 small files", _small), ("100 MiB in 100 files", _large)):
        with tempfile.TemporaryDirectory() as directory:
            root = Path(directory)
            count = await asyncio.to_thread(fill, root)
            async with _accepting() as server:
                began = time.perf_counter()
                rss, cpu = await _collect(root, server.url)
                seconds = time.perf_counter() - began
            left = await asyncio.to_thread(_count, root)
            if left or not server.archives:
                raise RuntimeError(f"{left} of {count} files were left behind")
            mib = server.size_bytes / 2**20
            figures += [
                Figure(name, f"{seconds:.1f} s", bar="< 60 s"),
                Figure("… CPU", f"{cpu:.1f} s"),
                Figure("… archives", f"{server.archives} of {mib:.1f} MiB"),
                Figure("… RSS", f"{rss / 2**20:.0f} MiB", bar="< 60 MB"),
            ]
    return figures


def _count(root: Path) -> int:
    return sum(1 for _ in root.rglob("*.json"))


def _small(root: Path) -> int:
    """A third feedback, the rest transcripts of a thousand conversations."""
    text = "How do I find out why a pod does not start? " * 20
    (root / "feedback").mkdir()
    for number in range(SMALL // 3):
        _write(root / "feedback", f'{{"user_question":"{text}","number":{number}}}')
    for number in range(SMALL // 3, SMALL):
        if number % 100 == 0 or number == SMALL // 3:
            directory = root / "transcripts" / f"user-{number % 7}" / str(uuid.uuid4())
            directory.mkdir(parents=True)
        _write(directory, f'{{"redacted_query":"{text}","number":{number}}}')
    return SMALL


def _large(root: Path) -> int:
    directory = root / "transcripts" / "user" / "conversation"
    directory.mkdir(parents=True)
    # Random text: what compresses to nothing would not be much of an upload.
    for _ in range(100):
        text = os.urandom((LARGE_BYTES - 14) // 2).hex()
        _write(directory, f'{{"content":"{text}"}}')
    return 100


def _write(directory: Path, text: str) -> None:
    (directory / f"{uuid.uuid4()}.json").write_text(text)


@asynccontextmanager
async def _accepting() -> AsyncIterator[Accepting]:
    found = Accepting("")

    async def upload(request: web.Request) -> web.Response:
        async for piece in request.content.iter_any():
            found.size_bytes += len(piece)
        found.archives += 1
        return web.json_response({"request_id": uuid.uuid4().hex}, status=202)

    app = web.Application()
    app.router.add_post("/upload", upload)
    async with serving(app) as url:
        found.url = f"{url}/upload"
        yield found


async def _collect(root: Path, url: str) -> tuple[int, float]:
    """Highest RSS in bytes and CPU seconds of one run."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "headrace_services", "collector", "run", "--once",
        cwd=ROOT,
        env=os.environ | {
            "OLS_USER_DATA_PATH": str(root), "INGRESS_URL": url, "INGRESS_SERVER_AUTH_TOKEN": "bench",
            "LOG_LEVEL": "warning",
        },
    )  # fmt: skip
    watching = asyncio.create_task(_watch(process.pid))
    if await process.wait():
        raise RuntimeError("the collector left data behind")
    return await watching


async def _watch(pid: int) -> tuple[int, float]:
    rss, cpu = 0, 0.0
    while True:
        try:
            process = psutil.Process(pid)
            # Before that it is the command, which gives its place to the collector.
            if "headrace_services.ols_collector.process" in process.cmdline():
                rss = max(rss, int(peak_mib(pid) * 2**20))
            cpu = sum(process.cpu_times()[:2])
        except (psutil.Error, OSError, ValueError):
            return rss, cpu
        if process.status() == psutil.STATUS_ZOMBIE:
            return rss, cpu
        await asyncio.sleep(0.02)
