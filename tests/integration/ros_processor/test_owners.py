"""A cluster's usage is its owner's, and Kruize's names of two organisations' experiments are never the same."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from headrace.database.owners import owned_clusters
from headrace.runtime import metrics
from headrace.runtime.errors import Rejected
from headrace_services.ros_processor.store import RosStore
from tests.integration.ros_processor import usage
from tests.integration.ros_processor.conftest import CLUSTER, Bench
from tests.owners import moved

FOREIGN = "belongs to another organisation"


def refused() -> float:
    labels = {"service": "ros_processor"}
    return metrics.REGISTRY.get_sample_value("headrace_foreign_clusters_total", labels) or 0.0


async def sent(bench: Bench, org_id: str, cluster: str = CLUSTER, **metadata: Any) -> str:
    about = {"org_id": org_id, "cluster_uuid": cluster, **metadata}
    return await bench.handle(await bench.event(usage.day(), metadata=about))


@pytest.mark.parametrize("cluster", [CLUSTER, CLUSTER.upper(), CLUSTER.replace("-", "")])
async def test_another_organisations_usage_of_a_cluster_is_refused(bench: Bench, cluster: str) -> None:
    await sent(bench, "12345")
    before, experiments, counted = await bench.dump(), dict(bench.kruize.experiments), refused()
    event = await bench.event(usage.day(), usage.day(), metadata={"org_id": "678", "cluster_uuid": cluster})
    with pytest.raises(Rejected, match=FOREIGN) as caught:
        await bench.handle(event)
    assert "12345" not in str(caught.value)
    assert await bench.dump() == before
    assert bench.kruize.experiments == experiments
    assert refused() - counted == 1
    (owned,) = await owned_clusters(bench.database)
    assert (owned.cluster_id, owned.org_id, owned.refused) == (CLUSTER, "12345", ["678"])


@pytest.mark.parametrize("org_id", ["012345", "12345 ", "1234", "12345\n"])
async def test_organisations_are_compared_as_exact_text(bench: Bench, org_id: str) -> None:
    await sent(bench, "12345")
    with pytest.raises(Rejected, match=FOREIGN):
        await sent(bench, org_id)
    assert await bench.count("rh_accounts") == 1


@pytest.mark.parametrize(
    "cluster",
    [f"{{{CLUSTER}}}", f" {CLUSTER}", f"urn:uuid:{CLUSTER}", f"{CLUSTER}|x", f"{CLUSTER}\n", "0x" + "1" * 30],
)
async def test_what_only_looks_like_a_clusters_id_is_none(bench: Bench, cluster: str) -> None:
    with pytest.raises(ValidationError, match="expected a UUID"):
        await sent(bench, "678", cluster)


async def test_usage_of_two_organisations_at_once_is_stored_for_one(bench: Bench) -> None:
    for number in range(10):
        cluster = f"11111111-2222-4333-8444-{number:012}"
        orgs = ["1001", "2002"] if number % 2 else ["2002", "1001"]
        ended = await asyncio.gather(*(sent(bench, org, cluster) for org in orgs), return_exceptions=True)
        assert sum(isinstance(end, Rejected) for end in ended) == 1
        (owned,) = await owned_clusters(bench.database, cluster)
        names = [name for name in bench.kruize.experiments if cluster in name]
        assert {name.partition("|")[0] for name in names} == {owned.org_id}


async def test_a_file_that_is_refused_claims_no_cluster(bench: Bench) -> None:
    with pytest.raises(Rejected):
        await bench.handle(await bench.event(b"no,usage\n1,2\n", metadata={"org_id": "678"}))
    await sent(bench, "12345")
    assert [owned.org_id for owned in await owned_clusters(bench.database)] == ["12345"]


async def test_a_cluster_moved_by_an_operator_leaves_the_usage_of_before_where_it_is(bench: Bench) -> None:
    await sent(bench, "12345")
    assert await moved(bench.database, CLUSTER, "678") == "12345"
    await sent(bench, "678")
    with pytest.raises(Rejected, match=FOREIGN):
        await sent(bench, "12345")
    counts = await bench.database.fetch("select org_id, count(*) from workloads group by 1 order by 1")
    assert [tuple(row) for row in counts] == [("12345", 3), ("678", 3)]


async def test_where_clusters_follow_two_tenants_with_the_same_cluster_share_nothing(bench: Bench) -> None:
    follow = replace(bench.files, store=RosStore(bench.database, follow=True))
    for org_id in ("12345", "678", "12345"):
        await bench.handle(await bench.event(usage.day(), metadata={"org_id": org_id}), follow)
    counts = await bench.database.fetch("select org_id, count(*) from workloads group by 1 order by 1")
    assert [tuple(row) for row in counts] == [("12345", 3), ("678", 3)]
    assert len(bench.kruize.experiments) == 6


@pytest.mark.parametrize("metadata", [{"org_id": "1|2"}, {"source_id": "7|8"}, {"org_id": "1;2"}])
async def test_an_organisation_that_would_part_an_experiments_name_is_refused(
    bench: Bench, metadata: dict[str, str]
) -> None:
    with pytest.raises(Rejected, match="which Kruize uses as separators"):
        await sent(bench, **({"org_id": "12345"} | metadata))
    assert bench.kruize.experiments == {}


async def test_a_workload_named_as_another_organisations_experiment_is_left_out(bench: Bench) -> None:
    rows = [usage.row(0), usage.row(0, namespace=f"x|{CLUSTER}|shop"), usage.row(0, workload="a|b")]
    text = await bench.handle(await bench.event(usage.written(rows)))
    assert text.startswith("1 workload, 1 container, 1 interval sent")
    assert "2 times \"a name contains one of ';|'\"" in text
    assert [name.count("|") for name in bench.kruize.experiments] == [5]
