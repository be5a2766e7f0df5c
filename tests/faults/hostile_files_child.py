"""Works on hostile files in a process of its own, and prints of each, a JSON line, what it came to and what it cost.

The event loop's longest stall counts what the process computed meanwhile: a machine that gave the processor to others
is not what holds a loop up.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from headrace.runtime.errors import Rejected
from headrace_services.koku.manifest import Manifest
from headrace_services.ros_processor.aggregation import aggregate
from tests.faults.hostile_files import CHUNK, FILES, MANIFESTS, honest

NOW = datetime(2026, 8, 1, 12, 0, tzinfo=UTC)
TICK_SECONDS = 0.002


class Loop:
    """Notes how late the event loop is for what should happen every few milliseconds."""

    def __init__(self) -> None:
        self.worst = 0.0

    async def watch(self) -> None:
        while True:
            wall, cpu = time.perf_counter(), time.process_time()
            await asyncio.sleep(TICK_SECONDS)
            late = time.perf_counter() - wall - TICK_SECONDS
            self.worst = max(self.worst, min(late, time.process_time() - cpu))


def kib(name: str) -> int:
    return int(Path("/proc/self/status").read_text().partition(f"{name}:")[2].split()[0])


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def calibrated() -> float:
    """Processor time of something fixed, seconds."""
    before = time.process_time()
    sum(number * number for number in range(1_000_000))
    return time.process_time() - before


async def chunks(pieces: Any) -> AsyncIterator[bytes]:
    for piece in pieces:
        for start in range(0, len(piece), CHUNK):
            yield piece[start : start + CHUNK]
            await asyncio.sleep(0)


async def usage(pieces: Any) -> str:
    async with aggregate(chunks(pieces), now=NOW) as found:
        told = [workload async for workload in found.workloads()]
    return f"taken: {found.rows} rows, {len(told)} parts of workloads"


async def manifest(content: bytes) -> str:
    return f"taken: {len(Manifest.parse(content).files)} files"


async def outcome(work: Callable[[], Awaitable[str]]) -> str:
    try:
        return await work()
    except Rejected as rejected:
        return f"refused: {rejected}"
    except Exception as error:  # noqa: BLE001 -- what the test is about
        return f"failed: {error!r}"


async def main() -> None:
    loop = Loop()
    watching = asyncio.create_task(loop.watch())
    await usage(honest())
    base_kib = kib("VmRSS")
    for name in sys.argv[1:] or [*FILES, *MANIFESTS]:
        if name in FILES:
            pieces = FILES[name]()
            work = lambda pieces=pieces: usage(pieces)  # noqa: E731
        else:
            content = MANIFESTS[name]()
            base_kib = max(base_kib, kib("VmRSS"))
            work = lambda content=content: manifest(content)  # noqa: E731
        forget_peak()
        await asyncio.sleep(0.01)
        loop.worst, before = 0.0, time.process_time()
        reason = await outcome(work)
        await asyncio.sleep(0.01)
        line = {
            "name": name,
            "reason": reason,
            "cpu_seconds": time.process_time() - before,
            "stall_seconds": loop.worst,
            "calibration_seconds": calibrated(),
            "extra_mib": (kib("VmHWM") - base_kib) / 1024,
        }
        print(json.dumps(line), flush=True)
    watching.cancel()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
