"""A proxy in front of MinIO that refuses one kind of request: `python -m headrace.objects.minio_guard`.

The last open-source MinIO lets every client that knows the access key write objects (CVE-2026-41145): a request whose
`x-amz-content-sha256` is STREAMING-UNSIGNED-PAYLOAD-TRAILER needs no signature if it names the key in its query, and
every presigned URL contains the key. The guard refuses requests that state this value in any way; all others pass
unchanged, with streamed bodies.

    python -m headrace.objects.minio_guard --listen HOST:PORT --to HOST:PORT [-- COMMAND…]

If a command is given, the guard runs it as a child (MinIO), and both end together. Otherwise MinIO is managed
elsewhere.
"""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final

import aiohttp
import uvloop
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from headrace.runtime.children import TRAMPOLINE

_REFUSED: Final = "UNSIGNED-PAYLOAD-TRAILER"
# Headers of one connection, which a proxy does not forward.
_HOP_BY_HOP: Final = frozenset(
    (
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
_AUTOMATIC: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_PIECE_BYTES: Final = 256 * 1024
_HEADER_BYTES: Final = 64 * 1024
_CONNECT_SECONDS: Final = 5.0
_KEEP_SECONDS: Final = 5.0
_ANSWER_SECONDS: Final = 600.0


class Guard:
    """Forwards requests to `server` (`host:port`); `lost` is set when a server that answered before is gone."""

    def __init__(self, server: str, session: aiohttp.ClientSession) -> None:
        self.lost = asyncio.Event()
        self._server = server
        self._session = session
        self._met = False

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Handle one request."""
        if is_refused(request.headers) or not request.raw_path.startswith("/"):
            return _error(400, "InvalidRequest", f"STREAMING-{_REFUSED} is refused because of CVE-2026-41145")
        if request.headers.get("expect", "").lower() == "100-continue":
            # The client waits for it before it sends its body, and MinIO waits for the body before it answers.
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0
        response: web.StreamResponse | None = None
        try:
            async with self._session.request(
                request.method,
                URL(f"http://{self._server}{request.raw_path}", encoded=True),
                headers=_passed_on(request.headers),
                data=request.content if request.can_read_body else None,
                allow_redirects=False,
            ) as answer:
                self._met = True
                response = web.StreamResponse(
                    status=answer.status, reason=answer.reason, headers=_passed_on(answer.headers)
                )
                await response.prepare(request)
                async for piece in answer.content.iter_chunked(_PIECE_BYTES):
                    await response.write(piece)
                await response.write_eof()
                return response
        except (aiohttp.ClientError, TimeoutError) as error:
            if self._met and isinstance(error, aiohttp.ClientConnectorError):
                self.lost.set()
            if response is not None and response.prepared:
                # The connection is cut, so that the client does not take a part of the answer for the whole.
                raise
            return _error(503, "ServiceUnavailable", "MinIO does not answer")


def is_refused(headers: CIMultiDictProxy[str]) -> bool:
    """Return whether one of a request's headers declares an unsigned trailer."""
    return any(_REFUSED in value.upper() for value in headers.getall("x-amz-content-sha256", ()))


def _passed_on(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    named = {word.strip().lower() for value in headers.getall("connection", ()) for word in value.split(",")}
    return CIMultiDict(
        (name, value) for name, value in headers.items() if name.lower() not in _HOP_BY_HOP | named
    )


def _error(status: int, code: str, message: str) -> web.Response:
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return web.Response(
        status=status, text=text, content_type="application/xml", headers={"Connection": "close"}
    )


async def run(listen: str, server: str, command: Sequence[str]) -> int:
    """Serve until a signal, until the child ends, or until MinIO is lost; return the exit code."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=_ANSWER_SECONDS)
    async with aiohttp.ClientSession(
        auto_decompress=False,
        skip_auto_headers=_AUTOMATIC,
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
        read_bufsize=_PIECE_BYTES,
        timeout=timeout,
    ) as session:
        guard = Guard(server, session)
        runner = web.ServerRunner(
            web.Server(
                guard.handle,
                access_log=None,
                auto_decompress=False,
                handler_cancellation=True,
                max_line_size=_HEADER_BYTES,
                max_field_size=_HEADER_BYTES,
            )
        )
        await runner.setup()
        host, _, port = listen.rpartition(":")
        await web.TCPSite(runner, host, int(port)).start()
        try:
            return await _until_ended(command, stop, guard.lost)
        finally:
            await runner.cleanup()


async def _until_ended(command: Sequence[str], stop: asyncio.Event, lost: asyncio.Event) -> int:
    child = None
    waiting: set[asyncio.Task[object]] = {asyncio.create_task(stop.wait())}
    if command:
        # The trampoline ends the child whenever this process ends.
        through = (sys.executable, "-I", "-S", str(TRAMPOLINE), str(os.getpid()), "same")
        child = await asyncio.create_subprocess_exec(*through, *command, stdin=asyncio.subprocess.DEVNULL)
        waiting.add(asyncio.create_task(child.wait()))
    else:
        waiting.add(asyncio.create_task(lost.wait()))
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    if child is None:
        return 0 if stop.is_set() else 1
    if child.returncode is None:
        child.terminate()
    return abs(await child.wait())


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Refuse unsigned-trailer requests in front of MinIO.")
    parser.add_argument("--listen", required=True, metavar="HOST:PORT")
    parser.add_argument("--to", required=True, metavar="HOST:PORT")
    parser.add_argument("command", nargs="*")
    given = parser.parse_args()
    return uvloop.run(run(given.listen, given.to, given.command))


if __name__ == "__main__":
    sys.exit(main())
