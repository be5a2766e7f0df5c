"""Faults in front of real servers: a TCP proxy whose toxics change at run time, and one that speaks HTTP for S3.

Everything is bounded: pieces of 64 KiB pass with back-pressure, connections are limited and end with the proxy.
"""

import asyncio
import io
import random
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web
from yarl import URL

HOST = "127.0.0.1"
_PIECE_BYTES = 1 << 16
_MAX_CONNECTIONS = 1024
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "date", "server"}


@dataclass
class Toxics:
    """What one direction of every connection suffers; read before each piece, so that changes count at once."""

    latency_seconds: float = 0.0
    jitter_seconds: float = 0.0
    bytes_per_second: float | None = None
    slice_bytes: int = _PIECE_BYTES
    # Nothing passes, nothing is closed.
    hang: bool = False
    # Bytes of one connection after which it is reset, or closed in order.
    reset_after_bytes: int | None = None
    close_after_bytes: int | None = None
    # How long an end is kept from the other side once one side has hung up.
    slow_close_seconds: float = 0.0

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Slice."""
        at = 0
        while at < len(data):
            yield data[at : at + self.slice_bytes]
            at += self.slice_bytes

    async def delay(self, size: int) -> None:
        """Wait as long as this piece has to."""
        while self.hang:  # noqa: ASYNC110 -- a plain field is easier to script
            await asyncio.sleep(0.01)
        seconds = self.latency_seconds + random.uniform(-1, 1) * self.jitter_seconds
        if self.bytes_per_second:
            seconds += size / self.bytes_per_second
        if seconds > 0:
            await asyncio.sleep(seconds)


class TcpProxy:
    """Passes bytes to a server and back. `up` is the way to the server, `down` the way from it."""

    def __init__(self, host: str, port: int) -> None:
        self.up = Toxics()
        self.down = Toxics()
        self.port = 0
        self.connections = 0
        self.bytes_up = 0
        self.bytes_down = 0
        self._target = (host, port)
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._server: asyncio.Server | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, address: str, port: int = 0) -> AsyncIterator["TcpProxy"]:
        """Before `host:port`; listens on `port` or a free one."""
        host, _, target = address.rpartition(":")
        proxy = cls(host, int(target))
        proxy.port = port
        await proxy.restore()
        try:
            yield proxy
        finally:
            await proxy.refuse()

    @property
    def address(self) -> str:
        """`host:port` of the proxy."""
        return f"{HOST}:{self.port}"

    async def restore(self) -> None:
        """Accept connections (again), on the same port."""
        self._server = await asyncio.start_server(self._connected, HOST, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """The server is down: no connection is accepted, those that are there are cut."""
        if self._server:
            self._server.close()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """Reset every connection there is; new ones are fine."""
        for writer in list(self._writers):
            _reset(writer)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        ends = [writer]
        try:
            if len(self._writers) >= 2 * _MAX_CONNECTIONS:
                return
            there, back = await self._dial()
            ends.append(back)
            self._writers |= {writer, back}
            pumps = [
                asyncio.create_task(self._pump(reader, back, self.up, writer)),
                asyncio.create_task(self._pump(there, writer, self.down, writer)),
            ]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for end in ends:
                self._writers.discard(end)
                end.close()

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self._target)

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        toxics: Toxics,
        client: asyncio.StreamWriter,
    ) -> None:
        passed = 0
        with suppress(ConnectionError):
            while data := await reader.read(_PIECE_BYTES):
                for piece in toxics.pieces(data):
                    await toxics.delay(len(piece))
                    reset, close = toxics.reset_after_bytes, toxics.close_after_bytes
                    rooms = [limit - passed for limit in (reset, close) if limit is not None]
                    part = piece[: max(0, min(rooms))] if rooms else piece
                    writer.write(part)
                    await writer.drain()
                    passed += len(part)
                    self._count(toxics, len(part))
                    if reset is not None and passed >= reset:
                        _reset(client)
                        return
                    if close is not None and passed >= close:
                        return
            await asyncio.sleep(toxics.slow_close_seconds)

    def _count(self, toxics: Toxics, size: int) -> None:
        if toxics is self.up:
            self.bytes_up += size
        else:
            self.bytes_down += size


class Balancer(TcpProxy):
    """A proxy before several servers: each connection goes to the next one that accepts it, as a Service's does."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(HOST, 0)
        self.port = port
        self.targets: list[int] = []

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        for port in list(self.targets):
            self.targets.append(self.targets.pop(0))
            try:
                return await asyncio.open_connection(HOST, port)
            except OSError:
                continue
        raise ConnectionRefusedError("no server accepts the connection")


