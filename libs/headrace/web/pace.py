"""The least pace of a connection: of clients that send a body, and of clients that read an answer."""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.typedefs import Handler
from aiohttp.web_protocol import RequestHandler

from headrace.runtime.logging import get_logger

TOO_SLOW: Final = "the body came too slowly or too late"
_TICKS: Final = 8
_LONGEST_TICK_SECONDS: Final = 1.0

_log = get_logger(__name__)

Connection: TypeAlias = RequestHandler


@dataclass(frozen=True)
class Pace:
    """``seconds``, plus one second for each ``bytes_per_second`` that was transferred."""

    seconds: float
    bytes_per_second: int = 16 << 10

    def is_late(self, waited_seconds: float, moved_bytes: int) -> bool:
        """Return whether the transferred bytes are too few for the time."""
        return waited_seconds > self.seconds + moved_bytes / self.bytes_per_second


BODIES: Final = Pace(30.0)
ANSWERS: Final = Pace(60.0)


@dataclass(eq=False)
class _Body:
    request: web.Request
    waited_seconds: float = 0.0
    late: bool = False


@dataclass
class _Answer:
    writer: AbstractStreamWriter
    stuck_since: float | None = None
    taken_before: int = 0


class Watch:
    """Checks every open connection several times within the shortest pace.

    A body counts only while the service reads: data that waits for the service is not late. A late body ends in 408 in
    its handler's read. An answer counts while a part of it is not read; if it is late, its connection is closed.
    """

    def __init__(self, bodies: Pace | None, answers: Pace) -> None:
        """``bodies`` is None if the service itself limits slow bodies."""
        self._pace_of_bodies = bodies
        self._pace_of_answers = answers
        self._bodies: set[_Body] = set()
        self._answers: dict[Connection, _Answer] = {}

    @web.middleware
    async def follow(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Watch a request, and its connection for as long as that is open."""
        self._answers[request.protocol] = _Answer(request.writer)
        if self._pace_of_bodies is None or request.content.is_eof():
            return await handler(request)
        body = _Body(request)
        self._bodies.add(body)
        try:
            response = await handler(request)
        finally:
            self._bodies.discard(body)
            if body.late:
                # The server reads the rest of the body for a moment, and recognises this exception.
                request.content.set_exception(TimeoutError(TOO_SLOW))
        if body.late:
            response.force_close()
        return response

    async def run(self, connections: Callable[[], Iterable[Connection]]) -> None:
        """Check until cancelled."""
        shortest = min(pace.seconds for pace in (self._pace_of_bodies, self._pace_of_answers) if pace)
        before = time.monotonic()
        while True:
            await asyncio.sleep(min(_LONGEST_TICK_SECONDS, shortest / _TICKS))
            now = time.monotonic()
            self._look_at_bodies(now - before)
            self._look_at_answers(now, connections())
            before = now

    def _look_at_bodies(self, passed_seconds: float) -> None:
        for body in self._bodies:
            content, transport = body.request.content, body.request.transport
            if body.late or content.is_eof() or transport is None:
                continue
            body.waited_seconds += passed_seconds * transport.is_reading()
            assert self._pace_of_bodies is not None  # noqa: S101 -- there would be none to look at
            if self._pace_of_bodies.is_late(body.waited_seconds, content.total_bytes):
                body.late = True
                content.set_exception(web.HTTPRequestTimeout(text=TOO_SLOW))

    def _look_at_answers(self, now: float, connections: Iterable[Connection]) -> None:
        still = {}
        for connection in connections:
            answer = self._answers.get(connection)
            if answer is None or connection.transport is None:
                continue
            still[connection] = answer
            waiting = connection.transport.get_write_buffer_size()
            taken = answer.writer.output_size - waiting
            if not waiting:
                answer.stuck_since = None
            elif answer.stuck_since is None:
                answer.stuck_since, answer.taken_before = now, taken
            elif self._pace_of_answers.is_late(now - answer.stuck_since, taken - answer.taken_before):
                _log.warning("answer_not_read", waiting_bytes=waiting)
                connection.transport.abort()
        self._answers = still
