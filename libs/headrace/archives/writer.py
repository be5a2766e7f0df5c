"""Writing tar.gz as a stream: equal entries give equal bytes, and no more than a chunk is held."""

import tarfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from headrace.archives.limits import KIB

_CHUNK_BYTES = 64 * KIB
_FILE_MODE = 0o644
_DEFAULT_LEVEL = 6


@dataclass(frozen=True, slots=True)
class Entry:
    """A file to write; ``chunks`` are read once and hold ``size_bytes`` in all."""

    name: str
    size_bytes: int
    chunks: Iterable[bytes]

    @classmethod
    def of(cls, name: str, content: bytes) -> "Entry":
        """Return the entry of a content that is held whole."""
        return cls(name, len(content), (content,))


def write_archive(
    entries: Iterable[Entry], *, modified: datetime, level: int = _DEFAULT_LEVEL
) -> Iterator[bytes]:
    """Yield the bytes of a gzip-compressed tar: mode 0644, no owner, every member ``modified`` at once.

    Raises:
        ValueError: an entry's chunks do not add up to its size.
    """
    deflate = zlib.compressobj(level, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    gathered = bytearray()
    for block in _tar_blocks(entries, int(modified.timestamp())):
        gathered += deflate.compress(block)
        if len(gathered) >= _CHUNK_BYTES:
            yield bytes(gathered)
            gathered.clear()
    yield bytes(gathered) + deflate.flush()


def _tar_blocks(entries: Iterable[Entry], modified_seconds: int) -> Iterator[bytes]:
    for entry in entries:
        header = tarfile.TarInfo(entry.name)
        header.size = entry.size_bytes
        header.mode = _FILE_MODE
        header.mtime = modified_seconds
        yield header.tobuf(tarfile.PAX_FORMAT)
        yield from _checked(entry)
        yield bytes(-entry.size_bytes % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _checked(entry: Entry) -> Iterator[bytes]:
    written_bytes = 0
    for chunk in entry.chunks:
        written_bytes += len(chunk)
        yield chunk
    if written_bytes != entry.size_bytes:
        raise ValueError(
            f"{entry.name!r} was announced with {entry.size_bytes} bytes and has {written_bytes}"
        )
