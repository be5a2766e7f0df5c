"""Live updates: one stream of server-sent events a page, fanned out from one reader of statuses a process.

An event says that something changed, and the page reads itself anew; so a lost event costs a moment, never truth.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Self

import orjson
from aiohttp import web

from headrace.web.errors import Refusal
from headrace.web.listener import has_left
from headrace_services.console.callers import Viewer

QUEUE: Final = 256
KEPT: Final = 1024
_COMMENT_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 1.0
_RETRY_MS: Final = 1000
_COMMENT: Final = b": here\n\n"

STATUS, FLOW, DEAD_LETTER, RESET, BYE = "status", "flow", "dead_letter", "reset", "bye"


@dataclass(frozen=True)
class Event:
    """One event; ``request_id`` and ``org_id`` say whom it concerns, empty where it is nobody's in particular."""

    number: int
    name: str
    data: bytes = b"{}"
    request_id: str = ""
    org_id: str = ""

    def encoded(self, boot: str) -> bytes:
        """Return it in the form of a stream."""
        return b"id: %b-%d\nevent: %b\ndata: %b\n\n" % (
            boot.encode(),
            self.number,
            self.name.encode(),
            self.data,
        )


@dataclass(frozen=True)
class Topics:
    """What a page wants to hear of."""

    payload: str = ""
    payloads: bool = False
    flow: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``payload:ID``, ``payloads``, ``flow``; raises a `Refusal` for anything else."""
        kind, _, rest = text.partition(":")
        if kind == "payload" and rest:
            return cls(payload=rest)
        if text in {"payloads", "flow"}:
            return cls(payloads=text == "payloads", flow=text == "flow")
        raise Refusal(400, "topics: expected payload:ID, payloads or flow")

    def has(self, event: Event, viewer: Viewer) -> bool:
        """Whether the event is for this page of this viewer."""
        if event.name in {FLOW, DEAD_LETTER}:
            return self.flow and viewer.is_operator
        if event.name == STATUS:
            wanted = self.payloads or (self.payload != "" and event.request_id == self.payload)
            return wanted and viewer.may_see(event.org_id)
        return True


@dataclass(eq=False)
class Client:
    """One open stream."""

    topics: Topics
    viewer: Viewer
    queue: "asyncio.Queue[Event]" = field(default_factory=lambda: asyncio.Queue(QUEUE))

    def offer(self, event: Event) -> None:
        """Queue an event; one that finds no room makes all that wait one ``reset``."""
        if not self.topics.has(event, self.viewer):
            return
        if self.queue.full():
            while not self.queue.empty():
                self.queue.get_nowait()
            event = Event(event.number, RESET) if event.name != BYE else event
        self.queue.put_nowait(event)


class Hub:
    """Every open stream of this process, and the last events for those that come back."""

    def __init__(self, max_streams: int) -> None:
        self.boot = secrets.token_hex(4)
        self.is_closed = False
        self.first = asyncio.Event()
        self._max_streams = max_streams
        self._clients: set[Client] = set()
        self._kept: deque[Event] = deque(maxlen=KEPT)
        self._number = 0

    @property
    def clients(self) -> int:
        """The number of open streams."""
        return len(self._clients)

    def wants(self, look: Callable[[Topics], bool]) -> bool:
        """Whether an open stream wants to hear of something."""
        return any(look(client.topics) for client in self._clients)

    def publish(self, name: str, data: object = None, *, request_id: str = "", org_id: str = "") -> None:
        """Send an event to every stream that it is for."""
        self._number += 1
        event = Event(self._number, name, orjson.dumps(data or {}), request_id, org_id)
        if name != FLOW:
            self._kept.append(event)
        for client in self._clients:
            client.offer(event)

    @contextmanager
    def joined(self, client: Client, last_id: str) -> Iterator[None]:
        """Add a stream, which first gets what it missed since ``last_id``; refuses one too many."""
        if self.is_closed or len(self._clients) >= self._max_streams:
            raise Refusal(503, f"{len(self._clients)} pages get live updates already (CONSOLE_MAX_STREAMS)")
        for event in self._missed(last_id):
            client.offer(event)
        self._clients.add(client)
        self.first.set()
        try:
            yield
        finally:
            self._clients.discard(client)
            if not self._clients:
                self.first.clear()

    def _missed(self, last_id: str) -> list[Event]:
        if not last_id:
            return []
        boot, _, number = last_id.rpartition("-")
        if boot != self.boot or not number.isdigit() or len(number) > 18:
            return [Event(self._number, RESET)]
        last = int(number)
        if self._kept and self._kept[0].number > last + 1 and len(self._kept) == KEPT:
            return [Event(self._number, RESET)]
        return [event for event in self._kept if event.number > last]

    async def stop(self, _within_seconds: float = 0.0) -> None:
        """End every stream at once; who has one open comes back to another process or to the next."""
        self.is_closed = True
        self._number += 1
        for client in self._clients:
            client.offer(Event(self._number, BYE))

    async def stream(self, request: web.Request, viewer: Viewer, topics: Topics) -> web.StreamResponse:
        """Answer a stream, until its reader leaves or the process stops."""
        client = Client(topics, viewer)
        with self.joined(client, request.headers.get("Last-Event-ID", "")):
            response = web.StreamResponse(
                headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
            )
            # The length of a stream is not known, and one connection has one stream.
            response.force_close()
            await response.prepare(request)
            await response.write(b"retry: %d\n\n" % _RETRY_MS)
            quiet_seconds = 0.0
            # Who has left is noticed soon: each page that somebody passes would keep a place for a while.
            while not has_left(request):
                try:
                    async with asyncio.timeout(_LOOK_SECONDS):
                        event = await client.queue.get()
                except TimeoutError:
                    quiet_seconds += _LOOK_SECONDS
                    if quiet_seconds >= _COMMENT_SECONDS:
                        quiet_seconds = 0.0
                        await response.write(_COMMENT)
                    continue
                await response.write(event.encoded(self.boot))
                if event.name == BYE:
                    break
        return response
