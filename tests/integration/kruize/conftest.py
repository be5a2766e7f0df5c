from collections.abc import AsyncIterator

import pytest_asyncio

from tests.integration.kruize.harness import Kruize, open_kruize
from tests.service import own_database


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def of_the_module(postgres_url: str) -> AsyncIterator[Kruize]:
    """One for all tests of a module: it keeps nothing but what is in its database."""
    async with own_database(postgres_url) as database, open_kruize(database) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def kruize(of_the_module: Kruize) -> Kruize:
    """Without profiles and experiments; the numbers of former ones are not given again."""
    await of_the_module.fetch(
        "truncate kruize_performance_profiles, kruize_experiments, kruize_containers, kruize_results,"
        " kruize_recommendations"
    )
    return of_the_module
