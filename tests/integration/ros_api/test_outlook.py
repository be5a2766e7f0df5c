"""Headrace's own routes: usage, polls and past recommendations."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.ros_api.harness import MOMENT, Answer, Api, Tenant
from tests.integration.ros_api.samples import recommendation

pytestmark = pytest.mark.asyncio(loop_scope="module")

WORKLOADS = "/api/ros/v1/headrace/workloads"


def metric(name: str, **info: Any) -> dict[str, Any]:
    return {"name": name, "results": {"aggregation_info": info}}


async def ask(api: Api, address: str, tenant: Tenant) -> Answer:
    path, _, query = address.partition("?")
    return await api.get(path, tenant, query, all_time=False)


async def use(tenant: Tenant, workload: int, number: int, cpu: str, container: str = "main") -> None:
    """A quarter of an hour."""
    end = MOMENT - timedelta(minutes=15 * number)
    metrics = [
        metric("cpuUsage", avg=cpu, min="0.1", max="0.9", sum="1", format="cores"),
        metric("cpuRequest", avg=0.5, sum=1.0, format="cores"),
        metric("memoryUsage", avg=100.0, max=200.0),
    ]
    await tenant.database.execute(
        "insert into workload_metrics"
        " (org_id, workload_id, container_name, interval_start, interval_end, usage_metrics)"
        " values ($1, $2, $3, $4, $5, $6)",
        tenant.org_id, workload, container, end - timedelta(minutes=15), end, json.dumps(metrics),
    )  # fmt: skip


async def partitions(tenant: Tenant) -> None:
    """For every month."""
    for table in ("workload_metrics", "historical_recommendation_sets"):
        await tenant.database.execute(f"create table if not exists {table}_rest partition of {table} default")


async def test_usage_is_a_series_for_each_container(api: Api):
    ours, theirs = await api.tenant(), await api.tenant()
    await partitions(ours)
    workload = await ours.workload(containers=("main", "side"))
    for number, cpu in enumerate(("0.3", "0.2", "0.4")):
        await use(ours, workload, number, cpu)
    await use(ours, workload, 0, "0.7", "side")
    answer = (await ask(api, f"/api/ros/v1/workloads/{workload}/usage", ours)).json
    assert list(answer["containers"]) == ["main", "side"]
    assert [point["cpu_usage_avg"] for point in answer["containers"]["main"]] == [0.4, 0.2, 0.3]
    newest = answer["containers"]["main"][-1]
    assert (newest["end"], newest["cpu_request"], newest["cpu_limit"]) == ("2023-06-03T00:45:00Z", 0.5, None)
    assert (newest["memory_usage_max"], newest["memory_usage_min"]) == (200.0, None)
    assert (answer["workload"]["workload_id"], answer["is_cut"]) == (workload, False)

    merged = await ask(api, f"/api/ros/v1/workloads/{workload}/usage?container=main&points=2", ours)
    first, second = merged.json["containers"]["main"]
    assert (first["cpu_usage_avg"], second["cpu_usage_avg"]) == (pytest.approx(0.3), 0.3)
    assert (first["cpu_usage_max"], first["cpu_usage_min"]) == (0.9, 0.1)
    none = await ask(api, f"/api/ros/v1/workloads/{workload}/usage?end=2023-01-01", ours)
    assert none.json["containers"] == {}
    for tenant, path, status in (
        (theirs, f"{workload}/usage", 404),
        (ours, "0/usage", 400),
        (ours, f"{workload}/usage?start=2020-01-01", 400),
        (ours, f"{workload}/usage?start=soon", 400),
        (ours, f"{workload}/usage?points=0", 400),
    ):
        assert (await ask(api, f"/api/ros/v1/workloads/{path}", tenant)).status == status


async def test_workloads_are_listed_with_what_came_of_their_last_poll(api: Api):
    ours, theirs = await api.tenant(), await api.tenant()
    first, second = await ours.workload(name="cart"), await ours.workload(name="shop")
    await theirs.workload(name="secret")
    await ours.container(second)
    await ours.database.execute(
        "insert into poll_outcomes values ($1, now(), $2, 'not_enough_data', 'no recommendation: too little', 15, 30)",
        first, MOMENT,
    )  # fmt: skip
    data = (await ask(api, WORKLOADS, ours)).data
    assert [(item["workload"], item["has_recommendation"]) for item in data] == [
        ("shop", True),
        ("cart", False),
    ]
    assert data[0]["last_poll"] is None
    poll = data[1]["last_poll"]
    assert (poll["kind"], poll["minutes"], poll["minutes_needed"]) == ("not_enough_data", 15, 30)
    for query, expected in (
        ("has_recommendation=false", ["cart"]),
        ("has_recommendation=true", ["shop"]),
        ("workload=AR", ["cart"]),
        ("workload=%25", []),
        ("project=none", []),
        (f"cluster={data[0]['cluster_uuid']}", ["shop", "cart"]),
    ):
        assert [item["workload"] for item in (await ask(api, f"{WORKLOADS}?{query}", ours)).data] == expected
    page = (await ask(api, f"{WORKLOADS}?limit=1", ours)).json
    rest = (await ask(api, f"{WORKLOADS}?limit=1&cursor={page['next']}", ours)).json
    assert [item["workload"] for item in page["data"] + rest["data"]] == ["shop", "cart"]
    assert rest["next"] is None
    assert (await ask(api, f"{WORKLOADS}?cursor=x", ours)).status == 400


async def test_past_recommendations_are_told_newest_first(api: Api):
    ours, theirs = await api.tenant(), await api.tenant()
    await partitions(ours)
    workload = await ours.workload()
    identifier = await ours.container(workload)
    for days in range(3):
        end = datetime(2023, 6, 3, 0, 45, tzinfo=UTC) - timedelta(days=days)
        await ours.database.execute(
            "insert into historical_recommendation_sets (org_id, workload_id, container_name, monitoring_start_time,"
            " monitoring_end_time, recommendations) values ($1, $2, 'main', $3, $3, $4)",
            ours.org_id, workload, end, json.dumps(recommendation()),
        )  # fmt: skip
    path = f"/api/ros/v1/recommendations/{identifier}/history"
    page = (await ask(api, f"{path}?limit=2", ours)).json
    ends = [item["monitoring_end_time"] for item in page["data"]]
    assert ends == ["2023-06-03T00:45:00Z", "2023-06-02T00:45:00Z"]
    short = page["data"][0]["recommendations"]["recommendation_terms"]["short_term"]
    assert short["recommendation_engines"]["cost"]["config"]["requests"]["memory"]["format"] == "Mi"
    assert "plots" not in short
    rest = (await ask(api, f"{path}?cursor={page['next']}", ours)).json
    assert [item["monitoring_end_time"] for item in rest["data"]] == ["2023-06-01T00:45:00Z"]
    assert (await ask(api, path, theirs)).status == 404
    assert (await ask(api, "/api/ros/v1/recommendations/x/history", ours)).status == 400
