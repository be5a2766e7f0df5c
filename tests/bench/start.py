"""How long the first installation takes, and how long the local stack takes to be ready."""

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from headrace.local.ports import EnginePorts
from headrace.local.stack import Engines
from tests.bench.report import Figure, of_rounds
from tests.calibration import Calibration
from tests.processes import ROOT
from tests.waiting import eventually

TITLE = "Start of the local stack"
TEXT = (
    "Install: what `make run` does before the first start, with an empty home directory, downloads included; "
    "it depends on the network and on the package index. Cold: `headrace up` with an empty data directory "
    "(programs installed before), from the command to everything ready: Kafka, S3, PostgreSQL and every "
    "service. Warm: the same directory again. Engines alone: Kafka, S3 and PostgreSQL without Headrace's "
    "services, on the same directory, in turn with the warm starts; the ratio compares the medians. Where the "
    "seconds are: first the imports of the command, then the engines, of which Kafka's JVM takes longest, and "
    "beside them the imports of the services; last topics, buckets, roles and the services' migrations. "
    "Consumers join their groups after that. Imports are CPU time. Slowness is how many times longer than on a "
    "quiet machine a fixed piece of work took meanwhile, because others used the cores; beyond 1.5 the seconds "
    "say little."
)
ROUNDS = 3
IMPORTS = """
import gc, json, time
gc.disable()
from headrace_services.__main__ import command
command()
import headrace.laptop.stack
from headrace_services.registry import SERVICES
before = time.process_time()
for row in SERVICES:
    row.module("app")
print(json.dumps([before, time.process_time() - before]))
"""
INSTALL_SECONDS = 600.0


async def measure() -> list[Figure]:
    """Install once, start cold once, then warm and the engines alone in turn."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        (place / "home").mkdir()
        installed = await _installed_seconds(place / "home")
        ports = EnginePorts.random()
        cold = await _ready_seconds(place, ports.kafka)
        warm, alone, slowness = [], [], []
        for _ in range(ROUNDS):
            slowness.append(Calibration().wall(1))
            warm.append(await _ready_seconds(place, ports.kafka))
            async with Engines(place / "data", ports) as engines:
                alone.append(engines.ready_after_seconds)
        before, beside = await _import_seconds()
    ratio = statistics.median(warm) / statistics.median(alone)
    return [
        Figure("install, downloads included", f"{installed:.0f} s"),
        Figure("cold", f"{cold:.1f} s"),
        of_rounds("warm", warm, "s", digits=1, bar="aim 5 s"),
        of_rounds("engines alone, warm", alone, "s", digits=1),
        Figure("warm start over engines alone", f"{ratio:.2f}", bar="≤ 1.6"),
        Figure("imports before the engines", f"{before:.1f} s"),
        Figure("imports beside the engines", f"{beside:.1f} s"),
        of_rounds("slowness of the machine", slowness, "", digits=1),
    ]


async def _installed_seconds(home: Path) -> float:
    caches = ("HEADRACE_CACHE", "XDG_CACHE_HOME", "UV_CACHE_DIR", "PIP_CACHE_DIR")
    environment = {name: value for name, value in os.environ.items() if name not in caches}
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "deploy/install.py", str(home / ".venv"), "locks/run.txt", "--kafka",
        cwd=ROOT, env=environment | {"HOME": str(home)}, stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        code = await asyncio.wait_for(process.wait(), INSTALL_SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if code:
        raise RuntimeError(f"deploy/install.py ended with {code}")
    return time.perf_counter() - began


async def _import_seconds() -> tuple[float, float]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", IMPORTS, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    before, beside = json.loads(said)
    return before, beside


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
