"""The wire against the real Sources API."""

import asyncio
from collections.abc import AsyncIterator, Callable
from uuid import uuid4

import pytest

from headrace.bus.admin import ensure_topics
from headrace.contracts.identity import Identity, encode_identity
from headrace.contracts.topics import SOURCES_RESOURCES
from headrace.runtime.settings import EngineSettings
from headrace.web.peer import Peer
from headrace_services.koku.sources import NoSource, Sources, Tenant
from tests.engines import SessionEngines
from tests.service import open_client, own, own_database, running, url_of

TENANT = Tenant("12345", "0001")


@pytest.fixture
async def peer(engines: SessionEngines, fresh: Callable[[str], str]) -> AsyncIterator[Peer]:
    settings = EngineSettings(kafka=engines.kafka, postgres=engines.postgres)
    await ensure_topics(settings, [SOURCES_RESOURCES])
    async with (
        own_database(engines.postgres) as url,
        running([own("sources_api", database=url)], settings, stop_seconds=5) as host,
        open_client() as session,
    ):
        yield Peer(session, url_of(host), name="the Sources API")


def sources(peer: Peer, *, register: bool, prefix: str = "/api/sources/v1.0") -> Sources:
    return Sources(peer, prefix=prefix, register=register, cache_seconds=0)


async def test_a_cluster_is_registered_once_however_many_do_so_and_found_from_then_on(peer: Peer) -> None:
    cluster_id = str(uuid4())
    with pytest.raises(NoSource):
        await sources(peer, register=False).of_cluster(cluster_id, TENANT)
    names = ["same", "same", "same", "other", ""]
    found = await asyncio.gather(
        *(sources(peer, register=True).of_cluster(cluster_id, TENANT, name=name) for name in names)
    )
    assert len(set(found)) == 1
    for prefix in ("/api/sources/v1.0", "/api/sources/v3.1"):
        known = await sources(peer, register=False, prefix=prefix).of_cluster(cluster_id, TENANT)
        assert known == found[0]
    with pytest.raises(NoSource):
        await sources(peer, register=False).of_cluster(cluster_id, Tenant("54321"))


async def test_what_an_operator_registered_is_found(peer: Peer) -> None:
    cluster_id = str(uuid4())
    identity = {
        "x-rh-identity": encode_identity(Identity(org_id="12345", account_number="0001", type="User"))
    }
    body = {
        "sources": [{"name": "mine", "source_type_name": "openshift", "source_ref": cluster_id}],
        "applications": [
            {"application_type_name": "/insights/platform/cost-management", "source_name": "mine"}
        ],
    }
    answer = await peer.call("POST", "/api/sources/v3.1/bulk_create", json=body, headers=identity)
    assert answer.status == 201, answer.text
    source = await sources(peer, register=False).of_cluster(cluster_id, TENANT)
    created = answer.body["sources"][0]
    assert (source.id, source.uid, source.name) == (created["id"], created["uid"], "mine")
    # Not registered a second time under the name that the cluster's manifest gives.
    again = await sources(peer, register=True).of_cluster(cluster_id, TENANT, name="another")
    assert again == source


async def test_a_name_of_another_cluster_is_left_to_it(peer: Peer) -> None:
    first, second = str(uuid4()), str(uuid4())
    known = await sources(peer, register=True).of_cluster(first, TENANT, name="same")
    source = await sources(peer, register=True).of_cluster(second, TENANT, name="same")
    assert (known.name, source.name) == ("same", second)
