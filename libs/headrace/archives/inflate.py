"""Decompression of untrusted gzip data in bounded steps."""

import zlib
from collections.abc import Iterator

from isal import isal_zlib

from headrace.archives.errors import ArchiveRejected
from headrace.archives.limits import KIB, ArchiveLimits

STEP_BYTES = 128 * KIB
"""The most bytes that one step inflates, which bounds how long a step holds the event loop."""

# isal returns unprocessed input as a copy, so it gets small slices.
_SLICE_BYTES = 32 * KIB
_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_MAGIC = b"\x1f\x8b"
_TAR_BLOCK_BYTES = 512
_OTHER_FORMATS = {
    b"PK": "a zip file",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"{": "JSON text",
    b"<": "markup text",
}


class Inflater:
    """Takes compressed bytes and yields decompressed pieces of at most ``STEP_BYTES``; checks size and ratio.

    Several consecutive gzip members are one stream (RFC 1952); zero bytes after the last are padding.
    """

    def __init__(self, limits: ArchiveLimits) -> None:
        self._limits = limits
        self._zlib = isal_zlib.decompressobj(_GZIP_WINDOW)
        self._pending = b""
        self._may_hold_more = False
        self._between_members = True
        self._members = 0
        self.compressed_bytes = 0
        self.inflated_bytes = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield the decompressed ``data``; consume all pieces before feeding again."""
        for start in range(0, len(data), _SLICE_BYTES):
            self._pending += data[start : start + _SLICE_BYTES]
            while self._pending or self._may_hold_more:
                if self._between_members and not self._start_member(at_end=False):
                    break
                yield self._inflate()

    def finish(self) -> None:
        """Check that the stream is complete.

        Raises:
            ArchiveRejected: it is empty, truncated or not gzip.
        """
        if self._between_members and self._pending:
            self._start_member(at_end=True)
        if not self._between_members:
            raise ArchiveRejected("the gzip stream is truncated")
        if not self._members:
            raise ArchiveRejected("the upload is empty; expected a gzip-compressed tar")

    def _start_member(self, *, at_end: bool) -> bool:
        """Return whether the pending bytes begin a gzip member; False if more bytes are needed."""
        if self._members:
            self._pending = self._pending.lstrip(b"\0")
        head = self._pending
        if len(head) < len(_MAGIC) and not at_end:
            return False
        if not head.startswith(_MAGIC):
            if self._members:
                raise ArchiveRejected("the gzip stream is followed by bytes that are not gzip")
            if len(head) < _TAR_BLOCK_BYTES and not at_end:
                return False
            raise ArchiveRejected(f"not gzip but {_format_of(head)}; expected a gzip-compressed tar")
        self._zlib = isal_zlib.decompressobj(_GZIP_WINDOW)
        self._between_members = False
        self._members += 1
        if self._members > self._limits.max_gzip_members:
            raise ArchiveRejected(f"the gzip stream has more than {self._limits.max_gzip_members} members")
        return True

    def _inflate(self) -> bytes:
        given = len(self._pending)
        try:
            piece = self._zlib.decompress(self._pending, STEP_BYTES)
        except isal_zlib.error as error:  # type: ignore[misc]  # its stub makes an instance of the class
            raise ArchiveRejected("the gzip stream is damaged") from error
        if self._zlib.eof:
            self._between_members = True
            self._pending = self._zlib.unused_data
        else:
            self._pending = self._zlib.unconsumed_tail
        # A full piece may have left output inside isal although all input is taken.
        self._may_hold_more = len(piece) == STEP_BYTES and not self._zlib.eof
        self.compressed_bytes += given - len(self._pending)
        self.inflated_bytes += len(piece)
        self._check_size()
        return piece

    def _check_size(self) -> None:
        limits = self._limits
        if self.inflated_bytes > limits.max_total_bytes:
            raise ArchiveRejected(f"the gzip stream inflates to more than {limits.max_total_bytes} bytes")
        allowed = max(limits.ratio_floor_bytes, limits.max_ratio * self.compressed_bytes)
        if self.inflated_bytes > allowed:
            raise ArchiveRejected(f"the gzip stream inflates to more than {limits.max_ratio} times its size")


def _format_of(head: bytes) -> str:
    if head[257:262] == b"ustar":
        return "a plain tar"
    for magic, name in _OTHER_FORMATS.items():
        if head.startswith(magic):
            return name
    return f"data that starts with {head[:4].hex(' ')}"
