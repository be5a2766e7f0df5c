"""Reads a multipart body as it arrives: the file part is passed on immediately, the small rest is kept.

The choice of the file part is upstream's: ``file`` before ``upload`` whatever their order, and only with a file name;
a part without a file name is a plain value.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from aiohttp import ClientError, StreamReader, web

from headrace_services.ingress.media_types import parse_media_type
from headrace_services.ingress.parts import Malformed, Part, PartReader, QuotedPrintable

FILE_FIELDS: Final = ("file", "upload")
METADATA_FIELD: Final = "metadata"
# The announcement, which contains this twice (``queue_key`` is in the message and its key), must fit into a message of
# 1 MiB.
MAX_METADATA_BYTES: Final = 256 << 10
# The limit of everything but the file part, which is upstream's limit of plain values.
MAX_OTHER_BYTES: Final = 18 << 20
_BYTES_PER_SECOND: Final = 256 << 10
_MIN_BYTES_PER_SECOND: Final = 1024
_NAMES_SHOWN: Final = 10


class BadForm(Exception):
    """The body has no usable file part; answered 400."""


class TooSlow(Exception):
    """The body did not arrive in time; answered 408."""


class Disconnected(Exception):
    """The sender disconnected before its body was complete; no answer is possible."""


class Sink(Protocol):
    """Receives the bytes of a file part."""

    async def write(self, chunk: bytes) -> None:
        """Receive bytes."""

    async def abort(self) -> None:
        """Discard the part."""


@dataclass
class FilePart:
    """A file part's header: its field and its Content-Type, unchanged."""

    field: str
    content_type: str


@dataclass
class Form:
    """The content of a whole body. ``metadata`` is None if it was not sent; an empty file part counts as sent."""

    metadata: bytes | None = None
    metadata_is_file: bool = False
    names: list[str] = field(default_factory=list)

    def name(self, part: str) -> None:
        """Remember the name of a part for error messages."""
        if len(self.names) < _NAMES_SHOWN:
            self.names.append(part[:40])


class Body:
    """A request's body, with the least pace that a sender must keep.

    Only time spent waiting for the sender counts, so waiting inside ingress (for a place, for S3) never makes an honest
    sender late. Each window has to bring ``window_seconds`` x 1 KiB, however long the sender takes in total.
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
        """Return the next bytes, ``b""`` at the end; raises `TooSlow` or `Disconnected`."""
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
        # One received buffer at a time, because reading everything available would join, that is copy, the buffers.
        while True:
            chunk, end_of_http_chunk = await self._content.readchunk()
            # The reader of empty bodies, shared by all requests, always returns "end of chunk" after its first use.
            if chunk or not end_of_http_chunk or self._content.at_eof():
                return chunk


# Called with a file part's header before its body is read; None discards the part.
OpenSink = Callable[[FilePart], Awaitable[Sink | None]]


class FormReader:
    """Reads one body, once."""

    def __init__(self, open_sink: OpenSink, max_parts: int) -> None:
        self._open_sink = open_sink
        self._max_parts = max_parts
        self._form = Form()
        self._sink: Sink | None = None
        self._metadata: bytearray | None = None
        # The source of the metadata so far: nothing, a value, a file. The first of each kind counts, even if it is
        # empty.
        self._metadata_rank = 0
        self._encoded: QuotedPrintable | None = None
        self._other_bytes = 0

    async def read(self, content_type: str, body: Body) -> Form:
        """Read the body to its end; raises `BadForm` and the exceptions of the body, the sink and ``open_sink``."""
        kind, parameters = parse_media_type(content_type) or ("", {})
        boundary = parameters.get("boundary", "")
        if kind != "multipart/form-data" or not boundary:
            raise BadForm("the body is not multipart/form-data with a boundary")
        reader = PartReader(boundary.encode(errors="surrogateescape"), self._max_parts)
        try:
            while chunk := await body.read():
                # The reader does not report bytes before, between and after the parts.
                self._other_bytes += len(chunk)
                for event in reader.feed(chunk):
                    await self._on_event(event)
                if self._other_bytes > MAX_OTHER_BYTES:
                    raise BadForm(f"there are more than {MAX_OTHER_BYTES} bytes beside the file")
            reader.close()
        except Malformed as error:
            raise BadForm(str(error)) from None
        return self._form

    async def _on_event(self, event: Part | bytes | None) -> None:
        if isinstance(event, Part):
            await self._on_header(event)
            return
        if self._sink is not None and event is not None:
            self._other_bytes -= len(event)
        if self._encoded is not None:
            data = self._encoded.close() if event is None else self._encoded.feed(event)
        else:
            data = event or b""
        if data:
            await self._on_data(data)
        if event is None:
            self._on_end()

    async def _on_data(self, data: bytes) -> None:
        if self._sink is not None:
            await self._sink.write(data)
        elif self._metadata is not None:
            self._metadata += data
            if len(self._metadata) > MAX_METADATA_BYTES:
                raise BadForm(f"the metadata is longer than {MAX_METADATA_BYTES} bytes")

    async def _on_header(self, part: Part) -> None:
        if not part.name:
            return
        self._form.name(part.name)
        if part.name in FILE_FIELDS and part.filename:
            self._sink = await self._open_sink(FilePart(part.name, part.content_type))
        elif part.name == METADATA_FIELD and (rank := 2 if part.filename else 1) > self._metadata_rank:
            self._metadata, self._metadata_rank = bytearray(), rank
        self._encoded = QuotedPrintable() if part.is_quoted_printable else None

    def _on_end(self) -> None:
        if self._metadata is not None:
            self._form.metadata_is_file = self._metadata_rank == 2
            is_sent = self._metadata or self._form.metadata_is_file
            self._form.metadata = bytes(self._metadata) if is_sent else None
        self._sink, self._metadata, self._encoded = None, None, None
