"""A chunk as a tar.gz that is built while it is read; one piece at a time is in memory."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Final

from headrace.archives.writer import Entry, write_archive
from headrace.runtime.errors import Retryable
from headrace_services.ols_collector.generations import MARKER
from headrace_services.ols_collector.scanning import is_unchanged, open_unchanged
from headrace_services.ols_collector.snapshot import Chunk, DataFile, Snapshot

_PIECE_BYTES: Final = 1 << 16


class Changed(Retryable):
    """A file was truncated while it was read, so the archive cannot be completed."""


@dataclass
class Archive:
    """One chunk, packed again by each call of `pieces`. ``packed`` are the positions in the last archive."""

    root: Path
    snapshot: Snapshot
    chunk: Chunk
    marker: bool = False
    packed: list[int] = field(default_factory=list)

    def pieces(self) -> Iterator[bytes]:
        """Yield the tar.gz; nothing if every file has changed or is missing. Raises `Changed`.

        Equal files give equal bytes, so that a receiver can recognise a repetition.
        """
        self.packed = []
        entries = self._entries()
        first = next(entries, None)
        if first is None:
            return
        end = [Entry.of(MARKER, b"")] if self.marker else []
        yield from write_archive(chain([first], entries, end), modified=self._modified())

    def request_id(self, sender: str) -> str:
        """Return 32 hexadecimal digits, the same for the same files of the same sender."""
        digest = sha256(sender.encode())
        for file in self._files():
            digest.update(repr(file).encode("utf-8", "surrogateescape"))
        return digest.hexdigest()[:32]

    def remove_packed(self) -> Iterator[tuple[str, bool]]:
        """Delete the packed files that are unchanged; yield each path, and whether it is deleted."""
        for position in self.packed:
            file = self.snapshot[position]
            path = f"{self.root}/{file.name}"
            if not is_unchanged(path, file.stamp):
                continue
            try:
                os.unlink(path)  # noqa: PTH108 -- a hundred thousand times
            except OSError:
                yield path, False
            else:
                yield path, True

    def _files(self) -> Iterator[DataFile]:
        return (self.snapshot[position] for position in range(self.chunk.start, self.chunk.stop))

    def _modified(self) -> datetime:
        newest = max(file.stamp.mtime_ns for file in self._files())
        with suppress(ValueError, OverflowError, OSError):
            return datetime.fromtimestamp(max(0, newest // 10**9), UTC)
        return datetime.fromtimestamp(0, UTC)

    def _entries(self) -> Iterator[Entry]:
        for position in range(self.chunk.start, self.chunk.stop):
            file = self.snapshot[position]
            descriptor = open_unchanged(f"{self.root}/{file.name}", file.stamp)
            if descriptor is None:
                continue
            try:
                self.packed.append(position)
                yield _entry(descriptor, file)
            finally:
                os.close(descriptor)


def _entry(descriptor: int, file: DataFile) -> Entry:
    """Return the entry of a file; a small one is read at once, which is faster, and most are small."""
    content = _content(descriptor, file)
    if file.stamp.size_bytes <= _PIECE_BYTES:
        return Entry.of(file.name, next(content, b""))
    return Entry(file.name, file.stamp.size_bytes, content)


def _content(descriptor: int, file: DataFile) -> Iterator[bytes]:
    left = file.stamp.size_bytes
    while left:
        piece = os.read(descriptor, min(left, _PIECE_BYTES))
        if not piece:
            raise Changed(f"{file.name!r} became shorter while it was read")
        left -= len(piece)
        yield piece
