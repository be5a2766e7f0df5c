import asyncio
import json
from itertools import permutations
from random import Random
from typing import Any
from uuid import UUID

import pytest

from headrace.contracts.message import utc_now
from headrace.database.pool import Database
from headrace.runtime.errors import Poison
from headrace_services.results_aggregator.retention import forget
from headrace_services.results_aggregator.store import AggregatorStore
from tests.integration.results_aggregator.reporting import (
    CLUSTER,
    OTHER,
    PRODUCED,
    REPORT_TABLES,
    Bench,
    all_of,
    decide,
    dump,
    hit,
    recommended,
    report,
    reported,
)
from tests.waiting import eventually


@pytest.fixture
def bench(tables: Database) -> Bench:
    return Bench(tables)


async def test_a_report_becomes_rows_of_every_table(bench: Bench) -> None:
    message = reported(1, hit("nodes", "SMALL", nodes=["n1"]), hit("etcd", "SLOW"), cluster_version="4.16.3")
    assert await bench.take(message) == "stored: 2 rule hits"
    (row,) = await bench.rows("report", "1")
    assert row["org_id"] == 1
    assert row["cluster"] == UUID(CLUSTER)
    assert row["reported_at"] == PRODUCED
    assert row["last_checked_at"].isoformat() == "2026-11-21T21:01:22.990776+00:00"
    assert row["gathered_at"].isoformat() == "2026-11-21T21:00:00+00:00"
    assert row["kafka_offset"] == 1
    assert await bench.database.fetch_value(
        "select report::jsonb = $1::jsonb from report", json.dumps(message["Report"])
    )
    etcd, nodes = await bench.rows("rule_hit", "rule_fqdn")
    assert (etcd["rule_fqdn"], etcd["error_key"]) == ("pack.rules.etcd.report", "SLOW")
    assert nodes["template_data"] == '{"type":"rule","error_key":"SMALL","nodes":["n1"]}'
    assert nodes["created_at"] == row["last_checked_at"]
    recommendation, _ = await bench.rows("recommendation", "rule_fqdn")
    assert (recommendation["rule_fqdn"], recommendation["rule_id"]) == (
        "pack.rules.etcd",
        "pack.rules.etcd|SLOW",
    )
    assert await bench.rows("report_info", "1") == [
        {"org_id": 1, "cluster_id": UUID(CLUSTER), "version_info": "4.16.3"}
    ]


async def test_a_newer_report_replaces_what_the_older_said_and_keeps_since_when_a_rule_hits(
    bench: Bench,
) -> None:
    await bench.take(
        reported(1, hit("nodes", "SMALL", nodes=1), hit("etcd", "SLOW"), cluster_version="4.16.3")
    )
    newer = reported(2, hit("nodes", "SMALL", nodes=2), hit("csr", "PENDING"), cluster_version="4.16.4")
    assert await bench.take(newer) == "stored: 2 rule hits"
    hits = {row["rule_fqdn"].split(".")[2]: row for row in await bench.rows("rule_hit")}
    assert {name: row["created_at"].minute for name, row in hits.items()} == {"nodes": 1, "csr": 2}
    assert '"nodes":2' in hits["nodes"]["template_data"]
    rows = {row["rule_id"]: row for row in await bench.rows("recommendation")}
    assert {rule: (row["created_at"].minute, row["impacted_since"].minute) for rule, row in rows.items()} == {
        "pack.rules.nodes|SMALL": (2, 1),
        "pack.rules.csr|PENDING": (2, 2),
    }
    assert (await bench.rows("report_info", "1"))[0]["version_info"] == "4.16.4"
    await bench.take(reported(3))
    assert [len(await bench.rows(table, "1")) for table in REPORT_TABLES] == [1, 0, 0, 0]


@pytest.mark.parametrize("minute", [1, 2])
async def test_an_older_report_and_one_as_old_change_nothing_at_all(bench: Bench, minute: int) -> None:
    await bench.take(reported(2, hit("nodes", "SMALL"), cluster_version="4.16.3"))
    before = await dump(bench.database)
    text = await bench.take(reported(minute, hit("etcd", "SLOW"), cluster_version="4.15.0"))
    assert text == (
        "skipped: this report is already stored"
        if minute == 2
        else "skipped: older than the stored report of 2026-11-21T21:02:22.990776Z"
    )
    assert await dump(bench.database) == before


