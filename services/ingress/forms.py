"""Reading a multipart body as it comes in: the file part goes on at once, the little else is kept.

Which part is the file, and what counts as one, is upstream's: ``file`` before ``upload`` whatever their order, and
only with a file name; a part without one is a plain value.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from aiohttp import ClientError, StreamReader, web
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

FILE_FIELDS: Final = ("file", "upload")
METADATA_FIELD: Final = "metadata"
MAX_PART_HEADER_BYTES: Final = 8192
MAX_PART_HEADERS: Final = 32
# Twice this (``queue_key`` is in the message and its key) has to fit into a message of 1 MiB.
MAX_METADATA_BYTES: Final = 256 << 10
# Everything that is not the file part, together; upstream's bound on plain values.
MAX_OTHER_BYTES: Final = 18 << 20
_BYTES_PER_SECOND: Final = 256 << 10
_MIN_BYTES_PER_SECOND: Final = 1024
_NAMES_SHOWN: Final = 10


class BadForm(Exception):
    """The body has no usable file part; answered 400."""


class TooSlow(Exception):
    """The body did not arrive in time; answered 408."""


class Disconnected(Exception):
    """The sender went away before its body was whole; nobody is left to answer."""


class Sink(Protocol):
    """Takes a file part's bytes."""

    async def write(self, chunk: bytes) -> None:
        """Take some bytes."""

    async def abort(self) -> None:
        """The part is not wanted after all."""


@dataclass
class FilePart:
    """A file part's header: which field it came in and its Content-Type, verbatim."""

    field: str
    content_type: str


@dataclass
class Form:
    """What a whole body held. ``metadata`` is None when not sent; an empty file part counts as sent."""

    metadata: bytes | None = None
    names: list[str] = field(default_factory=list)

    def name(self, part: str) -> None:
        """Remember a part for the error text."""
        if len(self.names) < _NAMES_SHOWN:
            self.names.append(part[:40])


class Body:
    """A request's body, at the least pace a sender must keep.

    Only time spent waiting for the sender counts, so that our own waiting (for a place, for S3) never makes an
    honest sender late. One window has to bring ``window_seconds`` x 1 KiB, however long the sender takes for it.
    """

    def __init__(
        self, content: StreamReader, *, base_seconds: float, window_seconds: float, largest: int
    ) -> None:
        self._content = content
        self._left_seconds = base_seconds + largest / _BYTES_PER_SECOND
        self._window_seconds = window_seconds
        self._window_left_seconds = window_seconds
        self._window_bytes = 0

    async def read(self) -> bytes:
        """The next bytes, ``b""`` at the end; raises `TooSlow` or `Disconnected`."""
        before = time.monotonic()
        try:
            async with asyncio.timeout(min(self._left_seconds, self._window_left_seconds)):
                chunk = await self._next()
        except TimeoutError:
            raise TooSlow from None
        except (ClientError, ConnectionError, web.RequestPayloadError) as error:
            raise Disconnected(type(error).__name__) from None
        waited = time.monotonic() - before
        self._left_seconds -= waited
        self._window_left_seconds -= waited
        self._window_bytes += len(chunk)
        if self._window_bytes >= self._window_seconds * _MIN_BYTES_PER_SECOND:
            self._window_bytes, self._window_left_seconds = 0, self._window_seconds
        return chunk

    async def _next(self) -> bytes:
        # One received buffer at a time: taking all that is there would first join, that is copy, them.
        while True:
            chunk, end_of_http_chunk = await self._content.readchunk()
            # An empty body's reader, one for all requests, says "end of chunk" for ever after its first use.
            if chunk or not end_of_http_chunk or self._content.at_eof():
                return chunk


# Called with a file part's header before its body is read; None: the part is not wanted.
OpenSink = Callable[[FilePart], Awaitable[Sink | None]]


class FormReader:
    """One body, read once."""

    def __init__(self, open_sink: OpenSink, max_parts: int) -> None:
        self._open_sink = open_sink
        self._max_parts = max_parts
        self._form = Form()
        self._sink: Sink | None = None
        self._metadata: bytearray | None = None
        self._metadata_is_file = False
        self._other_bytes = 0

    async def read(self, content_type: str, body: Body) -> Form:
        """Read to the end; raises `BadForm` and whatever the body, the sink or ``open_sink`` raise."""
        kind, options = parse_options_header(content_type)  # type: ignore[no-untyped-call]
        boundary = options.get("boundary", "")
        if kind != "multipart/form-data" or not boundary:
            raise BadForm("the body is not multipart/form-data with a boundary")
        try:
            parser = PushMultipartParser(
                boundary.encode(errors="surrogateescape"),
                max_header_size=MAX_PART_HEADER_BYTES,
                max_header_count=MAX_PART_HEADERS,
                max_segment_count=self._max_parts,
            )
            while chunk := await body.read():
                # The parser says nothing of what stands before, between and after the parts.
                self._other_bytes += len(chunk)
                for event in parser.parse(chunk):
                    await self._on_event(event)
                if self._other_bytes > MAX_OTHER_BYTES:
                    raise BadForm(f"there are more than {MAX_OTHER_BYTES} bytes beside the file")
            parser.close()  # type: ignore[no-untyped-call]
        except MultipartError as error:
            raise BadForm(str(error)) from None
        return self._form

    async def _on_event(self, event: MultipartSegment | bytes | bytearray | None) -> None:
        if isinstance(event, MultipartSegment):
            await self._on_header(event)
        elif event is None:
            self._on_end()
        elif self._sink is not None:
            self._other_bytes -= len(event)
            await self._sink.write(bytes(event))
        elif self._metadata is not None:
            self._metadata += event
            if len(self._metadata) > MAX_METADATA_BYTES:
                raise BadForm(f"the metadata is longer than {MAX_METADATA_BYTES} bytes")

    async def _on_header(self, segment: MultipartSegment) -> None:
        name = segment.name or ""
        self._form.name(name)
        if name in FILE_FIELDS and segment.filename:
            self._sink = await self._open_sink(FilePart(name, segment.header("Content-Type") or ""))
        elif (
            name == METADATA_FIELD
            and not self._metadata_is_file
            and (segment.filename or self._form.metadata is None)
        ):
            self._metadata, self._metadata_is_file = bytearray(), bool(segment.filename)

    def _on_end(self) -> None:
        if self._metadata is not None:
            self._form.metadata = bytes(self._metadata) if self._metadata or self._metadata_is_file else None
        self._sink, self._metadata = None, None
