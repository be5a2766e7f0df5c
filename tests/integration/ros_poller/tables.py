"""The ROS tables, as the processor leaves them and as the poller fills them."""

from datetime import datetime, timedelta
from typing import Any

from headrace.database.pool import Database

ORG = "12345"
CLUSTER = "1b77b73f-1d3e-43c6-9f55-bcd9fb6d1a0c"
DUMPED = {
    "recommendation_sets": "workload_id, container_name",
    "historical_recommendation_sets": "workload_id, container_name, monitoring_end_time",
    "namespace_recommendation_sets": "workload_id",
    "historical_namespace_recommendation_sets": "workload_id, monitoring_end_time",
}


def name_of(number: int) -> str:
    return f"{ORG}|7|{CLUSTER}|prod|deployment|app-{number}"


async def add_workloads(ros: Database, count: int = 1) -> list[int]:
    """Workloads of one cluster; returns their ids."""
    tenant = await ros.fetch_value("insert into rh_accounts (org_id) values ($1) returning id", ORG)
    cluster = await ros.fetch_value(
        "insert into clusters (tenant_id, source_id, cluster_uuid, cluster_alias)"
        " values ($1, '7', $2, 'test-cluster') returning id",
        tenant,
        CLUSTER,
    )
    rows = await ros.fetch(
        "insert into workloads (org_id, cluster_id, experiment_name, namespace, workload_type, workload_name)"
        " select $1, $2, name, 'prod', 'deployment', name from unnest($3::text[]) as name returning id",
        ORG,
        cluster,
        [name_of(number) for number in range(count)],
    )
    return [row["id"] for row in rows]


async def add_usage(
    ros: Database, workload: int, name: str, ends: list[datetime], kind: str = "container"
) -> None:
    """Usage as the processor notes it; the table's partition is made for the first of them."""
    await ros.execute(
        f"create table usage_partition partition of workload_metrics for values from"
        f" ('{ends[0] - timedelta(days=30)}') to ('{ends[0] + timedelta(days=30)}')"
    )
    await ros.execute(
        f"insert into workload_metrics (org_id, workload_id, {kind}_name, metric_type, interval_start,"  # noqa: S608
        " interval_end, usage_metrics)"
        " select $1, $2, $3, $4, e - interval '899 seconds', e, '[]' from unnest($5::timestamptz[]) as e",
        ORG,
        workload,
        name,
        kind,
        ends,
    )


async def dump(ros: Database, *, whole: bool = True) -> dict[str, list[dict[str, Any]]]:
    """Every row the poller writes; not ``whole``: without what each run chooses anew."""
    left_out = set() if whole else {"id", "created_at", "updated_at"}
    return {
        table: [
            {name: value for name, value in row.items() if name not in left_out}
            for row in await ros.fetch(f"select * from {table} order by {order}")  # noqa: S608
        ]
        for table, order in DUMPED.items()
    }
