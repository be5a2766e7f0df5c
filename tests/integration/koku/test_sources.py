import asyncio
from typing import Any

import pytest

from headrace.runtime.errors import Permanent, Rejected, Retryable
from headrace_services.koku.sources import NoSource, Tenant
from tests.integration.koku.conftest import ORG, ROS_HEADER, Bench, manifest
from tests.unit.archives.tars import tar_gz

TENANT = Tenant(ORG, "0001")


def archive(bench: Bench, **fields: Any) -> bytes:
    listed = {"resource_optimization_files": ["a.csv"]} | fields
    return tar_gz({"manifest.json": manifest(bench.cluster, **listed), "a.csv": ROS_HEADER})


async def test_an_unknown_cluster_is_a_success_to_the_broker_and_a_reason_to_a_person(bench: Bench) -> None:
    with pytest.raises(Rejected, match=f"{bench.cluster} is not known to the organisation {ORG}"):
        await bench.handle(await bench.upload(archive(bench)))
    assert (bench.verdicts, bench.events, await bench.objects()) == (["success"], [], {})


async def test_another_organisations_source_is_nobodys(bench: Bench) -> None:
    bench.peer.add(bench.cluster, "another")
    with pytest.raises(NoSource):
        await bench.handle(await bench.upload(archive(bench)))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"application": False}, "has no cost-management application"),
        ({"paused_at": "2026-08-01T00:00:00Z"}, "is paused"),
    ],
)
async def test_a_source_that_is_not_to_be_used_is_said_to_be(
    bench: Bench, fields: dict[str, Any], reason: str
) -> None:
    bench.peer.add(bench.cluster, ORG, **fields)
    with pytest.raises(NoSource, match=reason):
        await bench.handle(await bench.upload(archive(bench)))
    assert bench.verdicts == ["success"]


async def test_an_unknown_cluster_is_registered_where_that_is_wanted(bench: Bench) -> None:
    message = await bench.upload(archive(bench, cr_status={"source": {"name": "my\0 cluster"}}))
    await bench.handle(message, sources=bench.sources(register=True))
    (source,) = bench.peer.of(ORG)
    assert (source["name"], source["source_ref"], source["source_type_id"]) == (
        "my cluster",
        bench.cluster,
        "8",
    )
    (application,) = bench.peer.of(ORG, "applications")
    assert (application["source_id"], application["application_type_id"]) == (source["id"], "5")
    assert bench.events[0].metadata.provider_uuid == source["uid"]


async def test_registrations_that_race_end_in_one_source(bench: Bench) -> None:
    bench.peer.rendezvous = 3
    processes = [bench.sources(register=True) for _ in range(3)]
    found = await asyncio.gather(
        *(process.of_cluster(bench.cluster, TENANT, name="same") for process in processes)
    )
    assert len(bench.peer.of(ORG)) == 1
    assert {source.uid for source in found} == {bench.peer.of(ORG)[0]["uid"]}


async def test_registrations_under_two_names_that_race_end_in_one_source(bench: Bench) -> None:
    bench.peer.rendezvous = 2
    found = await asyncio.gather(
        *(bench.sources(register=True).of_cluster(bench.cluster, TENANT, name=name) for name in ("a", "b"))
    )
    assert len(bench.peer.of(ORG)) == 1
    assert {source.uid for source in found} == {bench.peer.of(ORG)[0]["uid"]}


async def test_archives_of_one_process_register_a_cluster_once(bench: Bench) -> None:
    sources = bench.sources(register=True, cache_seconds=60)
    await asyncio.gather(*(sources.of_cluster(bench.cluster, TENANT, name="same") for _ in range(10)))
    assert bench.peer.calls.count("POST /sources") == 1


async def test_a_name_that_another_cluster_has_is_not_taken_from_it(bench: Bench) -> None:
    other = bench.peer.add("other", ORG, name="same")
    source = await bench.sources(register=True).of_cluster(bench.cluster, TENANT, name="same")
    assert source.name == bench.cluster
    assert bench.peer.of(ORG)[0] == other
    bench.peer.add("third", ORG, name="4")
    bench.peer.add("third", ORG, name="5")
    source = await bench.sources(register=True).of_cluster("5", TENANT, name="4")
    assert source.name == "4 5"


async def test_a_source_without_its_application_gets_one(bench: Bench) -> None:
    known = bench.peer.add(bench.cluster, ORG, application=False)
    source = await bench.sources(register=True).of_cluster(bench.cluster, TENANT, name="x")
    assert source.uid == known["uid"]
    assert len(bench.peer.of(ORG, "applications")) == 1
    assert len(bench.peer.of(ORG)) == 1


async def test_of_two_sources_of_a_cluster_the_older_one_counts(bench: Bench) -> None:
    first = bench.peer.add(bench.cluster, ORG, name="1")
    bench.peer.add(bench.cluster, ORG, name="2")
    bench.peer.rows["sources"].reverse()
    assert (await bench.sources().of_cluster(bench.cluster, TENANT)).uid == first["uid"]


async def test_an_answer_is_remembered_for_a_while_and_no_longer(bench: Bench) -> None:
    now = 0.0
    sources = bench.sources(cache_seconds=30, clock=lambda: now)
    with pytest.raises(NoSource):
        await sources.of_cluster(bench.cluster, TENANT)
    bench.peer.add(bench.cluster, ORG, name="before")
    assert (await sources.of_cluster(bench.cluster, TENANT)).name == "before"
    bench.peer.of(ORG)[0]["name"] = "after"
    calls = len(bench.peer.calls)
    now = 29.9
    assert (await sources.of_cluster(bench.cluster, TENANT)).name == "before"
    assert len(bench.peer.calls) == calls
    now = 30.1
    assert (await sources.of_cluster(bench.cluster, TENANT)).name == "after"
    # One organisation's answer is not another's.
    with pytest.raises(NoSource):
        await sources.of_cluster(bench.cluster, Tenant("another"))


async def test_a_sources_api_that_cannot_answer_holds_the_archive(bench: Bench) -> None:
    bench.peer.add(bench.cluster, ORG)
    message = await bench.upload(archive(bench))
    for status in (401, 403, 429, 500, 503):
        bench.peer.status = status
        with pytest.raises(Retryable, match=f"the Sources API answered .*{status}"):
            await bench.handle(message)
    assert bench.order == []
    bench.peer.status = 0
    await bench.handle(message)
    assert len(bench.events) == 1


async def test_a_call_that_is_refused_for_good_is_not_repeated(bench: Bench) -> None:
    bench.peer.status = 400
    with pytest.raises(Permanent, match="told so"):
        await bench.handle(await bench.upload(archive(bench)))


async def test_the_key_and_the_tenant_are_sent(bench: Bench) -> None:
    bench.peer.add(bench.cluster, ORG)
    await bench.sources(psk="secret").of_cluster(bench.cluster, TENANT)
    assert {
        (
            sent.get("x-rh-sources-psk"),
            sent.get("x-rh-sources-org-id"),
            sent.get("x-rh-sources-account-number"),
        )
        for sent in bench.peer.headers
    } == {("secret", ORG, "0001")}
    bench.peer.headers.clear()
    await bench.sources().of_cluster(bench.cluster, TENANT)
    assert all("x-rh-sources-psk" not in sent for sent in bench.peer.headers)
