"""Classifies PostgreSQL's errors: an engine that is away or busy, or a fault of Headrace."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import asyncpg

from headrace.runtime.errors import ConfigurationError, Retryable

# Classes and codes of SQLSTATE after which the same statement may succeed later.
_PASSING_CLASSES: Final = frozenset(
    {
        "08",  # connection exception
        "53",  # insufficient resources: disk full, out of memory, too many connections
        "57",  # operator intervention: shutting down, starting up, statement timeout
        "58",  # system error: I/O
    }
)
_PASSING_CODES: Final = frozenset(
    {
        "25006",  # read-only: a standby, or a primary being moved
        "25P03",  # idle in transaction for too long
        "40001",  # serialization failure
        "40P01",  # deadlock
        "55P03",  # lock timeout
    }
)
_REFUSED: Final = (
    asyncpg.InvalidCatalogNameError,
    asyncpg.InvalidAuthorizationSpecificationError,  # includes a wrong password
    asyncpg.InsufficientPrivilegeError,
)


class Refused(ConfigurationError):
    """PostgreSQL answers, but refuses the user, password, rights or database."""


def passes(error: asyncpg.PostgresError) -> bool:
    """Return whether the same statement may succeed later."""
    code = error.sqlstate or ""
    return code[:2] in _PASSING_CLASSES or code in _PASSING_CODES


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise `Retryable` for temporary errors; errors of the statement or its data pass unchanged."""
    try:
        yield
    except asyncpg.PostgresError as error:
        if passes(error):
            raise Retryable(f"PostgreSQL cannot {what}: {error}") from error
        if isinstance(error, _REFUSED):
            raise Refused(f"PostgreSQL refuses to {what}: {error}") from error
        raise
    except asyncpg.DataError:
        raise  # an argument of the wrong type is an InterfaceError too, but a fault of Headrace
    except (asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        # The connection was closed while the statement ran.
        raise Retryable(f"PostgreSQL cannot {what}: {error}") from error
    except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        raise Retryable(f"PostgreSQL does not answer (to {what}): {error or type(error).__name__}") from error
