from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.integration.assisted_events.harness import Endpoint, Sender, new_name, open_endpoint, open_sender
from tests.service import connected


@pytest_asyncio.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with open_endpoint() as opened:
        yield opened


@pytest_asyncio.fixture
async def database_name(postgres_url: str) -> AsyncIterator[str]:
    name = new_name()
    yield name
    async with connected(postgres_url) as admin:
        await admin.execute(f"drop database if exists {name} with (force)")


@pytest_asyncio.fixture
async def sender(
    postgres_url: str, database_name: str, endpoint: Endpoint, request: pytest.FixtureRequest
) -> AsyncIterator[Sender]:
    environment = getattr(request, "param", {})
    async with open_sender(
        postgres_url, database_name, DATA_UPLOAD_ENDPOINT=endpoint.url, **environment
    ) as opened:
        yield opened
