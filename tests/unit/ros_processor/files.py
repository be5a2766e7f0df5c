"""Usage CSVs for tests."""

import csv
import io
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from headrace.samples.cost_columns import ROS_CONTAINER, ROS_NAMESPACE
from headrace_services.ros_processor.aggregation import CsvLimits, aggregate

NOW = datetime(2026, 8, 1, 12, 0, tzinfo=UTC)
FIRST = datetime(2026, 7, 31, tzinfo=UTC)
NUMBERS = [
    name for name in (*ROS_CONTAINER, *ROS_NAMESPACE) if name.startswith(("cpu_", "memory_", "namespace_"))
]


def time_text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} +0000 UTC"


def interval(number: int) -> dict[str, str]:
    start = FIRST + number * timedelta(minutes=15)
    return {
        "interval_start": time_text(start + timedelta(seconds=1)),
        "interval_end": time_text(start + timedelta(minutes=15)),
    }


PERIOD = {
    "report_period_start": "2026-07-01 00:00:00 +0000 UTC",
    "report_period_end": "2026-08-01 00:00:00 +0000 UTC",
}
CONTAINER_ROW = {
    **PERIOD,
    **interval(0),
    **dict.fromkeys(NUMBERS, "1"),
    "container_name": "server",
    "pod": "app-1",
    "owner_name": "app-5c9",
    "owner_kind": "ReplicaSet",
    "workload": "app",
    "workload_type": "deployment",
    "namespace": "shop",
    "image_name": "quay.io/shop/app:1",
    "node": "node-1",
    "resource_id": "i-1",
}
NAMESPACE_ROW = {**PERIOD, **interval(0), **dict.fromkeys(NUMBERS, "1"), "namespace": "shop"}


def csv_file(
    rows: Iterable[Mapping[str, str]], columns: Iterable[str] = ROS_CONTAINER, **style: Any
) -> bytes:
    """Rows are given by how they differ from a good one."""
    columns = list(columns)
    good = CONTAINER_ROW if "container_name" in columns else NAMESPACE_ROW
    text = io.StringIO(newline="")
    writer = csv.writer(text, **({"lineterminator": "\n"} | style))
    writer.writerow(columns)
    writer.writerows([{**good, **row}.get(name, "extra") for name in columns] for row in rows)
    return text.getvalue().encode()


async def chunked(content: bytes, size_bytes: int = 1 << 18) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size_bytes):
        yield content[start : start + size_bytes]


@asynccontextmanager
async def aggregated(content: bytes, *, chunk_bytes: int = 1 << 18, now: datetime = NOW, **limits: Any):
    async with aggregate(chunked(content, chunk_bytes), limits=CsvLimits(**limits), now=now) as found:
        yield found


async def told(content: bytes, **options: Any):
    """What `aggregate` makes of a file, in the form of `plain`: rows, dropped, records, containers."""
    async with aggregated(content, **options) as found:
        records, containers = {}, {}
        async for workload in found.workloads():
            owner = (workload.namespace, workload.object_type, workload.object_name)
            containers[owner] = workload.containers
            mine = records.setdefault(owner, {})
            for record in workload.records:
                assert (record.start, record.end) not in mine
                mine[record.start, record.end] = [(c.name, c.image, c.metrics) for c in record.containers]
        return found.rows, dict(found.dropped), records, containers


def documented_sample() -> bytes:
    """The shape of the sample file of the ROS document."""
    app = {"workload": "<none>", "owner_name": "Yuptoo-app", "container_name": "Yuptoo-service"}
    service = {"workload": "Yuptoo-service", "container_name": "Yuptoo-service"}
    cpu = "cpu_usage_container"
    rows = [app | interval(number) for number in range(99)]
    rows += [
        {"workload": "servers", "container_name": n} for n in ("server-one", "Server-two", "Server-three")
    ]
    rows += [
        service | {f"{cpu}_avg": "5", f"{cpu}_sum": "2", f"{cpu}_min": "2", f"{cpu}_max": "7"},
        service | {f"{cpu}_avg": "3", f"{cpu}_sum": "2", f"{cpu}_min": "1", f"{cpu}_max": "6"},
    ]
    unset = {name: "" for name in ROS_CONTAINER if "_request_" in name or "_limit_" in name}
    shell = {"owner_name": "<none>", "owner_kind": "<none>", "workload": "<none>", "workload_type": "<none>"}
    rows.append({"container_name": "volume-shell", "namespace": "koku-metrics-operator-2"} | shell | unset)
    return csv_file({"namespace": "Yuptoo-prod"} | row for row in rows)
