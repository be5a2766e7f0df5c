"""The ledger of events that Segment has accepted, so that a resumed run does not send them again.

Keys are digests, so the ledger contains neither ids nor URLs. A key is written after Segment's answer, so a process
that is killed in between sends a batch again; Segment drops repeated events by ``messageId``.
"""

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Final, Protocol, Self, TypeAlias

from headrace.database.pool import Database
from headrace.runtime.errors import ConfigurationError, Retryable
from headrace_services.segment_bridge.transform import Event

DUPLICATE: Final = "reported before under another id"
ALREADY_SENT: Final = "sent before"

_DIGEST_BYTES: Final = 16
_PRUNED_ROWS: Final = 10_000
_SQLITE_SECONDS: Final = 30.0
# Every SQLite since 2020 accepts more variables in a statement.
_SQLITE_VARIABLES: Final = 2500


# The keys of one event: of its message, and of what may be reported only once (empty without it).
Keys: TypeAlias = tuple[bytes, bytes]


def keys_of(event: Event) -> Keys:
    """Return the keys of an event; one without a messageId has the key of its bytes."""
    message_id, once, body = event
    message = _digest(b"id ", message_id.encode()) if message_id else _digest(b"event ", body)
    return message, _digest(b"once ", once.encode()) if once else b""


def _digest(kind: bytes, content: bytes) -> bytes:
    return blake2b(kind + content, digest_size=_DIGEST_BYTES).digest()


class Ledger(Protocol):
    """Every method may be repeated. Raises `Retryable` if the store is away."""

    async def sent(self, messages: Sequence[bytes]) -> set[bytes]:
        """Return which of these messages were accepted."""

    async def first_reports(self, onces: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the message in which each of these was reported."""

    async def record(self, keys: Sequence[Keys]) -> None:
        """Record accepted events; they are durable on return."""

    async def prune(self, older_than_seconds: float) -> int:
        """Delete older messages; return their number."""


class PostgresLedger:
    """A ledger in the service's database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def sent(self, messages: Sequence[bytes]) -> set[bytes]:
        """Return them with one statement."""
        rows = await self._database.fetch("select key from sent where key = any($1::bytea[])", messages)
        return {row["key"] for row in rows}

    async def first_reports(self, onces: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return them with one statement."""
        rows = await self._database.fetch(
            "select key, message from reported_once where key = any($1::bytea[])", onces
        )
        return {row["key"]: row["message"] for row in rows}

    async def record(self, keys: Sequence[Keys]) -> None:
        """Record them in one transaction, sorted, so that two replicas cannot deadlock."""
        reports = sorted({once: message for message, once in keys if once}.items())
        async with self._database.transaction() as connection:
            await connection.execute(
                "insert into sent (key) select unnest($1::bytea[]) on conflict do nothing",
                sorted({message for message, _ in keys}),
            )
            if reports:
                await connection.execute(
                    "insert into reported_once (key, message) select * from unnest($1::bytea[], $2::bytea[])"
                    " on conflict do nothing",
                    [once for once, _ in reports],
                    [message for _, message in reports],
                )

    async def prune(self, older_than_seconds: float) -> int:
        """Delete in steps, so that no statement takes long."""
        forgotten = 0
        for table in ("sent", "reported_once"):
            while True:
                tag = await self._database.execute(
                    f"delete from {table} where ctid in (select ctid from {table}"  # noqa: S608 -- two names
                    " where sent_at < now() - make_interval(secs => $1) limit $2)",
                    older_than_seconds,
                    _PRUNED_ROWS,
                )
                deleted = int(tag.rpartition(" ")[2])
                forgotten += deleted if table == "sent" else 0
                if deleted < _PRUNED_ROWS:
                    break
        return forgotten


class SqliteLedger:
    """A ledger in a SQLite file, for the command line; several processes may use it."""

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path).expanduser()
        self._lock = asyncio.Lock()
        self._connection: sqlite3.Connection | None = None

    async def __aenter__(self) -> Self:
        self._connection = await asyncio.to_thread(self._open)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()

    def _open(self) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(self._path, timeout=_SQLITE_SECONDS, check_same_thread=False)
            connection.executescript(
                "pragma journal_mode = wal; pragma synchronous = normal;"
                "create table if not exists sent (key blob primary key, sent_at real not null) without rowid;"
                "create table if not exists reported_once"
                " (key blob primary key, message blob not null, sent_at real not null) without rowid;"
            )
        except sqlite3.Error as error:
            raise ConfigurationError(f"the ledger {self._path} cannot be opened: {error}") from None
        return connection

    async def sent(self, messages: Sequence[bytes]) -> set[bytes]:
        """Return them with a few statements."""
        return {key for (key,) in await self._select("select key from sent where key in ({})", messages)}

    async def first_reports(self, onces: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return them with a few statements."""
        rows = await self._select("select key, message from reported_once where key in ({})", onces)
        return {row[0]: row[1] for row in rows}

    async def record(self, keys: Sequence[Keys]) -> None:
        """Record them in one transaction."""
        now = time.time()
        async with self._lock:
            await asyncio.to_thread(self._record, keys, now)

    def _record(self, keys: Sequence[Keys], now: float) -> None:
        connection = self._opened()
        try:
            with connection:
                connection.executemany(
                    "insert or ignore into sent values (?, ?)", [(message, now) for message, _ in keys]
                )
                connection.executemany(
                    "insert or ignore into reported_once values (?, ?, ?)",
                    [(once, message, now) for message, once in keys if once],
                )
        except sqlite3.Error as error:
            raise Retryable(f"the ledger {self._path} cannot be written: {error}") from error

    async def prune(self, older_than_seconds: float) -> int:
        """Delete in one transaction."""
        before = time.time() - older_than_seconds

        def work() -> int:
            connection = self._opened()
            with connection:
                connection.execute("delete from reported_once where sent_at < ?", (before,))
                return connection.execute("delete from sent where sent_at < ?", (before,)).rowcount

        async with self._lock:
            return await asyncio.to_thread(work)

    async def _select(self, statement: str, keys: Sequence[bytes]) -> list[tuple[bytes, ...]]:
        def work() -> list[tuple[bytes, ...]]:
            rows: list[tuple[bytes, ...]] = []
            for start in range(0, len(keys), _SQLITE_VARIABLES):
                part = keys[start : start + _SQLITE_VARIABLES]
                rows += self._opened().execute(statement.format(",".join("?" * len(part))), part).fetchall()
            return rows

        async with self._lock:
            try:
                return await asyncio.to_thread(work)
            except sqlite3.Error as error:
                raise Retryable(f"the ledger {self._path} cannot be read: {error}") from error

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise RuntimeError("the ledger is not open")
        return self._connection
