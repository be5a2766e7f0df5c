from collections.abc import AsyncIterator

import pytest

from tests.integration.kruize.harness import Kruize, open_kruize


@pytest.fixture
async def kruize(database: str) -> AsyncIterator[Kruize]:
    async with open_kruize(database) as opened:
        yield opened
