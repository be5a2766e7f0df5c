"""Whose a cluster is: its first organisation's, whatever another's reports say."""

import asyncio
from collections import Counter
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from headrace.database.owners import owned_clusters
from headrace.database.pool import Database
from headrace.runtime import metrics
from headrace.runtime.errors import Poison, Rejected
from headrace_services.results_aggregator.handlers import Aggregator
from headrace_services.results_aggregator.retention import forget
from headrace_services.results_aggregator.store import AggregatorStore
from tests.integration.results_aggregator.reporting import (
    CLUSTER,
    CLUSTER_TABLES,
    OTHER,
    REPORT_TABLES,
    TABLES,
    Bench,
    decide,
    dump,
    hit,
    recommended,
    reported,
)
from tests.owners import moved

DECISIONS = ("cluster_rule_toggle", "cluster_rule_user_feedback", "cluster_user_rule_disable_feedback")
KEPT = [table for table in TABLES if table != "consumer_error"]
FOREIGN = "belongs to another organisation"
# What a report's owner and a stranger might write of one cluster.
SPELLINGS = [CLUSTER, CLUSTER.upper(), CLUSTER.replace("-", ""), CLUSTER.replace("-", "").upper()]
LOOK_ALIKES = [f"{{{CLUSTER}}}", f" {CLUSTER}", f"{CLUSTER} ", f"urn:uuid:{CLUSTER}", CLUSTER.replace("-", "_"),
               f"{CLUSTER}\n", CLUSTER[:35] + "\uff15", CLUSTER[:-1] + "\0"]  # fmt: skip


@pytest.fixture
def bench(tables: Database) -> Bench:
    return Bench(tables)


def refused() -> float:
    labels = {"service": "results_aggregator"}
    return metrics.REGISTRY.get_sample_value("headrace_foreign_clusters_total", labels) or 0.0


async def filled(bench: Bench, cluster: str = CLUSTER, org_id: int = 1) -> None:
    """Everything that can be known of a cluster."""
    about = {"ClusterName": cluster, "OrgID": org_id}
    await bench.take(reported(1, hit("nodes", "SMALL"), cluster_version="4.16.3", **about))
    await bench.take_workloads({**recommended(1, probes=[("web", "a")]), **about})
    await decide(bench.database, cluster, org_id)


@pytest.mark.parametrize("cluster", SPELLINGS)
async def test_another_organisations_report_takes_nothing_and_does_not_say_whose_the_cluster_is(
    bench: Bench, cluster: str
) -> None:
    await filled(bench)
    before, counted = await dump(bench.database, KEPT), refused()
    stolen = reported(2, hit("etcd", "SLOW"), OrgID=777, ClusterName=cluster)
    with pytest.raises(Rejected, match=FOREIGN) as caught:
        await bench.take(stolen)
    assert "organisation 1" not in str(caught.value)
    with pytest.raises(Rejected, match=FOREIGN):
        await bench.take_workloads(
            {**recommended(2, limits=[("db", "b")]), "OrgID": 777, "ClusterName": cluster}
        )
    assert await dump(bench.database, KEPT) == before
    assert refused() - counted == 2
    (owned,) = await owned_clusters(bench.database, cluster)
    assert (owned.cluster_id, owned.org_id, owned.refused) == (CLUSTER, "1", ["777"])


@pytest.mark.parametrize("cluster", LOOK_ALIKES)
async def test_what_only_looks_like_a_clusters_id_is_no_cluster(bench: Bench, cluster: str) -> None:
    await filled(bench)
    before = await dump(bench.database, KEPT)
    with pytest.raises(Poison, match="not a UUID"):
        await bench.take(reported(2, OrgID=777, ClusterName=cluster))
    assert await dump(bench.database, KEPT) == before


async def test_workloads_alone_make_an_owner_too(bench: Bench) -> None:
    await bench.take_workloads(recommended(1, probes=[("web", "a")]))
    with pytest.raises(Rejected, match=FOREIGN):
        await bench.take(reported(2, OrgID=2))
    assert await bench.rows("report", "1") == []


async def test_a_report_that_is_not_stored_claims_nothing(bench: Bench) -> None:
    with pytest.raises(Poison):
        await bench.take(reported(1, hit("nodes", "SM\0ALL"), OrgID=2))
    allowing = Aggregator(AggregatorStore(bench.database), frozenset({1}))
    with pytest.raises(Rejected, match="allow list"):
        await bench.take(reported(1, OrgID=2), allowing)
    assert (await bench.take(reported(1, Report={}, OrgID=2))).startswith("skipped: no rule was run")
    assert await bench.take(reported(1)) == "stored: 0 rule hits"
    assert [owned.org_id for owned in await owned_clusters(bench.database)] == ["1"]


