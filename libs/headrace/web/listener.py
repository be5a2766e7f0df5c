"""The listener, with the limits of every HTTP service."""

import asyncio
import ssl
from contextlib import suppress
from http import HTTPStatus
from typing import Final, Self

from aiohttp import http_exceptions, web
from aiohttp.typedefs import Handler
from aiohttp.web_protocol import RequestHandler

from headrace.runtime.errors import ConfigurationError
from headrace.web.pace import ANSWERS, BODIES, Connection, Pace, Watch

# An identity header may have 16 KiB (base64 of a long list of entitlements), a cookie more, a request line far less.
MAX_HEADER_BYTES: Final = 32 * 1024
MAX_LINE_BYTES: Final = 8 * 1024
# This is also the time in which a connection has to send its first headers.
KEEPALIVE_SECONDS: Final = 15.0
# After an early refusal (415, 413) the server reads the rest of the request for so long; otherwise some clients see a
# reset instead of the answer.
LINGER_SECONDS: Final = 5.0
READ_BUFFER_BYTES: Final = 1 << 17
BACKLOG: Final = 1024
# Requests that are unfinished at the end of the stop are cancelled, and get this time to clean up.
_CANCEL_SECONDS: Final = 2.0
# The reasons for malformed heads and chunks, most specific first; the parser's own texts contain Python byte literals.
_MALFORMED: Final = (
    (
        http_exceptions.LineTooLong,
        (
            f"the request line is longer than {MAX_LINE_BYTES} bytes, or a header is longer than "
            f"{MAX_HEADER_BYTES}"
        ),
    ),
    (http_exceptions.BadHttpMethod, "the method is not an HTTP method"),
    (http_exceptions.BadStatusLine, "the request line is malformed"),
    (http_exceptions.InvalidURLError, "the request's URL is invalid"),
    (http_exceptions.InvalidHeader, "a header has an invalid name or an invalid byte"),
    (http_exceptions.ContentLengthError, "the body is shorter than its Content-Length"),
    (http_exceptions.TransferEncodingError, "the body does not match its chunked encoding"),
)
_NOT_HTTP: Final = "the request is not valid HTTP"
# This status is never sent; nginx uses it for a client that disconnected.
_NOBODY_READS: Final = 499


def has_left(request: web.Request) -> bool:
    """Return whether the client disconnected: an exception while writing its answer is then not a fault."""
    return request.transport is None or request.transport.is_closing()


@web.middleware
async def _undo_chunks_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a body in a further transfer encoding: decoded incompletely, it would differ from what was sent."""
    encoding = request.headers.get("Transfer-Encoding", "chunked")
    if encoding.strip().lower() == "chunked":
        return await handler(request)
    response = web.Response(status=501, text="Unsupported transfer encoding")
    response.force_close()
    return response


class _Connection(RequestHandler):
    """A connection that answers malformed requests in our own words."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer a malformed request with a reason of Headrace; aiohttp would show the parser's text."""
        if status == HTTPStatus.BAD_REQUEST:
            why = next((text for kind, text in _MALFORMED if isinstance(exc, kind)), _NOT_HTTP)
            message = f"{HTTPStatus.BAD_REQUEST.phrase}: {why}\n"
        return super().handle_error(request, status, exc, message)


class _Server(web.Server):
    """A server whose connections are `_Connection`s."""

    def __call__(self) -> RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class _Runner(web.AppRunner):
    """A runner of `_Server`; aiohttp has no argument to select the server."""

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Server(made.request_handler, request_factory=made.request_factory, **made._kwargs)  # noqa: SLF001


class _InFlight:
    """Counts requests, so that a stop can wait for them while their bodies still arrive."""

    def __init__(self) -> None:
        self._count = 0
        self._none = asyncio.Event()
        self._none.set()
        self._closing = False

    @web.middleware
    async def count(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._count += 1
        self._none.clear()
        try:
            response = await handler(request)
        except ConnectionError:
            if not has_left(request):
                raise
            response = web.Response(status=_NOBODY_READS)
        finally:
            self._count -= 1
            if not self._count:
                self._none.set()
        if self._closing:
            response.force_close()
        return response

    async def end(self, within_seconds: float) -> None:
        self._closing = True
        with suppress(TimeoutError):
            async with asyncio.timeout(within_seconds):
                await self._none.wait()


class Listener:
    """An application bound to an address until closed."""

    def __init__(
        self,
        runner: web.AppRunner,
        site: web.TCPSite,
        in_flight: _InFlight,
        watch: Watch,
        stop_seconds: float,
    ) -> None:
        self._runner = runner
        self._site = site
        self._in_flight = in_flight
        self._watching = asyncio.create_task(watch.run(self._connections), name="pace of connections")
        self._stop_seconds = stop_seconds
        self.port: int = runner.addresses[0][1]

    @classmethod
    async def open(
        cls,
        app: web.Application,
        host: str,
        port: int,
        *,
        stop_seconds: float = 20.0,
        bodies: Pace | None = BODIES,
        answers: Pace = ANSWERS,
        tls: ssl.SSLContext | None = None,
    ) -> Self:
        """Bind and serve; port 0 selects a free one. A port in use raises `ConfigurationError`.

        ``bodies`` and ``answers`` are the least pace of clients that send and read; ``bodies`` is None for a service
        that limits bodies itself. ``tls`` enables HTTPS.
        """
        in_flight, watch = _InFlight(), Watch(bodies, answers)
        app.middlewares[:0] = [in_flight.count, watch.follow, _undo_chunks_only]
        runner = _Runner(
            app,
            access_log=None,
            handle_signals=False,
            keepalive_timeout=KEEPALIVE_SECONDS,
            lingering_time=LINGER_SECONDS,
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            # A Content-Encoding of the sender must not inflate an upload on arrival.
            auto_decompress=False,
            read_bufsize=READ_BUFFER_BYTES,
            shutdown_timeout=_CANCEL_SECONDS,
        )
        await runner.setup()
        site = web.TCPSite(runner, host, port, backlog=BACKLOG, ssl_context=tls)
        try:
            await site.start()
        except OSError as error:
            await runner.cleanup()
            raise ConfigurationError(f"cannot listen on {host}:{port}: {error.strerror}") from error
        return cls(runner, site, in_flight, watch, stop_seconds)

    async def close(self) -> None:
        """Stop accepting, let requests in flight finish, close."""
        if self._site in self._runner.sites:
            await self._site.stop()
        # aiohttp's runner waits for handlers, but drops the rest of bodies that are still arriving.
        await self._in_flight.end(self._stop_seconds)
        self._watching.cancel()
        await self._runner.cleanup()

    def _connections(self) -> list[Connection]:
        return self._runner.server.connections if self._runner.server else []
