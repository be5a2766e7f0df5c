"""The PostgreSQL role of a service, and its database opened with that role."""

import os
import sys
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote, urlsplit

from headrace.database.errors import Refused
from headrace.database.migrations import await_migrated, migrate
from headrace.database.pool import Database
from headrace.database.roles import Role
from headrace.runtime.errors import ConfigurationError, Retryable
from headrace.runtime.logging import get_logger
from headrace.runtime.retries import RetryPolicy, retrying
from headrace.runtime.settings import EngineSettings
from headrace.service.row import Service

_log = get_logger(__name__)

# `headrace init` creates roles and databases, and the owner of a database its tables; services that start earlier wait
# so long for them.
_PATIENCE: Final = RetryPolicy(attempts=sys.maxsize, budget_seconds=120.0, cap_seconds=5.0)


def url_of(row: Service, engines: EngineSettings) -> str:
    """Return the URL with the service's own role if it is set, else the common one."""
    return os.environ.get(row.role_variable) or engines.postgres


def roles_of(rows: Iterable[Service]) -> list[Role]:
    """Return the roles of the services that have one; raises `ConfigurationError` for a URL without a user."""
    return [
        _role(row, url) for row in rows if row.database and (url := os.environ.get(row.role_variable, ""))
    ]


async def awaited_database(row: Service, engines: EngineSettings) -> Database:
    """Return the database, open and migrated; a service with its own role waits for others to create it."""
    if not os.environ.get(row.role_variable):
        return await opened_database(row, engines)
    return await retrying(_PATIENCE, lambda: _opened_or_told(row, engines))


async def opened_database(row: Service, engines: EngineSettings) -> Database:
    """Return the database, open and migrated. Raises `Retryable` while others have to create or migrate it."""
    if row.database is None:
        raise ConfigurationError(
            f"{row.name}: its row in services/headrace_services/registry.py names no database"
        )
    own = bool(os.environ.get(row.role_variable))
    variable = row.role_variable if own else "HEADRACE_POSTGRES"
    try:
        database = await Database.open(
            url_of(row, engines), row.database, service=row.name, create=not own, variable=variable
        )
    except Refused as error:
        if own:
            raise Retryable(f"{error}; `headrace init` creates what {variable} names") from error
        raise
    try:
        await (await_migrated if own and row.access != "owns" else migrate)(database, row.migrations)
    except BaseException:
        await database.close()
        raise
    return database


async def _opened_or_told(row: Service, engines: EngineSettings) -> Database:
    try:
        return await opened_database(row, engines)
    except Retryable as error:
        _log.warning("database_not_ready", service=row.name, reason=str(error))
        raise


def _role(row: Service, url: str) -> Role:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ConfigurationError(f"{row.role_variable}: got an invalid URL ({error})") from None
    if not parts.username:
        raise ConfigurationError(
            f"{row.role_variable}: got a URL without a user, expected postgresql://user:password@host:5432/"
        )
    return Role(unquote(parts.username), row.database or "", row.access, unquote(parts.password or ""))
