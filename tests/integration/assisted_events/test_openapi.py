"""The document that the service serves says what it does: made-up requests, checked against it."""

import asyncio

import pytest
from schemathesis.specs.openapi.checks import (
    ignored_auth,
    negative_data_rejection,
    positive_data_acceptance,
)

from headrace_services.assisted_events.api import PREFIX
from tests.answers import raw_status
from tests.integration.assisted_events.harness import Sender, open_sender
from tests.openapi import check_all

pytestmark = [
    # The service draws its jitter in the same process, while hypothesis watches for just that.
    pytest.mark.filterwarnings("ignore:Do not use the `random` module"),
]

NOT_CHECKED = [
    # The token is for everybody; its refusals have a test of their own.
    ignored_auth,
    # Made-up clusters and archives are none.
    positive_data_acceptance,
    # An empty body is a simulation by default, a number's text a number.
    negative_data_rejection,
]


@pytest.mark.parametrize("sender", [{"ENABLE_DATA_COLLECTION": "false"}], indirect=True)
async def test_every_answer_is_in_the_document(sender: Sender) -> None:
    (cluster_id,) = await sender.simulate()
    served = await sender.call("GET", "/openapi.json")
    # Made-up simulations of a million events would last.
    properties = served["components"]["schemas"]["Simulation"]["properties"]
    for name, most in (("clusters", 2), ("hosts", 3), ("events", 30)):
        properties[name]["maximum"] = most
    checked = await asyncio.to_thread(
        check_all,
        served,
        sender.url + PREFIX,
        {},
        not_checked=NOT_CHECKED,
        examples=4,
        known={"cluster_id": cluster_id},
    )
    assert len(checked) == sum(len(methods) for methods in served["paths"].values())


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
