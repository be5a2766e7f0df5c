"""Cost management archives as the metrics operator sends them, and the bare ROS CSV of the ROS document."""

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from headrace.installations.origin import random_uuid
from headrace.samples import cost_columns
from headrace.samples.cost_rows import CostRows
from headrace.samples.cost_workloads import containers_of
from headrace.samples.files import file_entry, json_entry, write_archive_file
from headrace.samples.options import SampleOptions

FILE_NAME = "cost-mgmt.tar.gz"
ROS_CSV_NAME = "ros-ocp-usage.csv"
# The most uncompressed bytes that the operator packs into an archive (its max_size_MB).
_MAX_ARCHIVE_BYTES = 100 * 1000 * 1000
_OPERATOR_VERSION = "costmanagement-metrics-operator:4.2.0"
# A container's extended columns without throttling and without an accelerator.
_EXTENSION = ",0.000000" + "," * 11 + "\n"


@dataclass(frozen=True, slots=True)
class _Part:
    """A CSV on disk; ``for_ros`` if ros_processor reads it."""

    path: Path
    for_ros: bool


def generate(directory: Path, options: SampleOptions) -> list[Path]:
    """Write ``cost-mgmt.tar.gz`` and ``ros-ocp-usage.csv``, the first cluster's containers in 37 columns.

    For more than one cluster, or more rows than fit into an archive, write ``cost-mgmt-2.tar.gz`` and so on.
    """
    directory.mkdir(parents=True, exist_ok=True)
    archives: list[Path] = []
    ros_csv = directory / ROS_CSV_NAME
    for number in range(options.clusters):
        with tempfile.TemporaryDirectory(dir=directory, prefix=".cost-") as workspace:
            rows = CostRows(options, number, containers_of(options, number))
            parts = list(_parts(Path(workspace), rows, f"{rows.start:%Y%m}"))
            if number == 0:
                _write_ros_csv(ros_csv, rows)
            for group in _grouped(parts):
                name = FILE_NAME if not archives else f"cost-mgmt-{len(archives) + 1}.tar.gz"
                manifest = _manifest(options, number, rows, group, name)
                entries = [json_entry("manifest.json", manifest)]
                entries += [file_entry(part.path.name, part.path) for part in group]
                archives.append(write_archive_file(directory / name, entries, options.now))
    return [*archives, ros_csv]


def _write_ros_csv(path: Path, rows: CostRows) -> None:
    with path.open("w", encoding="ascii", newline="") as opened:
        opened.write(",".join(cost_columns.ROS_CONTAINER) + "\n")
        opened.writelines(rows.containers())


def _parts(workspace: Path, rows: CostRows, month: str) -> Iterator[_Part]:
    containers = (line[:-1] + _EXTENSION for line in rows.containers())
    kinds = (
        (f"ros-openshift-container-{month}", cost_columns.ROS_CONTAINER_EXTENDED, containers, True),
        (f"ros-openshift-namespace-{month}", cost_columns.ROS_NAMESPACE, rows.namespaces(), True),
        (f"cm-openshift-pod-usage-{month}", cost_columns.POD_USAGE, rows.pods(), False),
    )
    for stem, columns, lines, for_ros in kinds:
        for path in _written(workspace / stem, ",".join(columns) + "\n", lines):
            yield _Part(path, for_ros)


def _written(stem: Path, header: str, lines: Iterable[str]) -> Iterator[Path]:
    """Write the lines to ``<stem>.0.csv`` and, if that is full, ``.1.csv`` and so on, each with the header."""
    source = iter(lines)
    line = next(source, None)
    number = 0
    while line is not None:
        path = stem.with_name(f"{stem.name}.{number}.csv")
        with path.open("w", encoding="ascii", newline="") as opened:
            left_bytes = _MAX_ARCHIVE_BYTES - opened.write(header)
            while line is not None and len(line) <= left_bytes:
                left_bytes -= opened.write(line)
                line = next(source, None)
        yield path
        number += 1


def _grouped(parts: Iterable[_Part]) -> Iterator[list[_Part]]:
    group: list[_Part] = []
    size_bytes = 0
    for part in parts:
        part_bytes = part.path.stat().st_size
        if group and size_bytes + part_bytes > _MAX_ARCHIVE_BYTES:
            yield group
            group, size_bytes = [], 0
        group.append(part)
        size_bytes += part_bytes
    yield group


def _manifest(
    options: SampleOptions, number: int, rows: CostRows, parts: list[_Part], name: str
) -> dict[str, Any]:
    cluster_id = options.cluster(number)
    return {
        "uuid": random_uuid(options.chooser(f"manifest {name}")),
        "cluster_id": cluster_id,
        "version": _OPERATOR_VERSION,
        "date": f"{options.now:%Y-%m-%dT%H:%M:%SZ}",
        "files": [part.path.name for part in parts if not part.for_ros],
        "resource_optimization_files": [part.path.name for part in parts if part.for_ros],
        "start": f"{rows.start:%Y-%m-%dT%H:00:00Z}",
        "end": f"{rows.last_hour:%Y-%m-%dT%H:59:59Z}",
        "certified": True,
        "daily_reports": True,
        "cr_status": {
            "clusterID": cluster_id,
            "clusterVersion": "4.16.12",
            "operator_commit": _OPERATOR_VERSION,
            "source": {"name": f"demo-{cluster_id[:8]}", "create_source": False},
            "upload": {"upload_toggle": True, "upload_cycle": 360},
        },
    }
