"""A connection outside the pool: for LISTEN and for session-level locks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import asyncpg

from headrace.database.errors import translated
from headrace.database.pool import _readable, _split_pgbouncer

_CONNECT_SECONDS: Final = 5.0
_COMMAND_SECONDS: Final = 10.0
_CLOSE_SECONDS: Final = 2.0
_ALIVE_EVERY_SECONDS: Final = 5.0


class Session:
    """One connection; ``lost`` is set when it has ended or no longer answers."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self.connection = connection
        self.lost = asyncio.Event()
        connection.add_termination_listener(lambda _connection: self.lost.set())

    async def keep(self) -> None:
        """Return when the connection is lost; a silent server is noticed within seconds."""
        while not self.lost.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(_ALIVE_EVERY_SECONDS):
                    await self.lost.wait()
            if not self.lost.is_set():
                await self._ask()

    async def _ask(self) -> None:
        try:
            await self.connection.execute("select 1")
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
            self.lost.set()


@asynccontextmanager
async def open_session(url: str, name: str, *, service: str) -> AsyncIterator[Session]:
    """Connect to database ``name`` on the server of ``url``; raises `Retryable` if PostgreSQL is away.

    A transaction pooler would hand the session's locks and notifications to other clients, so the URL must be
    direct.
    """
    url, _ = _split_pgbouncer(url)
    with translated(f"open a session with {name}"), _readable(url):
        connection: asyncpg.Connection[Any] = await asyncpg.connect(
            url,
            database=name,
            timeout=_CONNECT_SECONDS,
            command_timeout=_COMMAND_SECONDS,
            server_settings={"application_name": f"headrace-{service}"},
        )
    try:
        with translated(f"keep a session with {name}"):
            yield Session(connection)
    finally:
        try:
            await connection.close(timeout=_CLOSE_SECONDS)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
            connection.terminate()
