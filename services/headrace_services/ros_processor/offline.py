"""The aggregation of one file without engines, like upstream's ``rosocp aggregator FILE -o DIR``."""

import asyncio
import csv
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TextIO

from headrace.runtime.cells import cell
from headrace_services.ros_processor.aggregation import Aggregate, Contents, aggregate
from headrace_services.ros_processor.decimals import decimals
from headrace_services.ros_processor.groups import parted

OUTPUT_NAME: Final = "output.csv"

_CHUNK_BYTES: Final = 1 << 20
_BATCH_GROUPS: Final = 10_000
_CONTAINER_KEY: Final = (
    "namespace", "k8s_object_type", "k8s_object_name", "container_name", "image_name", "workload",
)  # fmt: skip


async def aggregate_file(source: Path, directory: Path) -> tuple[Path, Aggregate]:
    """Write ``output.csv`` into ``directory``, one row for each group; raises `CsvRejected`.

    Missing numbers are empty. Rows are sorted by workload, interval and container.
    """
    output = directory / OUTPUT_NAME
    async with aggregate(_chunks(source), now=datetime.now(UTC)) as found:
        await asyncio.to_thread(_write, found.contents, output)
    return output, found


async def _chunks(source: Path) -> AsyncIterator[bytes]:
    with source.open("rb") as opened:
        while chunk := await asyncio.to_thread(opened.read, _CHUNK_BYTES):
            yield chunk


def _write(contents: Contents, output: Path) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    unfinished = output.with_suffix(".csv.part")
    try:
        with unfinished.open("w", encoding="utf-8", newline="") as opened:
            _write_groups(contents, opened)
        unfinished.replace(output)
    finally:
        unfinished.unlink(missing_ok=True)


def _write_groups(contents: Contents, opened: TextIO) -> None:
    kind = contents.kind
    writer = csv.writer(opened, lineterminator="\n")
    key = _CONTAINER_KEY if kind.kind == "container" else _CONTAINER_KEY[:1]
    numbers = (f"{name}_{how.upper()}" for name, how in zip(kind.numbers, kind.reductions, strict=True))
    writer.writerow((*key, "interval_start", "interval_end", *numbers))
    for row in _rows(contents):
        writer.writerow(row)


def _rows(contents: Contents) -> Iterator[tuple[str | None, ...]]:
    columns_of_key = len(_CONTAINER_KEY) if contents.kind.kind == "container" else 1
    names = [tuple(map(cell, identity[:columns_of_key])) for identity in contents.identities]
    intervals = [(_time(at.start), _time(at.end)) for at in contents.intervals]
    for partition in contents.partitions:
        for start in range(0, len(partition), _BATCH_GROUPS):
            groups = partition.part(start, start + _BATCH_GROUPS)
            identities, numbers = (found.tolist() for found in parted(groups.keys))
            texts = zip(*map(decimals, groups.columns), strict=True)
            for identity, number, values in zip(identities, numbers, texts, strict=True):
                yield *names[identity], *intervals[number], *values


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} +0000 UTC"
