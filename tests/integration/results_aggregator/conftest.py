from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import headrace_services.results_aggregator
from headrace.database.migrations import migrate
from headrace.database.pool import Database

MIGRATIONS = Path(headrace_services.results_aggregator.__path__[0]) / "migrations"


@pytest.fixture
async def aggregator_database(database: str) -> AsyncIterator[Database]:
    """A database with the aggregator's tables, empty."""
    opened = await Database.open(database, database.rpartition("/")[2], service="results_aggregator")
    try:
        await migrate(opened, MIGRATIONS)
        yield opened
    finally:
        await opened.close()
