from collections.abc import AsyncIterator

import pytest_asyncio

from tests.integration.results_aggregator_rest.harness import Client, open_api


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(postgres_url: str) -> AsyncIterator[Client]:
    """One for a module's tests, each of which is an organisation of its own."""
    async with open_api(postgres_url, debug=True) as opened:
        yield opened