async def test_of_organisations_that_report_a_cluster_at_once_one_has_it_and_the_others_nothing(
    bench: Bench, database: str
) -> None:
    other = await Database.open(database, database.rpartition("/")[2], service="results_aggregator")
    replica = Bench(other)
    try:
        for number in range(1, 61):
            cluster = str(UUID(int=number))
            calls: list[Any] = []
            for minute in range(4):
                for org_id in (1, 2, 3) if number % 2 else (3, 2, 1):
                    about = {"ClusterName": cluster, "OrgID": org_id}
                    at = (bench, replica)[org_id % 2]
                    calls.append(
                        at.take(reported(minute, hit(f"r{org_id}", "K"), cluster_version="4", **about))
                    )
                    calls.append(at.take_workloads({**recommended(minute, probes=[("a", "b")]), **about}))
            ended = await asyncio.gather(*calls, return_exceptions=True)
            wrong = [error for error in ended if isinstance(error, BaseException)]
            assert Counter(type(error).__name__ for error in wrong) == {"ForeignCluster": 16}
            (owned,) = await owned_clusters(bench.database, cluster)
            for table in CLUSTER_TABLES:
                column = "cluster" if table == "report" else "cluster_id"
                rows = await bench.database.fetch(
                    f"select distinct org_id from {table} where {column} = $1",  # noqa: S608 -- of the test
                    UUID(cluster),
                )
                assert [str(row["org_id"]) for row in rows] in ([], [owned.org_id]), table
    finally:
        await other.close()


async def test_a_cluster_stays_its_owners_when_its_reports_are_forgotten(bench: Bench) -> None:
    await filled(bench)
    store = AggregatorStore(bench.database)
    await bench.database.execute("update report set last_checked_at = '2020-01-01'")
    await bench.database.execute("update dvo.cluster set last_checked_at = '2020-01-01'")
    assert await forget(store, (await bench.database.fetch_value("select now()"))) >= 2
    with pytest.raises(Rejected, match=FOREIGN):
        await bench.take(reported(5, OrgID=2))
    assert [len(await bench.rows(table)) for table in DECISIONS] == [1, 1, 1]


async def test_an_operator_moves_a_cluster_with_its_reports_and_without_what_users_wrote(
    bench: Bench,
) -> None:
    for cluster in (CLUSTER, OTHER):
        await filled(bench, cluster)
    before = await dump(bench.database)
    assert await moved(bench.database, CLUSTER.upper(), "7") == "1"
    for table in (*REPORT_TABLES, "dvo.cluster", "dvo.dvo_report"):
        column = "cluster" if table == "report" else "cluster_id"
        rows = await bench.rows(table, "1")
        assert {(str(row[column]), row["org_id"]) for row in rows} == {(CLUSTER, 7), (OTHER, 1)}, table
    for table in DECISIONS:
        assert [str(row["cluster_id"]) for row in await bench.rows(table)] == [OTHER], table
    assert await bench.take(reported(2, hit("nodes", "SMALL"), OrgID=7)) == "stored: 1 rule hit"
    await decide(bench.database, CLUSTER, 7)
    # The old owner's messages, read again from the beginning, change nothing.
    with pytest.raises(Rejected, match=FOREIGN):
        await bench.take(reported(1, hit("nodes", "SMALL"), cluster_version="4.16.3"))
    # Back again, with what its users wrote then, and without what the others' users wrote.
    assert await moved(bench.database, CLUSTER, "1") == "7"
    after = await dump(bench.database)
    for table in DECISIONS:
        assert after[table] == before[table]
    kinds = await bench.database.fetch("select org_id, kind from decision_set_aside order by kind")
    assert [tuple(row) for row in kinds] == [(7, table) for table in sorted(DECISIONS)]


async def test_a_move_waits_for_the_report_that_is_being_stored(bench: Bench) -> None:
    async with bench.database.transaction() as storing:
        assert await storing.fetchval("select claim_cluster($1, '1')", CLUSTER)
        moving = asyncio.create_task(moved(bench.database, CLUSTER, "2"))
        done, _ = await asyncio.wait([moving], timeout=0.3)
        assert not done
    assert await moving == "1"
    with pytest.raises(Rejected, match=FOREIGN):
        await bench.take(reported(1))
    assert await bench.take(reported(1, OrgID=2)) == "stored: 0 rule hits"


async def test_a_cluster_can_be_given_to_an_organisation_before_it_reports(bench: Bench) -> None:
    assert await moved(bench.database, CLUSTER, "2") is None
    with pytest.raises(Rejected, match=FOREIGN):
        await bench.take(reported(1))
    assert await bench.take(reported(1, OrgID=2)) == "stored: 0 rule hits"


async def test_reports_cannot_go_to_an_organisation_that_is_no_number(bench: Bench) -> None:
    await filled(bench)
    before = await dump(bench.database)
    for org_id in ("acme", "01", " 1", "1\n", "-1"):
        with pytest.raises(asyncpg.InvalidParameterValueError, match="expected a number"):
            await moved(bench.database, CLUSTER, org_id)
    assert await dump(bench.database) == before


async def test_where_clusters_follow_their_last_organisation_what_users_wrote_does_not(bench: Bench) -> None:
    follow = Aggregator(AggregatorStore(bench.database, follow=True))
    await filled(bench)
    # What is not newer takes nothing over.
    assert (await bench.take(reported(0, OrgID=7), follow)).startswith(
        "skipped: older than the stored report"
    )
    assert [row["org_id"] for row in await bench.rows("report", "1")] == [1]
    text = await bench.take(reported(2, hit("nodes", "SMALL"), OrgID=7), follow)
    assert text == "stored: 1 rule hit"
    assert {row["org_id"] for table in REPORT_TABLES for row in await bench.rows(table, "1")} == {7}
    assert [await bench.rows(table) for table in DECISIONS] == [[], [], []]
    await bench.take(reported(3, OrgID=1), follow)
    assert [row["org_id"] for table in DECISIONS for row in await bench.rows(table)] == [1, 1, 1]
