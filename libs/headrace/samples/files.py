"""Writing of samples as streams."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from headrace.archives import Entry, write_archive

_CHUNK_BYTES = 256 * 1024


def write_archive_file(path: Path, entries: Iterable[Entry], modified: datetime) -> Path:
    """Write the archive, replacing an existing file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as opened:
        opened.writelines(write_archive(entries, modified=modified))
    return path


def json_entry(name: str, value: Any, *, indent: int | None = None) -> Entry:
    """Return a member with ``value`` as JSON, compact unless indented."""
    separators = (",", ":") if indent is None else None
    return Entry.of(name, json.dumps(value, indent=indent, separators=separators).encode())


def file_entry(name: str, path: Path) -> Entry:
    """Return a member with the content of a file, which is read when the member is written."""
    return Entry(name, path.stat().st_size, _chunks_of(path))


def _chunks_of(path: Path) -> Iterator[bytes]:
    with path.open("rb") as opened:
        while chunk := opened.read(_CHUNK_BYTES):
            yield chunk
