import uuid
from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest
import pytest_asyncio

from tests.engines import SessionEngines
from tests.integration.sources_api.harness import Sources, open_sources


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sources(engines: SessionEngines) -> AsyncIterator[Sources]:
    """One running Sources API for a module, which checks who asks: organisations keep its tests apart."""
    name = f"sources_{uuid.uuid4().hex[:12]}"
    connection = await asyncpg.connect(engines.postgres, timeout=60)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
        async with open_sources(engines.kafka, f"{engines.postgres.rpartition('/')[0]}/{name}") as opened:
            yield opened
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    finally:
        await connection.close()


@pytest.fixture
def org(fresh: Callable[[str], str]) -> str:
    """An organisation nobody else uses."""
    return fresh("org")


@pytest.fixture
def other_org(fresh: Callable[[str], str]) -> str:
    """Another one."""
    return fresh("other")
