"""The document that the service serves says what it does: made-up requests, checked against it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from headrace_services.assisted_events.api import PREFIX, Api
from tests.answers import raw_status
from tests.integration.assisted_events.harness import Sender, open_sender
from tests.openapi import ABSENT, Conformance, Served


@pytest_asyncio.fixture
async def served(postgres_url: str, database_name: str) -> AsyncIterator[Served]:
    async with open_sender(postgres_url, database_name, ENABLE_DATA_COLLECTION="false") as sender:
        (cluster_id,) = await sender.simulate()
        yield Served(sender.url, known={"cluster_id": cluster_id})


class TestAssistedEvents(Conformance):
    """The token is for everybody, its refusals have a test of their own; made-up clusters and archives are none; an
    empty body is a simulation by default, a number's text a number.
    """

    prefix = PREFIX
    examples = 4
    unlisted = frozenset({"/health"})

    def application(self) -> web.Application:
        return Api(*[ABSENT] * 6).application()

    def narrowed(self, document: dict[str, Any]) -> dict[str, Any]:
        """Simulations of a million events would last."""
        properties = document["components"]["schemas"]["Simulation"]["properties"]
        for name, most in (("clusters", 2), ("hosts", 3), ("events", 30)):
            properties[name]["maximum"] = most
        return document


async def test_outside_the_local_shape_nothing_is_open_without_a_token(
    postgres_url: str, database_name: str
) -> None:
    async with open_sender(postgres_url, database_name, lenient=False) as sender:
        document = await sender.call("GET", "/openapi.json")
        routes = [
            (method.upper(), path.replace("{cluster_id}", "11111111-2222-4333-8444-555555555555"))
            for path, methods in document["paths"].items()
            for method in methods
            if path != "/openapi.json"
        ]
        for method, path in routes:
            status, answer = await sender.ask(method, path)
            assert (status, "ASSISTED_EVENTS_TOKEN, which is not set" in str(answer)) == (401, True), path
            for header in ("Bearer", "Bearer ", "Bearer secret", "Basic secret"):
                sent = [("Authorization", header)]
                assert await raw_status(sender.url, PREFIX + path, sent, method) == 401, path
            for sent in (
                [("Authorization", "Bearer \udcff")],
                [("Authorization", "Bearer a"), ("Authorization", "Bearer b")],
            ):
                assert await raw_status(sender.url, PREFIX + path, sent, method) == 400, path
    async with open_sender(
        postgres_url, database_name, lenient=False, ASSISTED_EVENTS_AUTH="false"
    ) as sender:
        assert (await sender.ask("GET", "/sendings"))[0] == 200


@pytest.mark.parametrize("sender", [{"ASSISTED_EVENTS_TOKEN": "secret"}], indirect=True)
async def test_with_a_token_nothing_but_health_and_the_document_is_for_everybody(sender: Sender) -> None:
    assert (await sender.ask("GET", "/sendings"))[0] == 401
    assert (await sender.ask("POST", "/simulations", json={}))[0] == 401
    assert (await sender.ask("GET", "/openapi.json"))[0] == 200
    async with sender.session.get(f"{sender.url}/health") as response:
        assert response.status == 200
    headers = {"Authorization": "Bearer secret"}
    async with sender.session.get(f"{sender.url}{PREFIX}/sendings", headers=headers) as response:
        assert response.status == 200
