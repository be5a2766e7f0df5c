"""Usage CSVs: parse, validate and aggregate on one core, beside polars alone and beside the csv module.

Each round is a process of its own, bound to one core, so that its memory is its own too.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from headrace.samples.cost_columns import ROS_CONTAINER
from tests.bench.memory import peak_mib
from tests.bench.report import Figure, of_rounds

TITLE = "Usage CSVs"
TEXT = (
    "Files of 1 million rows, 37 columns, 96 intervals, about 500 bytes a row, on one core. Pods of a workload share "
    "groups: three of each, and one of each, where the groups no longer fit in memory and the rows wait on disk. "
    "Workloads: the Python objects ready to be sent. Polars alone: the same batches read and grouped, nothing checked. "
    "Plain: the csv module and a loop, on the first rows."
)
ROUNDS = 3
INTERVALS = 96
PLAIN_ROWS = 30_000
NOW = datetime(2026, 11, 20, tzinfo=UTC)
_FIRST_DAY = datetime(2026, 11, 1, tzinfo=UTC)
_CHUNK_BYTES = 1 << 18


async def measure() -> list[Figure]:
    """The rates, and what memory they took."""
    with tempfile.TemporaryDirectory() as name:
        few_groups, many_groups = Path(name) / "few.csv", Path(name) / "many.csv"
        rows = write_file(few_groups, workloads=3472, pods=3)
        write_file(many_groups, workloads=10_416, pods=1)
        rounds = [
            {
                "ours": await _child("aggregate", few_groups),
                "polars": await _child("polars", few_groups),
                "ours, spilled": await _child("aggregate", many_groups),
                "plain": await _child("plain", few_groups),
                "workloads": await _child("workloads", few_groups),
            }
            for _ in range(ROUNDS)
        ]
        five_days = await _child("workloads", few_groups, 5)
    ratios = [one["polars"]["rate"] / one["ours"]["rate"] for one in rounds]

    def rates(what: str) -> list[float]:
        return [one[what]["rate"] for one in rounds]

    def peak(*whats: str) -> str:
        return f"{max(one[what]['peak_mib'] for one in rounds for what in whats):.0f} MiB"

    return [
        of_rounds("parse, validate, aggregate", rates("ours"), "rows/s", bar=">= 300000"),
        of_rounds("the same, through the disk", rates("ours, spilled"), "rows/s"),
        of_rounds("polars alone", rates("polars"), "rows/s"),
        of_rounds("time beside polars alone", ratios, "times", digits=2, bar="<= 2"),
        of_rounds("plain", rates("plain"), "rows/s"),
        of_rounds("groups made workloads", rates("workloads"), "groups/s"),
        Figure(f"memory, {rows} rows", peak("ours", "ours, spilled", "workloads"), bar="< 400"),
        Figure(f"memory, {5 * rows} rows", f"{five_days['peak_mib']:.0f} MiB", bar="< 400"),
    ]


def write_file(path: Path, *, workloads: int, pods: int, day: int = 0) -> int:
    """A day of so many workloads, interval by interval; gives the number of rows."""
    first_day = _FIRST_DAY + timedelta(days=day)
    containers = [
        f"app-{w},app-{w}-6d4cf56db6-{pod:05d},app-{w}-6d4cf56db6,ReplicaSet,app-{w},deployment,project-{w % 50},"
        f"quay.io/organisation/app-{w}:1.2.3,ip-10-0-{w % 200}-1.ec2.internal,i-0{w % 200:016x}"
        for w in range(workloads)
        for pod in range(pods)
    ]
    values = [_values(n * 0.6180339887 % 1) for n in range(4099)]
    count = 0
    with path.open("w", encoding="ascii") as opened:
        opened.write(",".join(ROS_CONTAINER) + "\n")
        for number in range(INTERVALS):
            times = _times(first_day + number * timedelta(minutes=15))
            lines = (f"{times},{who},{values[(count + n) % 4099]}\n" for n, who in enumerate(containers))
            opened.writelines(lines)
            count += len(containers)
    return count


def _times(start: datetime) -> str:
    moments = (
        _FIRST_DAY,
        datetime(2026, 12, 1, tzinfo=UTC),
        start + timedelta(seconds=1),
        start + timedelta(minutes=15),
    )
    return ",".join(f"{moment:%Y-%m-%d %H:%M:%S} +0000 UTC" for moment in moments)


def _values(noise: float) -> str:
    cores, octets = 0.3 * (1 + noise), 493311537.548387 * (1 + noise)
    return (
        f"1,1,1,1,{cores:.6f},{cores * 0.6:.6f},{cores * 1.5:.6f},{cores:.6f},{noise:.6f},{noise * 2:.6f},{noise:.6f},"
        f"1073741824,1073741824,1073741824,1073741824,{octets:.6f},{int(octets * 0.99)},{int(octets * 1.02)},"
        f"{octets:.6f},{octets * 0.9:.6f},{int(octets * 0.89)},{int(octets * 0.92)},{octets * 0.9:.6f}"
    )


async def _child(what: str, path: Path, days: int = 1) -> dict[str, float]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.ros_csv", what, str(path), str(days),
        env=os.environ | {"POLARS_MAX_THREADS": "1"}, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{what} ended with {process.returncode}")
    return json.loads(output)


async def _chunks(path: Path, days: int) -> AsyncIterator[bytes]:
    """The file, then again with the dates of the days after."""
    for day in range(days):
        with path.open("rb") as opened:
            if day:
                opened.readline()
            while text := opened.read(_CHUNK_BYTES):
                if day:
                    text = (text + opened.readline()).replace(b"-11-01 ", b"-11-%02d " % (day + 1))
                yield text


async def _aggregate(path: Path, days: int, *, with_workloads: bool) -> tuple[int, float]:
    from headrace_services.ros_processor.aggregation import aggregate

    began = time.perf_counter()
    async with aggregate(_chunks(path, days), now=NOW) as found:
        if not with_workloads:
            return found.rows, time.perf_counter() - began
        began, groups = time.perf_counter(), 0
        async for workload in found.workloads():
            groups += sum(len(record.containers) for record in workload.records)
        return groups, time.perf_counter() - began


def _polars(path: Path) -> tuple[int, float]:
    """Read and group by strings, the least that any columnar way does."""
    import polars as pl

    from headrace_services.ros_processor.columns import CONTAINER, INTERVAL

    numbers = dict(zip(CONTAINER.numbers, CONTAINER.reductions, strict=True))
    schema = {name: pl.Float64 if name in numbers else pl.String for name in ROS_CONTAINER}
    read = [n for n, name in enumerate(ROS_CONTAINER) if name in CONTAINER.read]
    began = time.perf_counter()
    frames = [
        pl.read_csv(batch, has_header=False, schema=schema, columns=read, ignore_errors=True)
        for batch in _batches(path)
    ]
    frame = pl.concat(frames)
    key = [*INTERVAL, "namespace", "workload_type", "workload", "container_name", "image_name"]
    frame.group_by(key).agg(getattr(pl.col(name), how)() for name, how in numbers.items())
    return frame.height, time.perf_counter() - began


def _batches(path: Path) -> Iterator[bytes]:
    with path.open("rb") as opened:
        opened.readline()
        while batch := opened.read(4 << 20):
            yield batch + opened.readline()


def _plain(path: Path) -> tuple[int, float]:
    from tests.unit.ros_processor.plain import plain

    with path.open("rb") as opened:
        content = b"".join(opened.readline() for _ in range(PLAIN_ROWS + 1))
    began = time.perf_counter()
    return plain(content, NOW).rows, time.perf_counter() - began


def _main(what: str, path: Path, days: int) -> None:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    ways: dict[str, Callable[[], tuple[int, float]]] = {
        "aggregate": lambda: asyncio.run(_aggregate(path, days, with_workloads=False)),
        "workloads": lambda: asyncio.run(_aggregate(path, days, with_workloads=True)),
        "polars": lambda: _polars(path),
        "plain": lambda: _plain(path),
    }
    count, seconds = ways[what]()
    print(json.dumps({"rate": count / seconds, "peak_mib": peak_mib()}))


if __name__ == "__main__":
    _main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
