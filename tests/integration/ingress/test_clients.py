"""Every client, by every way to say who sends, in both shapes: one outcome each."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from headrace.contracts.identity import LOCAL_ORG_ID, decode_identity
from tests.integration.ingress.clients import CLIENTS, Upload, go_programs
from tests.integration.ingress.harness import (
    CLUSTER_ID,
    ID_HEADER,
    IDENTITY,
    OPERATOR,
    UPLOAD,
    Ingress,
    b64_identity,
    new_id,
    open_ingress,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

HCCM = "application/vnd.redhat.hccm.tar+tgz"
COST_OPERATOR = f"cost-mgmt-operator/8e5a8e2 cluster/{CLUSTER_ID}"
BASIC = ("user", "password")
ROWS: dict[str, dict[str, Any]] = {
    "known": {"org_id": "42"},
    "dXNlcjpwYXNzd29yZA==": {"org_id": "42"},
    "of one": {"org_id": "42", "clusters": [CLUSTER_ID]},
    "of two": {"org_id": "42", "clusters": [CLUSTER_ID, "another"]},
}
TOKENS = json.dumps({hashlib.sha256(token.encode()).hexdigest(): row for token, row in ROWS.items()})


def bearer(token: str, **headers: str) -> dict[str, Any]:
    return {"headers": {"Authorization": f"Bearer {token}"} | headers}


GATEWAY = "202 000001 User"
CLUSTER = f"202 42 System {CLUSTER_ID}"
ACCOUNT = "202 42 User"
LOCAL_CLUSTER = f"202 {LOCAL_ORG_ID} System {CLUSTER_ID}"
LOCAL_ACCOUNT = f"202 {LOCAL_ORG_ID} User"
NOT_ITS = "401 Unauthorized: Could not authenticate: the credential is not this cluster's"
NOBODY = "401 Unauthorized: Could not authenticate"
BAD_AUTHORIZATION = "400 Bad Request: Invalid authorization header"
BAD_AGENT = "400 Bad Request: Invalid user-agent"
NO_IDENTITY = "400 Bad Request: missing x-rh-identity header"

# How it is sent, the outcome in the strict shape, and in the local one.
WAYS: dict[str, tuple[dict[str, Any], str, str]] = {
    "gateway's header": ({"headers": {"x-rh-identity": IDENTITY}}, GATEWAY, GATEWAY),
    "gateway's header beside a token": (bearer("known", **{"x-rh-identity": IDENTITY}), GATEWAY, GATEWAY),
    "gateway's header without a type": (
        {"headers": {"x-rh-identity": b64_identity(type=None)}},
        "400 Bad Request: ",
        "202 000001",
    ),
    "token, insights operator": (bearer("known") | {"user_agent": OPERATOR}, CLUSTER, CLUSTER),
    "token, cost operator": (bearer("known") | {"user_agent": COST_OPERATOR}, CLUSTER, CLUSTER),
    "token, the client's own name": (bearer("known"), ACCOUNT, ACCOUNT),
    "token, no name": (bearer("known") | {"user_agent": ""}, ACCOUNT, ACCOUNT),
    "token of one cluster": (bearer("of one"), CLUSTER, CLUSTER),
    "token of two clusters": (bearer("of two"), NOT_ITS, NOT_ITS),
    "password, the client's own name": ({"basic": BASIC}, ACCOUNT, ACCOUNT),
    "password, cost operator": ({"basic": BASIC, "user_agent": COST_OPERATOR}, CLUSTER, CLUSTER),
    "unknown token": (bearer("unknown"), NOBODY, LOCAL_ACCOUNT),
    "unknown token, operator": (bearer("unknown") | {"user_agent": OPERATOR}, NOBODY, LOCAL_CLUSTER),
    "unknown password": ({"basic": ("user", "wrong")}, NOBODY, LOCAL_ACCOUNT),
    "operator without a cluster": (
        bearer("known") | {"user_agent": "insights-operator/1 cluster/"},
        BAD_AGENT,
        BAD_AGENT,
    ),
    "another scheme": (
        {"headers": {"Authorization": "Digest known"}},
        BAD_AUTHORIZATION,
        BAD_AUTHORIZATION,
    ),
    "nothing": ({}, NO_IDENTITY, NO_IDENTITY),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["strict", "lenient"])
async def ingress(
    kafka_url: str, s3_url: str, request: pytest.FixtureRequest
) -> AsyncIterator[tuple[Ingress, bool]]:
    lenient = request.param == "lenient"
    async with open_ingress(kafka_url, s3_url, lenient=lenient, TOKENS=TOKENS) as opened:
        yield opened, lenient


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_client_is_known_by_each_way_to_say_who_it_is(ingress: tuple[Ingress, bool], client: str):
    opened, lenient = ingress
    if "Go" in client:
        await asyncio.to_thread(go_programs)

    async def outcome(way: dict[str, Any]) -> str:
        request_id = new_id()
        headers = {ID_HEADER: request_id} | way.get("headers", {})
        upload = Upload(opened.url + UPLOAD, HCCM, b"\x1f\x8babc", **(way | {"headers": headers}))
        status, text = await CLIENTS[client](upload)
        if status != 202:
            return f"{status} {text.strip()}"
        assert json.loads(text)["request_id"] == request_id
        assert await opened.objects(request_id)
        return f"{status} {await sender(opened, request_id)}".strip()

    found = await asyncio.gather(*(outcome(way) for way, _, _ in WAYS.values()))
    wanted = {name: local if lenient else strict for name, (_, strict, local) in WAYS.items()}
    # A refusal may say more than what is told here.
    assert {
        name: text[: len(wanted[name])] if wanted[name].startswith("400") else text
        for name, text in zip(WAYS, found, strict=True)
    } == wanted


async def sender(ingress: Ingress, request_id: str) -> str:
    """Whose an upload is, as consumers are told."""
    identity = decode_identity((await ingress.announcement(request_id))["b64_identity"], type_required=False)
    return " ".join(filter(None, (identity.org_id, identity.type, identity.cluster_id)))
