"""How long the local stack takes to be ready."""

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

from headrace.local.ports import EnginePorts
from tests.bench.report import Figure
from tests.processes import ROOT
from tests.waiting import eventually

TITLE = "Start of the local stack"
TEXT = (
    "`headrace up`, from the command to everything ready: Kafka, S3, PostgreSQL and every service. Cold: an empty data "
    "directory (programs installed before); warm: the same directory again."
)


async def measure() -> list[Figure]:
    """Cold once, warm three times."""
    with tempfile.TemporaryDirectory() as name:
        base = EnginePorts.random().kafka
        cold = await _ready_seconds(Path(name), base)
        warm = [await _ready_seconds(Path(name), base) for _ in range(3)]
    return [
        Figure("cold", f"{cold:.1f} s"),
        Figure("warm", f"{sorted(warm)[1]:.1f} s", f"{min(warm):.1f} … {max(warm):.1f}", "≤ 15 s (aim 5 s)"),
    ]


async def _ready_seconds(directory: Path, base: int) -> float:
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "headrace_services", "up",
        "--port-base", str(base), "--directory", str(directory / "data"),
        cwd=ROOT, stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        await eventually(
            lambda: _is_ready(directory / "data" / "run.json"), within_seconds=120, describe="ready"
        )
        return time.perf_counter() - began
    finally:
        process.terminate()
        await process.wait()


def _is_ready(run_file: Path) -> bool:
    try:
        run = json.loads(run_file.read_text())
    except (FileNotFoundError, ValueError):
        return False
    return bool(run.get("ready") and run.get("services"))
