"""Decompression of plain, bzip2 and xz tars, with the same limits as gzip in headrace.archives."""

import bz2
import lzma
from collections.abc import Callable, Iterator
from typing import Protocol

from headrace.archives import ArchiveLimits, ArchiveRejected
from headrace.archives.inflate import STEP_BYTES, Inflater
from headrace.archives.limits import KIB, MIB

# xz -6 needs 9 MiB; xz -9 needs 65 MiB, more than a decompression bomb may cost.
_XZ_MEMORY_BYTES = 40 * MIB
_SLICE_BYTES = 32 * KIB
_BZIP2_MAGIC = b"BZh"
_XZ_MAGIC = b"\xfd7zXZ\0"


class Stream(Protocol):
    """Takes compressed bytes and yields pieces of bounded size."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the decompressed ``data``."""

    def finish(self) -> None:
        """Check, after the last data, that the stream is complete."""


_Decompressor = bz2.BZ2Decompressor | lzma.LZMADecompressor


def stream_for(archive: bytes, limits: ArchiveLimits) -> Stream:
    """Return the decompression for an archive with these first bytes; gzip's reader gets and refuses unknown ones."""
    if archive.startswith(_BZIP2_MAGIC):
        return Decompression(bz2.BZ2Decompressor, "bzip2", limits)
    if archive.startswith(_XZ_MAGIC):
        return Decompression(_xz, "xz", limits)
    if archive[257:262] == b"ustar":
        return Plain()
    return Inflater(limits)


def _xz() -> _Decompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES)


class Plain:
    """A tar that is not compressed; its own size bounds it."""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the data in pieces."""
        for start in range(0, len(data), STEP_BYTES):
            yield data[start : start + STEP_BYTES]

    def finish(self) -> None:
        """Do nothing, because there is no trailer."""


class Decompression:
    """Decompresses consecutive streams as one; each step checks size and ratio."""

    def __init__(self, make: Callable[[], _Decompressor], name: str, limits: ArchiveLimits) -> None:
        self._make = make
        self._name = name
        self._limits = limits
        self._current = make()
        self._streams = 1
        self._compressed_bytes = 0
        self._inflated_bytes = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the decompressed ``data``."""
        for start in range(0, len(data), _SLICE_BYTES):
            pending = data[start : start + _SLICE_BYTES]
            self._compressed_bytes += len(pending)
            while pending or not (self._current.needs_input or self._current.eof):
                if self._current.eof:
                    pending = self._next_stream(pending)
                    continue
                yield self._step(pending)
                pending = self._current.unused_data

    def finish(self) -> None:
        """Check that the last stream is complete."""
        if not self._current.eof:
            raise ArchiveRejected(f"the {self._name} stream is truncated")

    def _next_stream(self, pending: bytes) -> bytes:
        pending = pending.lstrip(b"\0")
        if pending:
            self._current = self._make()
            self._streams += 1
            if self._streams > self._limits.max_gzip_members:
                most = self._limits.max_gzip_members
                raise ArchiveRejected(f"the archive has more than {most} {self._name} streams")
        return pending

    def _step(self, pending: bytes) -> bytes:
        try:
            piece = self._current.decompress(pending, STEP_BYTES)
        except (OSError, lzma.LZMAError, EOFError) as error:
            raise ArchiveRejected(f"the {self._name} stream is damaged or needs too much memory") from error
        self._inflated_bytes += len(piece)
        limits = self._limits
        if self._inflated_bytes > limits.max_total_bytes:
            raise ArchiveRejected(f"it inflates to more than {limits.max_total_bytes} bytes")
        if self._inflated_bytes > max(limits.ratio_floor_bytes, limits.max_ratio * self._compressed_bytes):
            raise ArchiveRejected(f"it inflates to more than {limits.max_ratio} times its size")
        return piece
