from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from tests.engines import SessionEngines
from tests.integration.sources_api.harness import Sources, open_sources
from tests.service import own_database


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sources(engines: SessionEngines) -> AsyncIterator[Sources]:
    """One running Sources API for a module, which checks who asks: organisations keep its tests apart."""
    async with (
        own_database(engines.postgres) as database,
        open_sources(engines.kafka, database) as opened,
    ):
        yield opened


@pytest.fixture
def org(fresh: Callable[[str], str]) -> str:
    """An organisation nobody else uses."""
    return fresh("org")


@pytest.fixture
def other_org(fresh: Callable[[str], str]) -> str:
    """Another one."""
    return fresh("other")
