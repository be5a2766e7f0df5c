from collections.abc import AsyncIterator, Callable

import pytest

from tests.integration.bus.flow import Flow, open_flow


@pytest.fixture
async def flow(kafka_url: str, fresh: Callable[[str], str]) -> AsyncIterator[Flow]:
    async with open_flow(kafka_url, fresh) as opened:
        yield opened
