from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

import headrace.ros
from headrace.database.migrations import migrate
from headrace.database.pool import Database
from tests.engines import SessionEngines
from tests.integration.ros_poller.flow import Flow, open_flow
from tests.integration.ros_poller.kruize import Kruize

MIGRATIONS = Path(headrace.ros.__file__).parent / "migrations"


@pytest.fixture
async def ros(database: str) -> AsyncIterator[Database]:
    """The ROS database, empty."""
    opened = await Database.open(database, database.rpartition("/")[2], service="test")
    try:
        await migrate(opened, MIGRATIONS)
        yield opened
    finally:
        await opened.close()


@pytest.fixture
async def kruize() -> AsyncIterator[Kruize]:
    async with Kruize.serving() as serving:
        yield serving


@pytest.fixture
async def flow(
    engines: SessionEngines, ros: Database, kruize: Kruize, fresh: Callable[[str], str]
) -> AsyncIterator[Flow]:
    async with open_flow(engines, ros, kruize, fresh) as opened:
        yield opened