def _reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    if sock is not None:
        # Lingering for no time at all makes the kernel send a reset.
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@dataclass
class S3Faults:
    """What requests suffer. Shares are probabilities; a fault hits PUTs, unless it says otherwise."""

    slow_down_share: float = 0.0
    # The server takes the request and says nothing; every method.
    hang: bool = False
    # The connection is reset when this share of the body has come in.
    reset_at_share: float | None = None
    # 200 for bytes that were never stored: with a wrong ETag, or a right one but a wrong or no checksum.
    lie: Literal["", "etag", "checksum", "nothing confirmed"] = ""
    # Operations (as counted) whose answer is lost once after the server did the work.
    lose_answers_to: set[str] = field(default_factory=set)


class S3Proxy:
    """Signatures survive: path, headers and body pass unchanged, the Host header included."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._credentials, _, netloc = parts.netloc.rpartition("@")
        self._target = f"{parts.scheme}://{netloc}"
        self.faults = S3Faults()
        self.requests: Counter[str] = Counter()
        self.refused = 0
        self.url = ""
        self._session: aiohttp.ClientSession | None = None
        # The same luck in each run.
        self._draws = random.Random(0)

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str) -> AsyncIterator["S3Proxy"]:
        """Before the S3 server at `url` (`http://key:secret@host:port`); `proxy.url` looks the same."""
        proxy = cls(url)
        app = web.Application(client_max_size=64 << 20)
        app.router.add_route("*", "/{path:.*}", proxy._handle)
        runner = web.AppRunner(app, access_log=None, auto_decompress=False, shutdown_timeout=0.1)
        async with aiohttp.ClientSession(auto_decompress=False) as session:
            proxy._session = session
            await runner.setup()
            site = web.TCPSite(runner, HOST, 0)
            await site.start()
            proxy.url = f"http://{proxy._credentials}@{HOST}:{runner.addresses[0][1]}"
            try:
                yield proxy
            finally:
                proxy.faults = S3Faults()
                await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        operation = _operation(request)
        self.requests[operation] += 1
        faults = self.faults
        while self.faults.hang:  # noqa: ASYNC110 -- as above
            await asyncio.sleep(0.02)
        if operation in {"PUT", "PUT part"}:
            if faults.reset_at_share is not None:
                await request.content.readexactly(int((request.content_length or 0) * faults.reset_at_share))
                return self._cut(request)
            if faults.slow_down_share and self._draws.random() < faults.slow_down_share:
                await request.read()
                self.refused += 1
                return _slow_down()
            if faults.lie:
                return _lie(faults.lie, await request.read(), request)
        answer = await self._forward(request)
        if operation in faults.lose_answers_to:
            faults.lose_answers_to.discard(operation)
            return self._cut(request)
        return answer

    async def _forward(self, request: web.Request) -> web.Response:
        headers = [
            (name, value) for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP
        ]
        async with self._session.request(
            request.method,
            URL(self._target + request.raw_path, encoded=True),
            headers=headers,
            data=io.BytesIO(await request.read()),
            skip_auto_headers=["User-Agent", "Accept", "Accept-Encoding", "Content-Type"],
            allow_redirects=False,
        ) as response:
            kept = {name: v for name, v in response.headers.items() if name.lower() not in _HOP_BY_HOP}
            return web.Response(status=response.status, headers=kept, body=await response.read())

    def _cut(self, request: web.Request) -> web.Response:
        if request.transport:
            request.transport.abort()
        return web.Response()


def _operation(request: web.Request) -> str:
    names = request.query.keys()
    if "uploadId" in names:
        return {"PUT": "PUT part", "POST": "complete", "DELETE": "abort"}.get(request.method, request.method)
    return "start" if request.method == "POST" and "uploads" in names else request.method


def _slow_down() -> web.Response:
    text = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
    return web.Response(status=503, text=text, content_type="application/xml")


def _lie(lie: str, body: bytes, request: web.Request) -> web.Response:
    from headrace.objects.store import checksum, digest

    headers = {"ETag": f'"{digest(body)}"', "x-amz-checksum-crc32": checksum(body)}
    if lie == "etag":
        headers = {"ETag": f'"{digest(body + b"x")}"'}
    elif lie == "checksum":
        headers["x-amz-checksum-crc32"] = checksum(body + b"x")
    else:
        headers = {}
    return web.Response(headers=headers)
