"""The aggregation of usage CSVs, written to be seen to be right: one row after the other, the csv module, floats.

What the service does with columns is compared with this, in tests and in the benchmarks.
"""

import csv
import io
import math
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from headrace.contracts.kruize import CONTAINER_METRICS, NAMESPACE_METRICS

TYPES = ["daemonset", "deployment", "deploymentconfig", "replicaset", "replicationcontroller", "statefulset"]
UNSET = ("", "<none>")
NUMBER = re.compile(r"[ \t]*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


@dataclass
class Plain:
    """``records``: by workload, then interval: the (container, image, metrics) of each."""

    rows: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    records: dict[tuple, dict[tuple, list]] = field(default_factory=dict)
    containers: dict[tuple, tuple] = field(default_factory=dict)


def plain(content: bytes, now: datetime) -> Plain:
    reader = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""))
    header = next(reader)
    of_containers = "container_name" in header
    metrics = CONTAINER_METRICS if of_containers else NAMESPACE_METRICS
    columns = [(f"{m.column}_{value}", value) for m in metrics for value in m.values]
    result, groups = Plain(), {}
    for cells in reader:
        row = {name: cell.replace("\r\n", "\n") for name, cell in zip(header, cells, strict=True)}
        result.rows += 1
        numbers = {name: number(row[name]) for name, _ in columns}
        key = (container_key if of_containers else namespace_key)(row)
        reason = key if isinstance(key, str) else times(row, now)
        if not isinstance(reason, tuple):
            result.dropped[reason] += 1
        elif any(not numbers[name] >= 0 for name, _ in columns if "usage" in name):
            result.dropped["usage is missing, negative or not a number"] += 1
        else:
            owner, place = key[:3], key[3:]
            groups.setdefault((owner, reason, place), []).append(numbers)
    for (owner, interval, (container, image, _)), rows in sorted(groups.items()):
        usage = (container, image, metric_list(metrics, rows))
        result.records.setdefault(owner, {}).setdefault(interval, []).append(usage)
    for owner in result.records:
        images = sorted({place[:2] for of, _, place in groups if of == owner}, reverse=True)
        result.containers[owner] = tuple(sorted(dict(images).items())) if of_containers else ()
    return result


def number(text: str) -> float:
    value = float(text) if NUMBER.fullmatch(text) else math.nan
    return value if math.isfinite(value) else math.nan


def container_key(row):
    clean = {name: "" if cell in ("NA", "NaN", "<nil>") else cell for name, cell in row.items()}
    kind, name, object_type = clean["owner_kind"], clean["owner_name"], clean["workload_type"]
    workload = clean["workload"]
    if kind in UNSET or name in UNSET:
        return "no owner"
    if object_type in UNSET:
        return "no workload type"
    if object_type.lower() not in TYPES:
        return "workload type is not supported"
    if workload in UNSET and kind.lower() in ("replicaset", "replicationcontroller"):
        owner = (clean["namespace"], kind.lower(), name)
    else:
        owner = (clean["namespace"], object_type.lower(), workload)
    return (*owner, clean["container_name"], clean["image_name"], workload)


def namespace_key(row):
    name = row["namespace"]
    if name in ("", "<none>", "NA", "NaN", "<nil>"):
        return "no namespace"
    return (name, "namespace", name, "", "", "")


def times(row, now):
    found = []
    for name in ("interval_start", "interval_end"):
        try:
            moment = datetime.strptime(row[name], "%Y-%m-%d %H:%M:%S %z UTC").astimezone(UTC)
        except ValueError:
            return "the interval cannot be read"
        found.append(moment)
    start, end = found
    if start < datetime(2000, 1, 1, tzinfo=UTC):
        return "the interval lies before 2000"
    if end > now + timedelta(days=1):
        return "the interval lies in the future"
    return (start, end) if start < end else "the interval does not end after its start"


def metric_list(metrics, rows):
    found = []
    for metric in metrics:
        results = {}
        for value in metric.values:
            reduced = reduce(value, [row[f"{metric.column}_{value}"] for row in rows])
            if math.isfinite(reduced):
                results[value] = decimal_text(reduced)
        if any(value in metric.values and value not in results for value in ("sum", "avg")):
            continue
        if metric.unit:
            results["format"] = metric.unit
        found.append({"name": metric.name, "results": {"aggregation_info": results}})
    return found


def reduce(value, numbers):
    if value in ("sum", "avg"):
        total = 0.0
        for one in numbers:
            total += one
        return total / len(numbers) if value == "avg" else total
    if math.isnan(numbers[0]):
        return math.nan
    present = [one for one in numbers if not math.isnan(one)]
    return min(present) if value == "min" else max(present)


def decimal_text(value):
    text = format(Decimal(repr(value + 0.0)), "f")
    return text.removesuffix(".0")
