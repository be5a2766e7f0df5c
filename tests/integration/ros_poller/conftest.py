from collections.abc import AsyncIterator, Callable

import pytest

from headrace.database.pool import Database
from tests.engines import SessionEngines
from tests.integration.ros_poller.flow import Flow, open_flow
from tests.integration.ros_poller.kruize import Kruize
from tests.service import migrated


@pytest.fixture
async def ros(database: str) -> AsyncIterator[Database]:
    """The ROS database, empty."""
    # Tests end the connections of pollers, by their name.
    async with migrated(database, "ros_poller", opened_by="test") as opened:
        yield opened


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
