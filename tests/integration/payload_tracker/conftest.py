from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from headrace.database.pool import Database
from headrace.objects.store import ObjectStore
from headrace.web.listener import Listener
from headrace_services.payload_tracker.api import Api
from headrace_services.payload_tracker.settings import TrackerSettings
from headrace_services.payload_tracker.states import States
from headrace_services.payload_tracker.store import TrackerStore
from tests.answers import Answer
from tests.service import Running, open_client


@pytest.fixture
def store(tables: Database) -> TrackerStore:
    return TrackerStore(tables)


@dataclass
class Client(Running[Answer]):
    """A running tracker and how to ask it."""

    uploads: ObjectStore
    settings: TrackerSettings

    async def get(self, path: str, *, prefix: str = "/api/v1", headers: Any = None) -> Answer:
        return await self.send_request("GET", prefix + path, headers=headers)


@pytest.fixture(params=[False], ids=lambda auth: "identified" if auth else "open")
async def api(
    request: pytest.FixtureRequest, store: TrackerStore, tables: Database, objects: ObjectStore, bucket: str
) -> AsyncIterator[Client]:
    """Open, as in the local shape; ``indirect`` parameter True wants identities."""
    settings = TrackerSettings(stage_bucket=bucket, kibana_url="https://kibana.example.com/discover")
    listener = await Listener.open(
        Api(store, States(tables), objects, settings, auth=request.param).application(), "127.0.0.1", 0
    )
    async with open_client() as session:
        yield Client(f"http://127.0.0.1:{listener.port}", session, objects, settings)
    await listener.close()
