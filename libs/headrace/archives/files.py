"""Reading of files that may be compressed, and of files in chunks."""

import asyncio
import os
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import BinaryIO, Final

from isal import igzip

_GZIP_MAGIC: Final = b"\x1f\x8b"
_CHUNK_BYTES: Final = 256 * 1024


def open_inflated(path: Path) -> BinaryIO:
    """Open for reading; a file that begins like gzip is decompressed. Raises ``OSError``."""
    plain = path.open("rb")
    begins = plain.read(len(_GZIP_MAGIC))
    plain.seek(0)
    if begins != _GZIP_MAGIC:
        return plain
    plain.close()
    opened: BinaryIO = igzip.open(path, "rb")  # type: ignore[no-untyped-call]
    return opened


async def file_chunks(path: Path) -> AsyncGenerator[bytes, None]:
    """Yield the file's bytes in chunks, read in a thread, so that neither the event loop nor memory is taken up."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        while chunk := await asyncio.to_thread(os.read, descriptor, _CHUNK_BYTES):
            yield chunk
    finally:
        os.close(descriptor)
