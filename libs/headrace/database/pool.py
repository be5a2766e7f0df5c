"""A service's own database: one bounded pool, a deadline on every wait.

Nothing is retried here: the consumer runtime repeats the whole message, and an API answers 503. The pool
replaces connections that the server has closed.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, Self, TypeAlias
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from headrace.database.errors import translated
from headrace.runtime import faultpoints
from headrace.runtime.errors import ConfigurationError, Retryable

Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"
Record: TypeAlias = asyncpg.Record

_CONNECT_SECONDS: Final = 5.0
# If no connection is free for this long, the caller should retry later.
_ACQUIRE_SECONDS: Final = 5.0
_STATEMENT_SECONDS: Final = 15.0
_LOCK_SECONDS: Final = 5.0
# The client's own deadline, for a silent server; the server's deadline is shorter.
_COMMAND_SECONDS: Final = _STATEMENT_SECONDS + 5.0
_IDLE_SECONDS: Final = 300.0
_CLOSE_SECONDS: Final = 5.0
_NAME_BYTES: Final = 63  # PostgreSQL cuts longer identifiers silently


class Database:
    """One database. Raises `Retryable` if PostgreSQL is away or busy, asyncpg's error for our own faults."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", name: str, *, acquire_seconds: float) -> None:
        self.name = name
        self._pool = pool
        self._acquire_seconds = acquire_seconds

    @classmethod
    async def open(
        cls,
        url: str,
        name: str,
        *,
        service: str,
        min_size: int = 1,
        max_size: int = 10,
        acquire_seconds: float = _ACQUIRE_SECONDS,
        create: bool = True,
        variable: str = "HEADRACE_POSTGRES",
    ) -> Self:
        """Connect to database ``name`` on the server of ``url``; with ``create`` a missing database is created.

        ``variable`` is the source of the URL, for error messages.

        ``?pgbouncer=true`` in the URL disables what a transaction pooler does not support: prepared
        statements that outlive a transaction, and the session's time-outs (set them on the role then).
        """
        _check_name(name)
        url, pooled = _split_pgbouncer(url)
        settings = {"application_name": f"headrace-{service}"}
        if not pooled:
            settings |= {
                "statement_timeout": f"{_STATEMENT_SECONDS:g}s",
                "lock_timeout": f"{_LOCK_SECONDS:g}s",
                "idle_in_transaction_session_timeout": f"{_COMMAND_SECONDS:g}s",
            }
        with translated(f"open the database {name}"), _readable(url, variable):
            if create:
                await _ensure_exists(url, name)
            pool = await asyncpg.create_pool(
                url,
                database=name,
                min_size=min_size,
                max_size=max_size,
                timeout=_CONNECT_SECONDS,
                command_timeout=_COMMAND_SECONDS,
                max_inactive_connection_lifetime=_IDLE_SECONDS,
                statement_cache_size=0 if pooled else 100,
                server_settings=settings,
                reset=_leave_as_it_is,
            )
        return cls(pool, name, acquire_seconds=acquire_seconds)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Yield one connection of the pool; wait a limited time for a free one."""
        with translated(f"serve {self.name}"):
            async with self._pool.acquire(timeout=self._acquire_seconds) as connection:
                yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Run one transaction: committed at the end, rolled back on any exception."""
        async with self.connection() as connection, connection.transaction():
            yield connection
        await _stored()

    async def fetch(self, statement: str, *arguments: Any) -> list[Record]:
        """Return every row."""
        async with self.connection() as connection:
            return await connection.fetch(statement, *arguments)

    async def fetch_row(self, statement: str, *arguments: Any) -> Record | None:
        """Return the first row, or None."""
        async with self.connection() as connection:
            return await connection.fetchrow(statement, *arguments)

    async def fetch_value(self, statement: str, *arguments: Any) -> Any:
        """Return the first column of the first row, or None."""
        async with self.connection() as connection:
            return await connection.fetchval(statement, *arguments)

    async def execute(self, statement: str, *arguments: Any) -> str:
        """Run a statement and return the command tag, such as ``UPDATE 1``."""
        async with self.connection() as connection:
            tag = await connection.execute(statement, *arguments)
        await _stored()
        return tag

    async def ping(self) -> None:
        """Make one round trip."""
        await self.fetch_value("select 1")

    async def close(self) -> None:
        """Close every connection; busy ones are cut after a few seconds."""
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()


async def _stored() -> None:
    if faultpoints.armed is not None:
        await faultpoints.armed.reach("after_store", Retryable)


async def _leave_as_it_is(_connection: Any) -> None:
    """Skip the reset and its round trip: statements change no session state outside of a transaction."""


async def _ensure_exists(url: str, name: str) -> None:
    try:
        probe = await asyncpg.connect(url, database=name, timeout=_CONNECT_SECONDS)
    except asyncpg.InvalidCatalogNameError:
        await _create(url, name)
    else:
        await probe.close(timeout=_CLOSE_SECONDS)


async def _create(url: str, name: str) -> None:
    connection = await asyncpg.connect(url, timeout=_CONNECT_SECONDS, command_timeout=_COMMAND_SECONDS)
    try:
        # template0 accepts no connections, so no other session can block the copy, as one in template1 could.
        await connection.execute(f'create database "{name}" template template0')
    except (asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
        pass  # another replica was first
    except asyncpg.InsufficientPrivilegeError as error:
        raise ConfigurationError(
            f"HEADRACE_POSTGRES: its user may not create the database {name!r}; create it or grant "
            f"CREATEDB ({error})"
        ) from error
    finally:
        await connection.close(timeout=_CLOSE_SECONDS)


def _check_name(name: str) -> None:
    if not name or '"' in name or "\0" in name or len(name.encode()) > _NAME_BYTES:
        raise ConfigurationError(
            f"database name: got {name!r}, expected 1 to {_NAME_BYTES} bytes without quotes"
        )


def _split_pgbouncer(url: str) -> tuple[str, bool]:
    parts = urlsplit(url)
    query = parse_qsl(parts.query)
    pooled = ("pgbouncer", "true") in query
    kept = urlencode([item for item in query if item[0] != "pgbouncer"])
    return urlunsplit(parts._replace(query=kept)), pooled


@contextmanager
def _readable(url: str, variable: str = "HEADRACE_POSTGRES") -> Iterator[None]:
    """Raise asyncpg's parser error with the name of the variable and without the password."""
    try:
        yield
    except (ValueError, asyncpg.ClientConfigurationError) as error:
        shown = url.rpartition("@")[2]
        raise ConfigurationError(
            f"{variable}: got {shown!r} ({error}), expected postgresql://user:password@host:5432/database"
        ) from error
