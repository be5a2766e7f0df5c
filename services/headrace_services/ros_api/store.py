"""The ROS tables, read only."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from asyncpg.cursor import Cursor

from headrace.database.counts import Count, count_rows
from headrace.database.pool import Connection, Database, Record
from headrace.ros.metrics import DB_ERRORS
from headrace.runtime.errors import Retryable
from headrace.runtime.logging import get_logger
from headrace_services.ros_api.queries import Selection

_log = get_logger(__name__)

_UNAVAILABLE: Final = "unable to fetch records from database"
_QUEUE_SECONDS: Final = 5.0


@dataclass
class Reading:
    """The rows of one listing, and how many there are on all its pages, both of one moment."""

    _connection: Connection
    _selection: Selection
    _cursor: "Cursor[Record]"
    _offset: int
    _seen: int = 0
    _more: bool = True

    async def batches(self, size: int) -> AsyncIterator[list[Record]]:
        """The rows, so many at a time."""
        while self._more:
            rows = await self._cursor.fetch(size)
            self._seen += len(rows)
            self._more = len(rows) == size
            if rows:
                yield rows

    async def count(self, limit: int | None) -> Count:
        """Of all pages, once the rows were read; asked of PostgreSQL only where they do not tell."""
        is_last = limit is None or self._seen < limit
        if is_last and (self._seen or not self._offset):
            return Count(self._offset + self._seen)
        return await count_rows(self._connection, self._selection.count, *self._selection.count_arguments)


class RosStore:
    """Raises `Retryable` with upstream's text when PostgreSQL is away."""

    def __init__(self, database: Database, *, max_streams: int) -> None:
        self._database = database
        self._streams = asyncio.Semaphore(max_streams)

    async def row(self, statement: str, arguments: tuple[Any, ...]) -> Record | None:
        """The one row, or None."""
        with _told():
            return await self._database.fetch_row(statement, *arguments)

    async def rows(self, statement: str, arguments: tuple[Any, ...]) -> list[Record]:
        """Every row of a statement that bounds them."""
        with _told():
            return await self._database.fetch(statement, *arguments)

    @asynccontextmanager
    async def reading(self, selection: Selection, *, offset: int, is_long: bool) -> AsyncGenerator[Reading]:
        """Open a listing; a long one waits for its turn, so that connections are left for the short ones."""
        async with self._turn(is_long=is_long):
            with _told():
                async with (
                    self._database.connection() as connection,
                    connection.transaction(isolation="repeatable_read", readonly=True),
                ):
                    cursor = await connection.cursor(selection.rows, *selection.rows_arguments)
                    yield Reading(connection, selection, cursor, offset)

    @asynccontextmanager
    async def _turn(self, *, is_long: bool) -> AsyncIterator[None]:
        if not is_long:
            yield
            return
        try:
            async with asyncio.timeout(_QUEUE_SECONDS):
                await self._streams.acquire()
        except TimeoutError:
            raise Retryable("too many long answers are in progress; request pages, or retry later") from None
        try:
            yield
        finally:
            self._streams.release()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except Retryable as error:
        DB_ERRORS.inc()
        _log.warning("database_unavailable", reason=str(error))
        raise Retryable(_UNAVAILABLE) from error