async def test_whatever_the_order_the_newest_is_what_stays(bench: Bench) -> None:
    rules = ("nodes", "etcd", "csr", "quota")
    clusters = [str(UUID(int=number)) for number in range(24)]
    random = Random(5)
    orders = dict(zip(clusters, permutations(range(4)), strict=True))
    calls = [
        reported(minute, *(hit(rule, "KEY") for rule in rules[: minute + 1]), cluster_version=f"4.{minute}",
                 ClusterName=cluster, OrgID=2)
        for turn in range(4)
        for cluster, order in random.sample(list(orders.items()), len(orders))
        for minute in (order[turn],)
    ]  # fmt: skip
    for turn in range(4):
        await all_of(
            [lambda message=message: bench.take(message) for message in calls[turn * 24 : (turn + 1) * 24]]
        )
    found = await bench.database.fetch(
        "select extract(minute from last_checked_at)::int, org_id, count(*) from report group by 1, 2"
    )
    assert [tuple(row) for row in found] == [(3, 2, 24)]
    for table, each in (("rule_hit", 4), ("recommendation", 4), ("report_info", 1)):
        rows = await bench.rows(table, "1")
        assert [row["org_id"] for row in rows] == [2] * each * 24
    found = await bench.database.fetch("select distinct version_info from report_info")
    assert [tuple(row) for row in found] == [("4.3",)]


async def test_reports_of_one_cluster_stored_at_once_leave_the_newest_whole(
    bench: Bench, database: str
) -> None:
    other = await Database.open(database, database.rpartition("/")[2], service="results_aggregator")
    replica = Bench(other)
    try:
        for round_ in range(5):
            cluster = str(UUID(int=round_ + 1))
            messages = [
                reported(minute, *(hit(f"r{minute}", f"K{n}") for n in range(minute % 7)), ClusterName=cluster,
                         OrgID=3, cluster_version=f"4.{minute}")
                for minute in range(30)
            ]  # fmt: skip
            Random(round_).shuffle(messages)
            await all_of(
                [
                    lambda message=message, at=at: (bench, replica)[at % 2].take(message)
                    for at, message in enumerate(messages * 2)
                ],
                at_once=16,
            )
            found = [
                await bench.database.fetch(f"select {columns} where cluster_id = $1", UUID(cluster))
                for columns in (
                    "org_id, error_key from rule_hit",
                    "org_id, rule_id from recommendation",
                    "org_id, version_info from report_info",
                )
            ]
            assert [tuple(row) for (row,) in found] == [(3, "K0"), (3, "pack.rules.r29|K0"), (3, "4.29")]
    finally:
        await other.close()
    assert await bench.database.fetch_value("select count(*) from consumer_error") == 0


async def test_clusters_that_nobody_knows_may_be_stored_at_once_again_and_again(bench: Bench) -> None:
    clusters = [str(UUID(int=number)) for number in range(1, 151)]
    for cluster in clusters:
        same = (reported(1, ClusterName=cluster) for _ in range(8))
        told = await asyncio.gather(*(bench.take(message) for message in same))
        assert sorted(text.partition(":")[0] for text in told) == ["skipped"] * 7 + ["stored"]
    assert len(await bench.rows("report", "1")) == len(clusters)


async def test_a_report_that_waited_for_a_newer_one_stays_out(bench: Bench) -> None:
    await bench.take(reported(1, hit("nodes", "SMALL")))
    locked = "select count(*) from pg_stat_activity where datname = $1 and wait_event_type = 'Lock'"
    async with bench.database.transaction() as newer:
        await newer.execute("update report set last_checked_at = last_checked_at + interval '4 minutes'")
        waiting = asyncio.create_task(bench.take(reported(3, hit("etcd", "SLOW"))))
        await eventually(lambda: bench.database.fetch_value(locked, bench.database.name), within_seconds=4)
    assert await waiting == "skipped: older than the stored report of 2026-11-21T21:05:22.990776Z"
    assert [row["error_key"] for row in await bench.rows("rule_hit")] == ["SMALL"]


