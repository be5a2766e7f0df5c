"""Figures, as they are printed and as they stand in docs/benchmarks.md."""

import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

PAGE = Path(__file__).parent.parent.parent / "docs" / "benchmarks.md"


@dataclass(frozen=True)
class Figure:
    """One measured value; `spread` is its lowest and highest over the rounds."""

    name: str
    value: str
    spread: str = ""
    bar: str = ""


def of_rounds(name: str, values: Sequence[float], unit: str, *, digits: int = 0, bar: str = "") -> Figure:
    """The median of several rounds, with their range."""
    shown = [f"{value:.{digits}f}" for value in (statistics.median(values), min(values), max(values))]
    return Figure(name, f"{shown[0]} {unit}".strip(), f"{shown[1]} … {shown[2]}", bar)


def machine() -> str:
    """What this was measured on."""
    model = next(
        (line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")),
        platform.processor(),
    )
    memory = psutil.virtual_memory().total / 2**30
    return f"{os.cpu_count()} cores ({model}), {memory:.0f} GiB, {platform.system()} {platform.release()}"


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text().splitlines() if path.exists() else []


def section(title: str, text: str, figures: Sequence[Figure], *, s3: str = "") -> str:
    """One part of the page; ``s3`` names the server of a part that stores objects."""
    measured = f"Measured on {datetime.now(UTC):%Y-%m-%d}{f' on {s3}' if s3 else ''}."
    lines = [f"## {title}", "", text, "", measured, ""]
    lines += ["| figure | median | range | aim |", "|---|---|---|---|"]
    lines += [f"| {row.name} | {row.value} | {row.spread} | {row.bar} |" for row in figures]
    return "\n".join(lines) + "\n"


def page(titles: Sequence[str], measured: Mapping[str, str], before: str) -> str:
    """The whole page: what was measured now, and what stood there ``before`` of the other titles."""
    kept = {text.partition("\n")[0]: f"## {text.rstrip()}\n" for text in before.split("\n## ")[1:]}
    lines = [
        "# Benchmarks",
        "",
        'Written by `make bench`, a part of it by `make bench PARTS="rules segment"`.',
        "Everything runs on the same machine, servers, services and senders; ratios say more than figures.",
        "S3 is SeaweedFS, or MinIO with `S3=minio make bench`; a section that stores objects names its server.",
        "",
        f"Machine: {machine()}, Python {platform.python_version()}.",
        "",
    ]
    sections = {**kept, **measured}
    return "\n".join(lines) + "\n" + "\n".join(sections[title] for title in titles if title in sections)
