"""Usage files by hand: rows that say only what a test is about."""

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from headrace.contracts.kruize import CONTAINER_METRICS, NAMESPACE_METRICS

START = datetime(2023, 6, 2, 0, 0, tzinfo=UTC)


def times(number: int) -> dict[str, str]:
    """The interval of that number since `START`: `:01` to `:00`, a quarter of an hour later."""
    start = START + timedelta(minutes=15 * number)
    return {
        "report_period_start": "2023-06-01 00:00:00 +0000 UTC",
        "report_period_end": "2023-07-01 00:00:00 +0000 UTC",
        "interval_start": f"{start + timedelta(seconds=1):%Y-%m-%d %H:%M:%S} +0000 UTC",
        "interval_end": f"{start + timedelta(minutes=15):%Y-%m-%d %H:%M:%S} +0000 UTC",
    }


def end(number: int) -> datetime:
    """Its end."""
    return START + timedelta(minutes=15 * (number + 1))


def row(number: int = 0, **fields: str) -> dict[str, str]:
    """One container in one interval."""
    texts = {
        "container_name": "web", "pod": "web-1", "owner_name": "web-rs", "owner_kind": "ReplicaSet",
        "workload": "web", "workload_type": "deployment", "namespace": "shop", "image_name": "quay.io/shop/web:1",
        "node": "node-1", "resource_id": "i-1",
    }  # fmt: skip
    numbers = {f"{metric.column}_{value}": "0.5" for metric in CONTAINER_METRICS for value in metric.values}
    return times(number) | texts | numbers | fields


def namespace_row(number: int = 0, **fields: str) -> dict[str, str]:
    """One namespace in one interval."""
    numbers = {f"{metric.column}_{value}": "2" for metric in NAMESPACE_METRICS for value in metric.values}
    return times(number) | {"namespace": "shop"} | numbers | fields


def written(rows: Sequence[Mapping[str, str]]) -> bytes:
    """As a file; the first row's columns."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def day(intervals: int = 4, workloads: int = 3) -> bytes:
    """Deployments `app-0`, `app-1`, …, two containers each."""
    return written(
        [
            row(number, workload=f"app-{which}", container_name=name)
            for number in range(intervals)
            for which in range(workloads)
            for name in ("main", "side")
        ]
    )
