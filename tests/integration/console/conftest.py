import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

import aiohttp
import pytest

from headrace.bus.admin import ensure_topics
from headrace.contracts.topics import PAYLOAD_STATUS
from headrace.runtime.settings import EngineSettings
from headrace.service.host import Host
from headrace.service.initialise import initialise
from headrace_services.registry import BY_NAME, SERVICES
from tests.engines import SessionEngines
from tests.integration.web.conftest import _begin_at_the_end
from tests.service import own, running, url_of


@dataclass
class Console:
    """A running console, and ingress and tracker beside it."""

    url: str
    ingress: str
    host: Host
    engines: EngineSettings
    session: aiohttp.ClientSession

    async def get(self, path: str, **headers: str) -> tuple[int, str]:
        sent = {name.replace("_", "-"): text for name, text in headers.items()}
        async with self.session.get(
            f"{self.url}/console{path}", headers=sent, allow_redirects=False
        ) as response:
            return response.status, await response.text()

    async def post(self, path: str, data: object, **headers: str) -> tuple[int, str]:
        sent = {name.replace("_", "-"): text for name, text in headers.items()} | {"Origin": self.url}
        async with self.session.post(
            f"{self.url}/console{path}", data=data, headers=sent, allow_redirects=False
        ) as response:
            return response.status, response.headers.get("Location", "") or await response.text()


@pytest.fixture
async def console(engines: SessionEngines, request: pytest.FixtureRequest) -> AsyncIterator[Console]:
    """Lenient, as in the local shape; ``indirect`` parameter "strict" wants identities."""
    lenient = getattr(request, "param", "lenient") == "lenient"
    settings = EngineSettings(kafka=engines.kafka, s3=engines.s3, postgres=engines.postgres)
    tracker = own("payload_tracker", topics=[PAYLOAD_STATUS])
    ingress = own("ingress")
    await initialise(settings, [BY_NAME["ingress"], BY_NAME["console"]])
    letters = {item.topic.name: item.topic for row in SERVICES for item in row.consumes}
    await ensure_topics(settings, letters.values())
    await asyncio.gather(*(_begin_at_the_end(engines.kafka, item) for item in tracker.consumes))
    async with AsyncExitStack() as stack:
        peers = await stack.enter_async_context(running([ingress, tracker], settings, lenient=lenient))
        urls = {"CONSOLE_INGRESS_URL": url_of(peers), "CONSOLE_PAYLOAD_TRACKER_URL": url_of(peers, 1)}
        # Nothing answers there.
        urls |= {
            "CONSOLE_ARCHIVER_URL": "http://127.0.0.1:1",
            "CONSOLE_RESULTS_AGGREGATOR_URL": "http://127.0.0.1:1",
        }
        urls["CONSOLE_HEALTH_URLS"] = f"http://127.0.0.1:{peers.admin_port}/health"
        row = replace(BY_NAME["console"], port=0, port_variable="")
        host = await stack.enter_async_context(running([row], settings, lenient=lenient, environment=urls))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield Console(url_of(host), url_of(peers), host, settings, session)
