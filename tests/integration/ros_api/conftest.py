from collections.abc import AsyncIterator

import pytest_asyncio

from tests.integration.ros_api.harness import Api, Tenant, open_api


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(postgres_url: str) -> AsyncIterator[Api]:
    """One for a module's tests, each of which is an organisation of its own."""
    async with open_api(postgres_url, CSV_STREAM_INTERVAL="4", RECORD_LIMIT_CSV="30") as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def tenant(api: Api) -> Tenant:
    return await api.tenant()
