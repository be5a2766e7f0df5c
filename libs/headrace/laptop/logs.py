"""`logs`: the logs of the parts of a local stack, by their own or their container's names."""

import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from headrace.runtime.errors import ConfigurationError
from headrace.service.row import Service

# Below the data directory; every service's lines are in the one.
LOGS: Final = "logs"
SERVICES: Final = "services.log"
_ENGINES: Final = ("kafka", "s3", "postgres")
# By which other names the documents and compose.yaml know a part.
_ALIASES: Final = {
    "minio": "s3",
    "db_ros": "postgres",
    "db_kruize": "postgres",
    "db_sources": "postgres",
    "rosocp_recommendation_poller": "ros_poller",
    "kruize_autotune": "kruize",
}
_POLL_SECONDS: Final = 0.2

Wanted = Callable[[bytes], bool]


@dataclass(frozen=True)
class _Source:
    path: Path
    wanted: Wanted


def show(
    services: Sequence[Service], directory: Path, parts: Sequence[str], *, follow: bool, tail: int | None
) -> None:
    """Print the lines of some parts, or of all; with ``follow`` until Ctrl-C."""
    rows = [row.name for row in services]
    names = [_part(name, rows) for name in parts]
    sources = list(_sources(directory / LOGS, names, rows))
    if not any(source.path.exists() for source in sources):
        raise ConfigurationError(
            f"there is no log in {(directory / LOGS).absolute()}: start the stack with `headrace up`"
        )
    ends = [_print_kept(source, tail) for source in sources]
    while follow:
        sys.stdout.flush()
        time.sleep(_POLL_SECONDS)
        ends = [_print_new(source, end) for source, end in zip(sources, ends, strict=True)]


def _part(name: str, rows: Sequence[str]) -> str:
    plain = re.sub(r"_1$", "", name).replace("-", "_")
    plain = _ALIASES.get(plain, re.sub("^rosocp_", "ros_", plain))
    if plain not in {*rows, *_ENGINES}:
        raise ConfigurationError(f"no part is named {name}; expected one of {', '.join((*_ENGINES, *rows))}")
    return plain


def _sources(logs: Path, names: Sequence[str], rows: Sequence[str]) -> Iterator[_Source]:
    wanted = frozenset(names or (*_ENGINES, *rows))
    for engine in _ENGINES:
        if engine in wanted:
            yield _Source(logs / f"{engine}.log", lambda _: True)
    if named := wanted.intersection(rows):
        yield _Source(logs / SERVICES, (lambda line: _is_of(named, line)) if names else lambda _: True)


def _is_of(services: frozenset[str], line: bytes) -> bool:
    """Return whether a line belongs to one of the parts: to its message handling, its code, or about it."""
    try:
        said = orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    if "service" in said:
        return said["service"] in services
    words = str(said.get("module", "")).split(".")
    return words[0] == "headrace_services" and words[1:2] != [] and words[1] in services


def _print_kept(source: _Source, tail: int | None) -> int:
    """Print the last lines of a file; returns the position up to which it was read."""
    former = source.path.with_suffix(f"{source.path.suffix}.1")
    lines = [line for file in (former, source.path) for line in _lines(file) if source.wanted(line)]
    for line in lines if tail is None else lines[len(lines) - min(tail, len(lines)) :]:
        sys.stdout.buffer.write(line)
    return source.path.stat().st_size if source.path.exists() else 0


def _print_new(source: _Source, end: int) -> int:
    if not source.path.exists():
        return 0
    with source.path.open("rb") as file:
        # One that began anew is shorter.
        file.seek(end if source.path.stat().st_size >= end else 0)
        for line in file:
            if not line.endswith(b"\n"):
                return file.tell() - len(line)
            if source.wanted(line):
                sys.stdout.buffer.write(line)
        return file.tell()


def _lines(file: Path) -> Iterator[bytes]:
    if file.exists():
        with file.open("rb") as opened:
            yield from opened
