"""Listening: one place for the limits every HTTP service of ours has."""

from typing import Final, Self

from aiohttp import web

from headrace.runtime.errors import ConfigurationError

# An identity header may have 16 KiB (base64 of a long entitlements list); a request line far less.
MAX_HEADER_BYTES: Final = 16 * 1024
MAX_LINE_BYTES: Final = 8 * 1024
# Also how long a connection may take to send its first headers.
KEEPALIVE_SECONDS: Final = 15.0
# An early refusal (415, 413) drains what the client still sends for so long, or some see a reset instead.
LINGER_SECONDS: Final = 5.0
READ_BUFFER_BYTES: Final = 1 << 17
BACKLOG: Final = 1024


class Listener:
    """An application bound to an address until closed."""

    def __init__(self, runner: web.AppRunner, site: web.TCPSite, port: int) -> None:
        self._runner = runner
        self._site = site
        self.port = port

    @classmethod
    async def open(cls, app: web.Application, host: str, port: int, *, stop_seconds: float = 20.0) -> Self:
        """Bind and serve; port 0 takes a free one. A taken port is a `ConfigurationError`."""
        runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            keepalive_timeout=KEEPALIVE_SECONDS,
            lingering_time=LINGER_SECONDS,
            max_line_size=MAX_LINE_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            # A sender's Content-Encoding must not inflate an upload on its way in.
            auto_decompress=False,
            read_bufsize=READ_BUFFER_BYTES,
            shutdown_timeout=stop_seconds,
        )
        await runner.setup()
        site = web.TCPSite(runner, host, port, backlog=BACKLOG)
        try:
            await site.start()
        except OSError as error:
            await runner.cleanup()
            raise ConfigurationError(f"cannot listen on {host}:{port}: {error.strerror}") from error
        bound: int = runner.addresses[0][1]
        return cls(runner, site, bound)

    async def close(self) -> None:
        """Stop accepting, let requests in flight finish, close."""
        await self._runner.cleanup()
