import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
import structlog
from aiohttp import web

from headrace.web.errors import json_errors
from headrace.web.listener import Listener
from headrace.web.pace import TOO_SLOW, Pace

Serve = Callable[[web.Application], Awaitable[int]]
HURRY = Pace(0.5, 4096)
LARGE = 64 << 20


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    opened = []

    async def start(app: web.Application) -> int:
        opened.append(await Listener.open(app, "127.0.0.1", 0, bodies=HURRY, answers=HURRY))
        return opened[-1].port

    yield start
    for each in opened:
        await each.close()


def reading() -> web.Application:
    async def whole(request: web.Request) -> web.Response:
        return web.Response(text=str(len(await request.read())))

    async def pieces(request: web.Request) -> web.Response:
        return web.Response(text=str(sum([len(piece) async for piece in request.content.iter_any()])))

    async def later(request: web.Request) -> web.Response:
        """Busy for longer than a body may take, with most of it not yet read."""
        await request.content.readexactly(10)
        await asyncio.sleep(4 * HURRY.seconds)
        return web.Response(text=str(10 + len(await request.read())))

    app = web.Application(
        middlewares=[json_errors(lambda status, text: {"status": status, "text": text})],
        client_max_size=LARGE,
    )
    app.router.add_post("/whole", whole)
    app.router.add_post("/pieces", pieces)
    app.router.add_post("/later", later)
    return app


@asynccontextmanager
async def asking(
    port: int, *head: str, limit: int = 1 << 16
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection with a request's head sent; its reader takes ``limit`` bytes ahead."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=limit)
    writer.write(
        "".join(f"{line}\r\n" for line in (f"{head[0]} HTTP/1.1", "Host: x", *head[1:], "")).encode()
    )
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()


class Trickling(asyncio.Protocol):
    """Sends a piece again and again, and keeps what it is answered, also where a reset follows on it."""

    def __init__(self, head: bytes, piece: bytes) -> None:
        self.answer = b""
        self.ended = asyncio.Event()
        self._head = head
        self._piece = piece

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._head)
        self._trickle()

    def _trickle(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(self._piece)
            asyncio.get_running_loop().call_later(0.05, self._trickle)

    def data_received(self, data: bytes) -> None:
        self.answer += data

    def connection_lost(self, _error: Exception | None) -> None:
        self.ended.set()


@pytest.mark.parametrize("path", ["/whole", "/pieces"])
@pytest.mark.parametrize(
    ("header", "piece"),
    [("Content-Length: 1000000", b"x"), ("Transfer-Encoding: chunked", b"1\r\nx\r\n")],
    ids=["length", "chunked"],
)
async def test_a_trickled_body_is_408_and_its_connection_closed(
    serve: Serve, path: str, header: str, piece: bytes, caplog: pytest.LogCaptureFixture
):
    port = await serve(reading())
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\n{header}\r\n\r\n".encode()
    with structlog.testing.capture_logs() as lines:
        async with asyncio.timeout(90):
            _, sender = await asyncio.get_running_loop().create_connection(
                lambda: Trickling(head, piece), "127.0.0.1", port
            )
            await sender.ended.wait()
    answer = sender.answer
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert answer.endswith(b'{"status":408,"text":"%s"}' % TOO_SLOW.encode())
    assert (lines, [record for record in caplog.records if record.levelno > logging.INFO]) == ([], [])


async def test_a_body_that_goes_on_for_longer_than_the_first_deadline_is_taken(serve: Serve):
    # Far above the least pace, for a busy machine sends late.
    port = await serve(reading())
    async with asking(port, "POST /whole", "Content-Length: 120000", "Connection: close") as (reader, writer):
        for _ in range(12):
            writer.write(b"x" * 10_000)
            await writer.drain()
            await asyncio.sleep(0.1)
        async with asyncio.timeout(90):
            assert (await reader.read()).endswith(b"\r\n\r\n120000")


async def test_a_body_that_waits_for_us_is_not_late(serve: Serve):
    size = 32 << 20
    port = await serve(reading())
    async with asking(port, "POST /later", f"Content-Length: {size}", "Connection: close") as (
        reader,
        writer,
    ):
        writer.write(bytes(size))
        async with asyncio.timeout(30):
            assert (await reader.read()).endswith(f"\r\n\r\n{size}".encode())


def answering(*, streamed: bool) -> tuple[web.Application, "asyncio.Future[BaseException]"]:
    ended: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    async def pour(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(bytes(1 << 16))
        except BaseException as error:
            ended.set_result(error)
            raise

    async def plain(_request: web.Request) -> web.Response:
        return web.Response(body=bytes(LARGE))

    app = web.Application()
    app.router.add_get("/", pour if streamed else plain)
    return app, ended


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("reads", [True, False], ids=["trickles", "stops"])
async def test_a_reader_that_does_not_read_is_cut_off(serve: Serve, *, streamed: bool, reads: bool):
    app, ended = answering(streamed=streamed)
    port = await serve(app)
    got = 0
    with structlog.testing.capture_logs() as lines:
        async with asking(port, "GET /", limit=1 << 10) as (reader, _), asyncio.timeout(30):
            while not any(line["event"] == "answer_not_read" for line in lines):
                got += len(await reader.read(10)) if reads else 0
                await asyncio.sleep(0.05)
            if streamed:
                assert isinstance(await ended, ConnectionError)
            with suppress(ConnectionResetError):
                while piece := await reader.read(1 << 20):
                    got += len(piece)
    assert got < LARGE


async def test_a_reader_at_the_least_pace_has_it_all(serve: Serve):
    app, _ = answering(streamed=False)
    port = await serve(app)
    got = 0
    async with asking(port, "GET /", "Connection: close") as (reader, _), asyncio.timeout(60):
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        for _ in range(20):
            got += len(await reader.read(1 << 16))
            await asyncio.sleep(0.1)
        while piece := await reader.read(1 << 20):
            got += len(piece)
    assert got == LARGE
