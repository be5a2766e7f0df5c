"""What tests of handlers and services stand on, each on the session's engines."""

from collections.abc import AsyncIterator, Callable

import pytest

from headrace.database.pool import Database
from headrace.objects.endpoint import S3Endpoint
from headrace.objects.store import ObjectStore
from headrace.runtime.settings import EngineSettings
from tests.handling import Noted
from tests.service import migrated


@pytest.fixture
async def objects(s3_url: str) -> AsyncIterator[ObjectStore]:
    """A client of the session's S3 server."""
    opened = await ObjectStore.open(S3Endpoint.parse(s3_url))
    yield opened
    await opened.close()


@pytest.fixture
async def bucket(objects: ObjectStore, fresh: Callable[[str], str]) -> str:
    """An empty bucket."""
    name = fresh("bucket")
    await objects.ensure_bucket(name)
    return name


@pytest.fixture
async def noted(kafka_url: str) -> AsyncIterator[Noted]:
    """A producer that notes what was acknowledged."""
    opened = await Noted.open(EngineSettings(kafka=kafka_url), service="test")
    yield opened
    await opened.close()


@pytest.fixture
async def tables(request: pytest.FixtureRequest, database: str) -> AsyncIterator[Database]:
    """An empty database with the tables of the service whose folder the test is in."""
    async with migrated(database, request.path.parent.name) as opened:
        yield opened
