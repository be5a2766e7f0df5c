"""Rules on archives in memory, beside insights-core's own way: extract to disk, run, remove."""

import asyncio
import io
import json
import multiprocessing
import resource
import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from tests.bench.report import Figure, of_rounds
from tests.bench.rules_archives import MEDIUM, SMALL, Shape, archive

TITLE = "Rules, one worker"
TEXT = (
    "One process with the project's rules for OpenShift loaded, Insights Operator archives of a small cluster "
    "(123 files, 0.45 MB, 61 kB compressed) and of a medium one (977 files, 21 MB, 2.9 MB). On disk: insights-core's "
    "extraction into the system's temporary directory, all loaded components, its JSON formatter, removal; the two "
    "take turns on the same archives, in memory a few at once as they come to a worker. Python's tarfile, which only "
    "reads the members, tells how fast the machine is: with 5.9 and 81 ms it was where the bars were set. "
    "CPython built without profile-guided optimisation, as pyenv builds it, takes about a tenth longer "
    "than Debian's or the images'."
)
PACKAGES = ("headrace.rule_pack",)
ROUNDS = {"small": 60, "medium": 8}
AT_ONCE = 5
SHAPES: dict[str, Shape] = {"small": SMALL, "medium": MEDIUM}
MANY = 10_000
Times = tuple[float, float]
"""Seconds: elapsed, CPU."""
PER_ARCHIVE_BARS = {"small": "<= 5 ms", "medium": "<= 100 ms"}


async def measure() -> list[Figure]:
    """Times of both ways, their ratio, and memory over many archives; in a process of its own."""
    loop = asyncio.get_running_loop()
    figures: list[Figure] = []
    for part in (_both_ways, _over_many):
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            figures += await loop.run_in_executor(pool, part)
    return figures


def _loaded() -> Any:
    from headrace.rules.evaluation import Rules, RulesConfig

    return Rules.load(RulesConfig(PACKAGES))


def _both_ways() -> list[Figure]:
    rules = _loaded()
    figures: list[Figure] = []
    for name, shape in SHAPES.items():
        upload = archive(shape)
        memory, disk, tarfiles = _in_turns(rules, upload, ROUNDS[name])
        wall, cpu = (
            statistics.median(one[kind] for one in disk) / statistics.median(one[kind] for one in memory)
            for kind in (0, 1)
        )
        bar = PER_ARCHIVE_BARS[name]
        figures += [
            of_rounds(
                f"{name} archive, in memory", [1000 * one[0] for one in memory], "ms", digits=1, bar=bar
            ),
            of_rounds(f"{name} archive, in memory, CPU", [1000 * one[1] for one in memory], "ms", digits=1),
            of_rounds(f"{name} archive, on disk", [1000 * one[0] for one in disk], "ms", digits=1),
            of_rounds(f"{name} archive, on disk, CPU", [1000 * one[1] for one in disk], "ms", digits=1),
            Figure(f"{name} archive, disk to memory", f"{wall:.1f}", f"CPU {cpu:.1f}", ">= 8"),
            of_rounds(f"{name} archive, tarfile", [1000 * one[0] for one in tarfiles], "ms", digits=1),
        ]
    return figures


def _in_turns(rules: Any, upload: bytes, rounds: int) -> tuple[list[Times], list[Times], list[Times]]:
    memory: list[Times] = []
    disk: list[Times] = []
    tarfiles: list[Times] = []
    with tempfile.NamedTemporaryFile(suffix=".tar.gz") as file:
        file.write(upload)
        file.flush()
        path = Path(file.name)
        assert _settled(rules.evaluate(upload).report) == _settled(on_disk(path))
        for _ in range(rounds):
            memory += [_timed(lambda: rules.evaluate(upload)) for _ in range(AT_ONCE)]
            disk.append(_timed(lambda: on_disk(path)))
            tarfiles.append(_timed(lambda: _members(upload)))
    return memory, disk, tarfiles


def _members(upload: bytes) -> list[bytes]:
    with tarfile.open(fileobj=io.BytesIO(upload)) as tar:
        files = (tar.extractfile(member) for member in tar if member.isfile())
        return [file.read() for file in files if file is not None]


def on_disk(path: Path) -> dict[str, Any]:
    """The report as insights-core makes it by itself."""
    from insights.core import dr
    from insights.core.archives import extract
    from insights.core.hydration import initialize_broker
    from insights.formats._json import JsonFormat

    output = io.StringIO()
    with extract(str(path)) as extraction:
        _context, broker = initialize_broker(extraction.tmp_dir)
        with JsonFormat(broker, stream=output):
            dr.run(dict(dr.COMPONENTS[dr.GROUPS.single]), broker=broker)
    report: dict[str, Any] = json.loads(output.getvalue())
    return report


def _over_many() -> list[Figure]:
    rules = _loaded()
    loaded = _rss_mib()
    small, medium = archive(SMALL), archive(MEDIUM)
    rules.evaluate(medium)
    for _ in range(200):
        rules.evaluate(small)
    before = _rss_mib()
    began = time.perf_counter()
    for number in range(MANY):
        rules.evaluate(medium if number % 500 == 0 else small)
    rate = MANY / (time.perf_counter() - began)
    after = _rss_mib()
    return [
        Figure("RSS with the rules loaded", f"{loaded:.0f} MiB"),
        Figure(
            f"RSS, {MANY} archives later, one of 500 medium",
            f"{after:.0f} MiB",
            f"from {before:.0f}",
            "< 100 MiB, flat",
        ),
        Figure("archives a second, of these", f"{rate:.0f} /s"),
    ]


def _timed(work: Callable[[], Any]) -> Times:
    began, used = time.perf_counter(), _cpu_seconds()
    work()
    return time.perf_counter() - began, _cpu_seconds() - used


def _cpu_seconds() -> float:
    """Of this process and those it waited for."""
    usages = (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _rss_mib() -> float:
    return int(Path("/proc/self/status").read_text().partition("VmRSS:")[2].split()[0]) / 1024


def _settled(report: dict[str, Any]) -> dict[str, Any]:
    settled = {key: value for key, value in report.items() if key != "analysis_metadata"}
    for value in settled.values():
        if isinstance(value, list):
            value.sort(key=lambda entry: (entry["component"], entry["key"]))
            for entry in value:
                entry["tags"] = sorted(entry["tags"])
    return settled
