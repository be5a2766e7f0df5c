"""Reads an untrusted tar.gz: bytes in, members out; nothing is kept or written.

``ArchiveParser`` does no I/O; ``read_members`` feeds it from any stream of bytes. Each step decompresses at most
``STEP_BYTES`` and checks every limit, so the cost of an archive is bounded by its limits. Links, devices, FIFOs, sparse
files, unsafe names and duplicate names are refused: readers interpret them differently, and no sender writes them.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing

from headrace.archives.errors import ArchiveRejected, shown
from headrace.archives.headers import Kind
from headrace.archives.inflate import Inflater
from headrace.archives.limits import ArchiveLimits
from headrace.archives.tar import ArchiveEnd, Data, Event, MemberEnd, MemberStart, TarWalker


class ArchiveParser:
    """Takes compressed bytes as they arrive and yields events.

    Any split of the same bytes gives the same members and data. After ``ArchiveRejected`` the parser cannot
    be used again.
    """

    def __init__(self, limits: ArchiveLimits | None = None) -> None:
        limits = limits or ArchiveLimits()
        self._inflater = Inflater(limits)
        self._tar = TarWalker(limits)

    def feed(self, chunk: bytes) -> Iterator[list[Event]]:
        """Yield a list of events, often empty, for each bounded step; consume all before feeding again.

        Raises:
            ArchiveRejected: after the events that precede the fault.
        """
        for piece in self._inflater.feed(chunk):
            events: list[Event] = []
            try:
                self._tar.walk(piece, events)
            except ArchiveRejected:
                yield events
                raise
            yield events

    def finish(self) -> ArchiveEnd:
        """Check, after the last chunk, that the archive is complete.

        Raises:
            ArchiveRejected: it is truncated, empty or not a gzip-compressed tar.
        """
        self._inflater.finish()
        self._tar.finish()
        return ArchiveEnd(
            members=self._tar.members,
            inflated_bytes=self._inflater.inflated_bytes,
            compressed_bytes=self._inflater.compressed_bytes,
        )


class Member:
    """A file or directory of the archive; its data can be read once, before the next member is requested."""

    def __init__(self, start: MemberStart, events: AsyncIterator[Event]) -> None:
        self.name = start.name
        self.size_bytes = start.size_bytes
        self.kind = start.kind
        self._events = events
        self._complete = False

    @property
    def is_file(self) -> bool:
        """Whether the member is a file; a directory has no data."""
        return self.kind is Kind.FILE

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the remaining data in pieces of at most ``STEP_BYTES``."""
        while not self._complete:
            match await anext(self._events):
                case Data(data):
                    yield data
                case MemberEnd():
                    self._complete = True

    async def read(self, max_bytes: int) -> bytes:
        """Return all data of the member.

        Raises:
            ArchiveRejected: it is larger than ``max_bytes``, or the archive is bad.
        """
        if self.size_bytes > max_bytes:
            raise ArchiveRejected(
                f"member {shown(self.name)} has {self.size_bytes} bytes; the limit is {max_bytes}"
            )
        return b"".join([data async for data in self])

    async def skip(self) -> None:
        """Skip the remaining data."""
        async for _ in self:
            pass


async def read_members(
    chunks: AsyncIterator[bytes], limits: ArchiveLimits | None = None
) -> AsyncGenerator[Member, None]:
    """Yield the members of the tar.gz in ``chunks``, in order; unread data of a member is skipped.

    The event loop runs after every step. To stop early, leave the loop and close the generator
    (``contextlib.aclosing``); no more chunks are read then. Reading to the end proves that the archive is
    complete.

    Raises:
        ArchiveRejected: the archive is not acceptable; earlier members may have been fine.
    """
    async with aclosing(_events(chunks, ArchiveParser(limits))) as events:
        async for event in events:
            if isinstance(event, MemberStart):
                member = Member(event, events)
                yield member
                await member.skip()


async def _events(chunks: AsyncIterator[bytes], parser: ArchiveParser) -> AsyncGenerator[Event, None]:
    async for chunk in chunks:
        for events in parser.feed(chunk):
            for event in events:
                yield event
            await asyncio.sleep(0)
    yield parser.finish()
