"""Our collector meets our own ingress in every way to be let in."""

import hashlib
import json
from typing import Any

import pytest
import pytest_asyncio

from headrace.contracts.identity import LOCAL_ORG_ID, decode_identity
from tests.integration.ingress.harness import (
    UPLOAD,
    Ingress,
    open_ingress,
)
from tests.integration.ols_collector.harness import (
    ACCESS_TOKEN,
    API_CLUSTER_ID,
    DOCKER_CONFIG,
    OFFLINE_TOKEN,
    PULL_SECRET_AUTH,
    collect,
    open_peer,
)
from tests.unit.ols_collector.data import CLUSTER_ID, names, plan, write

pytestmark = pytest.mark.asyncio(loop_scope="module")

ORGANISATIONS = {
    hashlib.sha256(token.encode()).hexdigest(): {"org_id": "42"}
    for token in ("direct", ACCESS_TOKEN, PULL_SECRET_AUTH)
}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["strict", "lenient"])
async def ingress(kafka_url, s3_url, request):
    lenient = request.param == "lenient"
    tokens: dict[str, Any] = {} if lenient else {"TOKENS": json.dumps(ORGANISATIONS)}
    async with open_ingress(kafka_url, s3_url, lenient=lenient, **tokens) as opened:
        yield opened, LOCAL_ORG_ID if lenient else "42"


async def sent_by(ingress: Ingress):
    """Whose the one upload of this test is, as its announcement says."""
    record = (await ingress.records.all(ingress.announce_topic))[-1]
    announcement = json.loads(record.value)
    identity = decode_identity(announcement["b64_identity"])
    assert identity.org_id == announcement["org_id"]
    return identity


WAYS = {
    "direct token": ({"auth_token": "direct"}, "test"),
    "direct token of a named cluster": ({"auth_token": "direct", "cluster_id": CLUSTER_ID}, CLUSTER_ID),
    "offline token": ({"cp_offline_token": OFFLINE_TOKEN}, ""),
    "offline token of a named cluster": (
        {"cp_offline_token": OFFLINE_TOKEN, "cluster_id": CLUSTER_ID},
        CLUSTER_ID,
    ),
    "service account": ({"client_id": "me", "client_secret": "mine"}, "lightspeed-exporter"),
    "pull secret": ({}, API_CLUSTER_ID),
    "pull secret file": ({"pull_secret_file": "pull-secret", "cluster_id": CLUSTER_ID}, CLUSTER_ID),
}


@pytest.mark.parametrize("way", WAYS)
async def test_our_collector_is_let_in(ingress, tmp_path, monkeypatch, way: str):
    opened, org_id = ingress
    root = tmp_path / "data"
    write(root, "feedback/f.json", age_seconds=9)
    terms, cluster_id = WAYS[way]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pull-secret").write_text(json.dumps(DOCKER_CONFIG))
    async with open_peer(root) as peer:
        (tmp_path / "kubeconfig").write_text(kubeconfig(peer.url))
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        terms = {"auth_token": "", "cluster_id": "", "ingress_url": opened.url + UPLOAD} | terms
        outcome = await collect(plan(root, peer.url, **terms))
    assert (outcome.sent, outcome.reason) == (1, "")
    assert not names(root)
    identity = await sent_by(opened)
    assert (identity.org_id, identity.cluster_id) == (org_id, cluster_id)


def kubeconfig(url: str) -> str:
    return json.dumps(
        {
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
            "clusters": [{"name": "here", "cluster": {"server": url}}],
            "users": [{"name": "me", "user": {"token": "planted-api-token"}}],
        }
    )
