"""Half-month partitions of tables with measurements: created before they are needed, dropped when old.

A table is ``partition by range (<column>)`` on a timestamptz, without a default partition, so that adding one
takes no lock that blocks readers or writers.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

import asyncpg

from headrace.contracts.message import rfc3339, utc_now
from headrace.database.pool import Connection, Database
from headrace.runtime.logging import get_logger

_log = get_logger(__name__)

_MIDDLE: Final = 16
_LOCK_KEY: Final = 0x4EAD_2ACF
T = TypeVar("T")

_TABLE: Final = re.compile(r"[a-z][a-z0-9_]{0,49}")


@dataclass(frozen=True, order=True)
class HalfMonth:
    """Days 1 to 15 of a month, or the days after."""

    start: datetime

    @classmethod
    def of(cls, moment: datetime) -> "HalfMonth":
        """Return the half-month that contains a time, in UTC."""
        utc = moment.astimezone(UTC)
        day = 1 if utc.day < _MIDDLE else _MIDDLE
        return cls(utc.replace(day=day, hour=0, minute=0, second=0, microsecond=0))

    @property
    def end(self) -> datetime:
        """The start of the next half-month."""
        if self.start.day == 1:
            return self.start.replace(day=_MIDDLE)
        return (self.start + timedelta(days=20)).replace(day=1)

    def ahead(self, count: int) -> "list[HalfMonth]":
        """Return this half-month and the next ones, ``count`` in total."""
        halves = [self]
        while len(halves) < count:
            halves.append(HalfMonth(halves[-1].end))
        return halves

    @property
    def suffix(self) -> str:
        """``2026_11_16``."""
        return f"{self.start:%Y_%m_%d}"


class Partitions:
    """The partitions of one table."""

    def __init__(
        self,
        database: Database,
        table: str,
        *,
        on_missing: Callable[[], None] = lambda: None,
        maker: str = "",
    ) -> None:
        """``on_missing`` is called when an existing partition has disappeared, so that it can be counted.

        ``maker`` is a function ``(table text, start timestamptz, end timestamptz)`` of the database that
        creates one, for roles that do not own the table and cannot attach partitions.
        """
        if not _TABLE.fullmatch(table):
            raise ValueError(f"got table name {table!r}, expected {_TABLE.pattern}")
        self._database = database
        self._table = table
        self._on_missing = on_missing
        self._maker = maker
        self._known: set[HalfMonth] = set()
        self._making = asyncio.Lock()

    async def ensure(self, moments: Iterable[datetime]) -> None:
        """Create the missing partitions for rows of these times."""
        wanted = {HalfMonth.of(moment) for moment in moments}
        if wanted <= self._known:
            return
        async with self._making:
            if missing := sorted(wanted - self._known):
                async with self._database.transaction() as connection:
                    await self._take_turn(connection)
                    for half in missing:
                        await self._make(connection, half)
                self._known |= wanted

    async def fill(self, moments: Collection[datetime], write: Callable[[], Awaitable[T]]) -> T:
        """Write rows of these times after creating their partitions.

        The write is repeated once if another replica dropped a partition meanwhile; ``write`` is one
        transaction.
        """
        await self.ensure(moments)
        try:
            return await write()
        except asyncpg.CheckViolationError as error:
            if "no partition" not in str(error):
                raise
        self._on_missing()
        self._known.clear()
        await self.ensure(moments)
        return await write()

    async def retire(self, before: datetime) -> list[str]:
        """Drop partitions that end before a time; return their names.

        A partition that was created after that time stays: data that is old on arrival is kept as long as new
        data.
        """
        async with self._database.transaction() as connection:
            await self._take_turn(connection)
            rows = await connection.fetch(
                "select c.relname as name, coalesce(obj_description(c.oid), '') as made_at from pg_inherits i"
                " join pg_class c on c.oid = i.inhrelid where i.inhparent = to_regclass($1)",
                self._table,
            )
            old = sorted(row["name"] for row in rows if self._is_old(row["name"], row["made_at"], before))
            for name in old:
                await connection.execute(f"drop table if exists {name}")
                _log.info("partition_dropped", table=self._table, partition=name)
        self._known.clear()
        return old

    async def _take_turn(self, connection: Connection) -> None:
        """Order replicas: `attach` and `drop` of one table must not run concurrently."""
        await connection.execute("select pg_advisory_xact_lock($1, hashtext($2))", _LOCK_KEY, self._table)

    async def _make(self, connection: Connection, half: HalfMonth) -> None:
        name = f"{self._table}_{half.suffix}"
        if await connection.fetchval("select to_regclass($1)", name) is not None:
            return
        if self._maker:
            await connection.execute(f"select {self._maker}($1, $2, $3)", self._table, half.start, half.end)
            _log.info("partition_made", table=self._table, partition=name)
            return
        await connection.execute(
            f"create table {name} (like {self._table} including defaults including constraints);"
            f"comment on table {name} is '{rfc3339(utc_now())}';"
            f"alter table {self._table} attach partition {name}"
            f" for values from ('{half.start.isoformat()}') to ('{half.end.isoformat()}')"
        )
        _log.info("partition_made", table=self._table, partition=name)

    def _is_old(self, name: str, made_at: str, before: datetime) -> bool:
        try:
            start = datetime.strptime(name.removeprefix(self._table + "_"), "%Y_%m_%d").replace(tzinfo=UTC)
            made = datetime.fromisoformat(made_at) if made_at else start
        except ValueError:
            return False  # not one of ours
        return HalfMonth(start).end <= before and made < before
