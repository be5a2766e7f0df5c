"""Stdin and stdout of the stages, as bytes: JSON texts in, lines out, in blocks."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import BinaryIO, Final

from headrace_services.segment_bridge.texts import Texts

# Larger blocks are requested from the system again each time.
_READ_BYTES: Final = 1 << 16
# A longer line is malformed: its beginning is passed on, to be counted, and the rest is dropped.
_MAX_LINE_BYTES: Final = 16 << 20


class Lines:
    """Cuts blocks of bytes into whole lines."""

    def __init__(self) -> None:
        self._rest = b""
        self._skipping = False

    def add(self, block: bytes) -> list[bytes]:
        """Return the complete lines so far, without newlines."""
        *lines, rest = (self._rest + block).split(b"\n")
        if self._skipping and lines:
            self._skipping = False
            del lines[0]
        self._rest = b"" if self._skipping else rest
        if len(rest) > _MAX_LINE_BYTES and not self._skipping:
            lines.append(rest)
            self._rest, self._skipping = b"", True
        return lines

    def end(self) -> list[bytes]:
        """Return the last line, if it has no newline."""
        return [self._rest] if self._rest else []


def _read(stream: BinaryIO) -> bytes:
    """Return the available bytes, waiting for at least one; nothing at the end."""
    return os.read(stream.fileno(), _READ_BYTES)


def line_blocks(stream: BinaryIO) -> Iterator[list[bytes]]:
    """Yield lists of JSON texts, most of which are one line each."""
    lines, texts = Lines(), Texts()
    while block := _read(stream):
        if found := texts.of(lines.add(block)):
            yield found
    if found := [*texts.of(lines.end()), *texts.end()]:
        yield found


async def line_blocks_async(stream: BinaryIO) -> AsyncIterator[list[bytes]]:
    """Yield the same lists without blocking the event loop."""
    lines, texts = Lines(), Texts()
    while block := await asyncio.to_thread(_read, stream):
        if found := texts.of(lines.add(block)):
            yield found
    if found := [*texts.of(lines.end()), *texts.end()]:
        yield found


def write_lines(lines: Sequence[bytes]) -> None:
    """Write to stdout; if the reader has ended, end the command without a traceback."""
    if not lines:
        return
    try:
        sys.stdout.buffer.write(b"\n".join(lines) + b"\n")
    except BrokenPipeError:
        _reader_has_gone()


def flush() -> None:
    """Flush stdout."""
    try:
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        _reader_has_gone()


def _reader_has_gone() -> None:
    # Otherwise the interpreter would try to write again at its end, and print an error.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(1)
