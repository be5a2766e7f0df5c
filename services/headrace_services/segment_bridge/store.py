"""The service's tables beside the ledger: its runs, and its dead letters unless a file is named."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final

import orjson

from headrace.database.pool import Database

# The lock of the session that runs; other replicas' sessions wait for it.
_LOCK_KEY: Final = 0x5E6_B41D6E
_KEY_BYTES: Final = 16

_STATE: Final = """
select now() as now,
    (select began_at from runs where succeeded order by id desc limit 1) as good_began_at,
    (select count(*) from runs where succeeded is not true
        and id > coalesce((select max(id) from runs where succeeded), 0)) as failures,
    (select outcome from runs where ended_at is not null order by id desc limit 1) as outcome,
    last.began_at, last.ended_at, last.succeeded
from (select 1) as one left join lateral (select * from runs order by id desc limit 1) as last on true
"""


@dataclass(frozen=True)
class RunState:
    """The state of earlier runs; ``now`` is the database's clock, ``outcome`` that of the last run that ended."""

    now: datetime
    good_began_at: datetime | None
    failures: int
    outcome: dict[str, Any] | None
    began_at: datetime | None
    ended_at: datetime | None
    succeeded: bool | None


class Runs:
    """The table of runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[bool]:
        """Yield whether this replica may run within the block; no other replica may then.

        The lock belongs to the session, so a killed process releases it. It needs a session of its own, which a
        transaction pooler cannot provide.
        """
        async with self._database.connection() as connection:
            got: bool = await connection.fetchval("select pg_try_advisory_lock($1)", _LOCK_KEY)
            try:
                yield got
            finally:
                if got and not connection.is_closed():
                    await connection.execute("select pg_advisory_unlock($1)", _LOCK_KEY)

    async def state(self) -> RunState:
        """Return the state, with one statement."""
        row = await self._database.fetch_row(_STATE)
        if row is None:
            raise RuntimeError("the runs' state has no row")
        outcome = None if row["outcome"] is None else orjson.loads(row["outcome"])
        return RunState(**dict(row) | {"outcome": outcome})

    async def begin(self) -> int:
        """Record a new run; return its number."""
        number: int = await self._database.fetch_value("insert into runs default values returning id")
        return number

    async def end(self, number: int, outcome: dict[str, Any], *, succeeded: bool) -> None:
        """Record the outcome of a run."""
        await self._database.execute(
            "update runs set ended_at = now(), succeeded = $2, outcome = $3::text::jsonb where id = $1",
            number,
            succeeded,
            orjson.dumps(outcome).decode().replace("\\u0000", ""),
        )

    async def prune(self, older_than_seconds: float) -> None:
        """Delete old runs, except for the last successful one, and old dead letters."""
        await self._database.execute(
            "delete from runs where began_at < now() - make_interval(secs => $1)"
            " and id <> coalesce((select max(id) from runs where succeeded), 0)",
            older_than_seconds,
        )
        await self._database.execute(
            "delete from dead_letters where buried_at < now() - make_interval(secs => $1)", older_than_seconds
        )


class DeadLetterTable:
    """Dead letters in the database; equal content is stored once."""

    kept = True

    def __init__(self, database: Database) -> None:
        self.counts: Counter[str] = Counter()
        self._database = database
        self._waiting: list[tuple[bytes, str, bytes]] = []

    def bury(self, content: bytes, reason: str, name: str) -> None:
        """Add a dead letter."""
        self.counts[name] += 1
        key = blake2b(content, digest_size=_KEY_BYTES).digest()
        self._waiting.append((key, reason.replace("\0", ""), content))

    async def flush(self) -> None:
        """Store the waiting dead letters with one statement."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        try:
            await self._database.execute(
                "insert into dead_letters (key, reason, content)"
                " select * from unnest($1::bytea[], $2::text[], $3::bytea[]) on conflict do nothing",
                *map(list, zip(*waiting, strict=True)),
            )
        except BaseException:
            self._waiting = waiting + self._waiting
            raise