async def test_taking_everything_again_leaves_equal_rows(bench: Bench) -> None:
    messages: list[Any] = [
        reported(
            minute, hit("nodes", "SMALL"), hit("etcd", "SLOW", at=minute), ClusterName=cluster, OrgID=org
        )
        for minute in (1, 2, 3, 4)
        for cluster, org in ((CLUSTER, 1), (OTHER, 2))
    ]
    for message in messages:
        await bench.take(message)
    before = await dump(bench.database)
    for message in [*messages, *reversed(messages)]:
        await bench.take(message)
    assert await dump(bench.database) == before


async def test_what_no_column_could_hold_is_escaped_in_the_json_and_refused_elsewhere(bench: Bench) -> None:
    strange = hit("nodes", "SMALL", text="a\0b", half="\ud800", number=float("nan"), big=2**70)
    assert await bench.take(reported(1, strange, strange)) == "stored: 1 rule hit, 1 repeated"
    (row,) = await bench.rows("rule_hit")
    assert r"a\u0000b" in row["template_data"]
    assert r"\ud800" in row["template_data"]
    assert '"number":null' in row["template_data"]
    with pytest.raises(Poison, match="NUL"):
        await bench.take(reported(2, hit("nodes", "SM\0ALL")))
    (row,) = await bench.rows("consumer_error")
    assert row["error"] == "reports[0].key: contains a NUL character"


async def test_workloads_become_a_row_for_each_namespace(bench: Bench) -> None:
    message = recommended(1, probes=[("web", "a"), ("web", "b"), ("db", "c")], limits=[("web", "a")])
    assert await bench.take_workloads(message, compressed=True) == "stored: 2 namespaces"
    db, web = await bench.rows("dvo.dvo_report", "namespace_id")
    assert (web["namespace_id"], web["namespace_name"]) == ("web-uid", "web")
    assert (web["recommendations"], web["objects"], db["recommendations"], db["objects"]) == (2, 2, 1, 1)
    assert web["rule_hits_count"] == '{"pack.dvo.limits|KEY": 1, "pack.dvo.probes|KEY": 2}'
    assert '"uid":"c"' not in web["report"]
    assert web["reported_at"] == web["last_checked_at"]


async def test_newer_workloads_replace_all_namespaces_and_older_ones_stay_out(bench: Bench) -> None:
    await bench.take_workloads(recommended(1, probes=[("web", "a"), ("db", "b")]))
    await bench.take_workloads(recommended(3, probes=[("web", "a"), ("ci", "b")]))
    assert (await bench.take_workloads(recommended(2, probes=[("old", "a")]))).startswith(
        "skipped: older than the stored report"
    )
    rows = await bench.rows("dvo.dvo_report", "namespace_id")
    assert [
        (row["namespace_name"], row["reported_at"].minute, row["last_checked_at"].minute) for row in rows
    ] == [
        ("ci", 3, 3),
        ("web", 1, 3),
    ]
    assert await bench.take_workloads(recommended(4)) == "stored: 0 namespaces"
    assert await bench.take_workloads(recommended(3, probes=[("web", "a")])) != "stored: 1 namespace"
    assert await bench.rows("dvo.dvo_report") == []


async def test_what_is_older_than_asked_for_is_forgotten_and_nothing_else(bench: Bench) -> None:
    store = AggregatorStore(bench.database)
    for number in range(450):
        cluster = str(UUID(int=number))
        await bench.take(
            reported(number % 2, hit("nodes", "SMALL"), cluster_version="4.16.3", ClusterName=cluster)
        )
    await bench.take_workloads(recommended(0, probes=[("web", "a")]))
    await bench.take_workloads({**recommended(1, probes=[("web", "a")]), "ClusterName": OTHER})
    await decide(bench.database, CLUSTER)
    assert await forget(store, PRODUCED.replace(minute=1, second=0)) == 226
    counts = [
        len(await bench.rows(table, "1")) for table in (*REPORT_TABLES, "dvo.cluster", "dvo.dvo_report")
    ]
    assert counts == [225, 225, 225, 225, 1, 1]
    assert len(await bench.rows("cluster_rule_toggle")) == 1
    assert await forget(store, utc_now()) == 226
    assert await forget(store, utc_now()) == 0


async def test_a_report_that_is_stored_is_given_back_key_by_key(bench: Bench) -> None:
    given = report(hit("b", "K"), hit("a", "K"))
    await bench.take(reported(1, Report=given))
    assert await bench.database.fetch_value("select report from report") == (
        json.dumps(given).replace(": ", ":").replace(", ", ",")
    )
