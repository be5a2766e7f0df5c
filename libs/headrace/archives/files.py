"""Files that may or may not be compressed."""

from pathlib import Path
from typing import BinaryIO

from isal import igzip

_GZIP_MAGIC = b"\x1f\x8b"


def open_inflated(path: Path) -> BinaryIO:
    """Open for reading; what is gzip, by its first bytes, is inflated on the way. Raises ``OSError``."""
    plain = path.open("rb")
    begins = plain.read(len(_GZIP_MAGIC))
    plain.seek(0)
    if begins != _GZIP_MAGIC:
        return plain
    plain.close()
    opened: BinaryIO = igzip.open(path, "rb")  # type: ignore[no-untyped-call]
    return opened
