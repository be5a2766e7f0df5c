"""Numbered plain-SQL files, each applied once, in order.

Rule: a migration runs while the previous release is still serving, so it must suit both; what the old code
reads is removed one release later. An applied file is never changed. Several replicas may start at once: an
advisory lock orders them. Each migration's transaction holds the lock, so it also works through a pooler.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg

from headrace.database.errors import passes
from headrace.database.pool import Connection, Database
from headrace.runtime.errors import ConfigurationError, Retryable
from headrace.runtime.logging import get_logger

_log = get_logger(__name__)

_NAME: Final = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_LOCK_KEY: Final = 0x4EAD_2ACE
# Another replica's migration may take as long as its longest statement.
_WAIT_SECONDS: Final = 120
# A longer wait for a lock would queue every reader of the table behind it.
_LOCK_SECONDS: Final = 4
_STATEMENT_SECONDS: Final = 60

_TABLE: Final = """
create table if not exists schema_migrations (
    name text primary key,
    checksum text not null,
    applied_at timestamptz not null default now()
)
"""


@dataclass(frozen=True)
class Migration:
    """One migration file."""

    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """The digest of the text that was applied."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def read_migrations(directory: Path) -> list[Migration]:
    """Return the files of a directory in order; raises `ConfigurationError` unless they count 0001, 0002, ..."""
    names = sorted(path.name for path in directory.glob("*.sql"))
    for number, name in enumerate(names, 1):
        match = _NAME.fullmatch(name)
        if match is None or int(match[1]) != number:
            raise ConfigurationError(
                f"{directory / name}: expected a file named {number:04}_lower_case.sql here"
            )
    if not names:
        raise ConfigurationError(f"{directory}: contains no migrations")
    return [Migration(name, (directory / name).read_text(encoding="utf-8")) for name in names]


async def migrate(database: Database, directory: Path) -> list[str]:
    """Apply the missing migrations and return their names.

    Raises `ConfigurationError` for a file that was changed after it was applied, or that PostgreSQL refuses;
    `Retryable` if a lock is not available in time.
    """
    migrations = read_migrations(directory)
    applied: list[str] = []
    while True:
        async with database.transaction() as connection:
            await _take_turn(connection)
            missing = await _missing(connection, migrations)
            if not missing:
                return applied
            await _apply(connection, missing[0])
        applied.append(missing[0].name)
        _log.info("migration_applied", database=database.name, migration=missing[0].name)


async def await_migrated(database: Database, directory: Path) -> None:
    """For a role without the right to migrate: raise `Retryable` until the database's owner has applied every file."""
    migrations = read_migrations(directory)
    async with database.connection() as connection:
        there = await connection.fetchval("select to_regclass('schema_migrations') is not null")
        missing = await _missing(connection, migrations) if there else migrations
    if missing:
        raise Retryable(
            f"the database {database.name} has no {missing[0].name} yet: start the service that owns it, "
            "or run `headrace init`"
        )


async def _take_turn(connection: Connection) -> None:
    await connection.execute(f"set local statement_timeout = '{_WAIT_SECONDS}s'", timeout=_WAIT_SECONDS)
    await connection.execute(f"set local lock_timeout = '{_WAIT_SECONDS}s'")
    await connection.execute("select pg_advisory_xact_lock($1)", _LOCK_KEY, timeout=_WAIT_SECONDS)
    await connection.execute(f"set local lock_timeout = '{_LOCK_SECONDS}s'")
    await connection.execute(f"set local statement_timeout = '{_STATEMENT_SECONDS}s'")
    await connection.execute(_TABLE)


async def _missing(connection: Connection, migrations: list[Migration]) -> list[Migration]:
    """Return the migrations that are not applied.

    Unknown names in the database belong to a newer release, which keeps this one working.
    """
    applied = {
        row["name"]: row["checksum"] for row in await connection.fetch("select * from schema_migrations")
    }
    for migration in migrations:
        if applied.get(migration.name, migration.checksum) != migration.checksum:
            raise ConfigurationError(
                f"migration {migration.name} was changed after it was applied; restore it and put the "
                "change into a new file"
            )
    return [migration for migration in migrations if migration.name not in applied]


async def _apply(connection: Connection, migration: Migration) -> None:
    try:
        await connection.execute(migration.sql, timeout=_STATEMENT_SECONDS)
    except asyncpg.PostgresError as error:
        if passes(error):
            raise
        raise ConfigurationError(f"migration {migration.name} failed: {error}") from error
    await connection.execute(
        "insert into schema_migrations (name, checksum) values ($1, $2)", migration.name, migration.checksum
    )
