from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import headrace_services.payload_tracker
from headrace.database.migrations import migrate
from headrace.database.pool import Database
from headrace.objects.endpoint import S3Endpoint
from headrace.objects.store import ObjectStore
from headrace.web.listener import Listener
from headrace_services.payload_tracker.api import Api
from headrace_services.payload_tracker.settings import TrackerSettings
from headrace_services.payload_tracker.store import TrackerStore

MIGRATIONS = Path(headrace_services.payload_tracker.__file__).parent / "migrations"


@pytest.fixture
async def tracker_database(database: str) -> AsyncIterator[Database]:
    opened = await Database.open(database, database.rpartition("/")[2], service="payload_tracker")
    try:
        await migrate(opened, MIGRATIONS)
        yield opened
    finally:
        await opened.close()


@pytest.fixture
def store(tracker_database: Database) -> TrackerStore:
    return TrackerStore(tracker_database)


@dataclass
class Answer:
    status: int
    body: Any
    headers: dict[str, str]


@dataclass
class Client:
    """A running tracker and how to ask it."""

    url: str
    get: Callable[..., Awaitable[Answer]]
    uploads: ObjectStore
    settings: TrackerSettings


@pytest.fixture(params=[False], ids=lambda auth: "identified" if auth else "open")
async def api(
    request: pytest.FixtureRequest, store: TrackerStore, s3_url: str, fresh: Callable[[str], str]
) -> AsyncIterator[Client]:
    """Open, as in the local shape; ``indirect`` parameter True wants identities."""
    uploads = await ObjectStore.open(S3Endpoint.parse(s3_url))
    settings = TrackerSettings(stage_bucket=fresh("stage"), kibana_url="https://kibana.example.com/discover")
    await uploads.ensure_bucket(settings.stage_bucket)
    listener = await Listener.open(
        Api(store, uploads, settings, auth=request.param).application(), "127.0.0.1", 0
    )
    url = f"http://127.0.0.1:{listener.port}"
    async with aiohttp.ClientSession() as session:

        async def get(path: str, *, prefix: str = "/api/v1", **options: Any) -> Answer:
            from yarl import URL

            async with session.get(URL(url + prefix + path, encoded=True), **options) as response:
                json = response.content_type == "application/json"
                body = await (response.json() if json else response.text())
                return Answer(response.status, body, dict(response.headers))

        yield Client(url, get, uploads, settings)
    await listener.close()
    await uploads.close()
