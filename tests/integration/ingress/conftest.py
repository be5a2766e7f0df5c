from collections.abc import AsyncIterator

import pytest_asyncio

from tests.integration.ingress.harness import Ingress, open_ingress


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ingress(kafka_url: str, s3_url: str) -> AsyncIterator[Ingress]:
    """Strict, with upstream's defaults; shared by a module's tests, each of which uses ids of its own."""
    async with open_ingress(
        kafka_url,
        s3_url,
        DENY_LISTED_ORGIDS="666 667",
        DEFAULTMAXSIZE="8000000",
        MAXSIZEMAP='{"qpc": 1000, "tower": 12000000}',
    ) as opened:
        yield opened
