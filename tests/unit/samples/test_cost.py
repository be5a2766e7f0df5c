import csv
import io
import itertools
import json
import re
import subprocess
import sys
from collections import defaultdict
from datetime import datetime, timedelta

import pytest

from headrace.archives import ArchiveParser
from headrace.samples import KINDS, SampleOptions
from tests.unit.samples.test_samples import members_of

CONTAINER_COLUMNS = (
    "report_period_start,report_period_end,interval_start,interval_end,container_name,pod,owner_name,owner_kind,"
    "workload,workload_type,namespace,image_name,node,resource_id,cpu_request_container_avg,"
    "cpu_request_container_sum,cpu_limit_container_avg,cpu_limit_container_sum,cpu_usage_container_avg,"
    "cpu_usage_container_min,cpu_usage_container_max,cpu_usage_container_sum,cpu_throttle_container_avg,"
    "cpu_throttle_container_max,cpu_throttle_container_sum,memory_request_container_avg,"
    "memory_request_container_sum,memory_limit_container_avg,memory_limit_container_sum,"
    "memory_usage_container_avg,memory_usage_container_min,memory_usage_container_max,"
    "memory_usage_container_sum,memory_rss_usage_container_avg,memory_rss_usage_container_min,"
    "memory_rss_usage_container_max,memory_rss_usage_container_sum"
)
NAMESPACE_COLUMNS = (
    "report_period_start,report_period_end,interval_start,interval_end,namespace,cpu_request_namespace_sum,"
    "cpu_limit_namespace_sum,cpu_usage_namespace_avg,cpu_usage_namespace_max,cpu_usage_namespace_min,"
    "cpu_throttle_namespace_avg,cpu_throttle_namespace_max,cpu_throttle_namespace_min,"
    "memory_request_namespace_sum,memory_limit_namespace_sum,memory_usage_namespace_avg,"
    "memory_usage_namespace_max,memory_usage_namespace_min,memory_rss_usage_namespace_avg,"
    "memory_rss_usage_namespace_max,memory_rss_usage_namespace_min,namespace_running_pods_max,"
    "namespace_running_pods_avg,namespace_total_pods_max,namespace_total_pods_avg"
)
TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \+0000 UTC")
USAGE = [
    f"{kind}_{statistic}"
    for kind in ("cpu_usage_container", "memory_usage_container", "memory_rss_usage_container")
    for statistic in ("avg", "min", "max", "sum")
]


@pytest.fixture
async def archive(tmp_path):
    path, _ = KINDS["cost"].generate(tmp_path, SampleOptions())
    members = await members_of(path)
    return json.loads(members.pop("manifest.json")), members


def rows(content):
    return list(csv.DictReader(io.StringIO(content.decode())))


def when(text):
    assert TIME.fullmatch(text)
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S %z UTC")


def one(members, part):
    (content,) = [content for name, content in members.items() if part in name]
    return content


async def test_the_manifest_lists_every_file_once_and_its_period(archive):
    manifest, members = archive
    listed = [*manifest["files"], *manifest["resource_optimization_files"]]
    assert sorted(listed) == sorted(members)
    assert len(manifest["files"]) == 1
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", manifest["date"])
    assert (manifest["start"], manifest["end"]) == ("2026-07-31T10:00:00Z", "2026-08-01T09:59:59Z")


async def test_the_columns_are_the_contracts(archive):
    _, members = archive
    columns = one(members, "ros-openshift-container").split(b"\n")[0].decode()
    assert columns.startswith(f"{CONTAINER_COLUMNS},cpu_throttle_container_min,accelerator_")
    assert len(columns.split(",")) == 49
    assert one(members, "ros-openshift-namespace").split(b"\n")[0].decode() == NAMESPACE_COLUMNS
    assert len(CONTAINER_COLUMNS.split(",")) == 37
    assert len(NAMESPACE_COLUMNS.split(",")) == 25


@pytest.mark.parametrize("part", ["ros-openshift-container", "ros-openshift-namespace"])
async def test_ros_intervals_are_quarters_of_an_hour_without_a_gap(archive, part):
    _, members = archive
    found = rows(one(members, part))
    intervals = sorted({(when(row["interval_start"]), when(row["interval_end"])) for row in found})
    assert len(intervals) == 96
    for start, end in intervals:
        assert end - start == timedelta(seconds=899)
        assert (start.second, end.second, end.minute % 15) == (1, 0, 0)
    for (_, end), (start, _) in itertools.pairwise(intervals):
        assert start - end == timedelta(seconds=1)
    for row in found:
        period = when(row["report_period_start"]), when(row["report_period_end"])
        assert period[0] <= when(row["interval_start"]) < period[1]
        assert [edge.day for edge in period] == [1, 1]


async def test_container_rows_hold_what_a_processor_must_tell_apart(archive):
    _, members = archive
    found = rows(one(members, "ros-openshift-container"))
    for row in found:
        values = [float(row[column]) for column in USAGE]
        assert min(values) >= 0
        assert float(row["cpu_usage_container_min"]) <= float(row["cpu_usage_container_avg"])
        assert float(row["cpu_usage_container_avg"]) <= float(row["cpu_usage_container_max"])
    pods = defaultdict(set)
    for row in found:
        pods[row["namespace"], row["workload_type"], row["workload"], row["container_name"]].add(row["pod"])
    assert max(map(len, pods.values())) > 1
    assert {row["workload_type"] for row in found} == {
        "deployment", "statefulset", "daemonset", "deploymentconfig", "job", "",
    }  # fmt: skip
    assert any(row["workload"] == "<none>" and row["owner_kind"] == "ReplicaSet" for row in found)
    (ownerless,) = [row for row in found if row["owner_name"] == "<none>"]
    assert ownerless["cpu_request_container_avg"] == ownerless["memory_limit_container_sum"] == ""
    assert any(row["cpu_limit_container_avg"] == "" and row["cpu_request_container_avg"] for row in found)
    assert len({(row["pod"], row["container_name"], row["interval_start"]) for row in found}) == len(found)


async def test_pod_rows_are_hours(archive):
    manifest, members = archive
    (name,) = manifest["files"]
    found = rows(members[name])
    hours = {when(row["interval_start"]) for row in found}
    assert len(hours) == 24
    assert {when(row["interval_end"]) - when(row["interval_start"]) for row in found} == {
        timedelta(seconds=3599)
    }
    assert all(float(row["node_capacity_cpu_core_seconds"]) == 8 * 3600 for row in found)


def test_the_bare_csv_is_the_container_csv(tmp_path):
    _, bare = KINDS["cost"].generate(tmp_path, SampleOptions(workloads=2))
    assert bare.read_text().startswith(CONTAINER_COLUMNS + "\n")


async def test_several_clusters_give_several_archives(tmp_path):
    paths = KINDS["cost"].generate(tmp_path, SampleOptions(clusters=3, workloads=1))
    assert [path.name for path in paths[:-1]] == [
        "cost-mgmt.tar.gz",
        "cost-mgmt-2.tar.gz",
        "cost-mgmt-3.tar.gz",
    ]
    manifests = [json.loads((await members_of(path))["manifest.json"]) for path in paths[:-1]]
    assert len({manifest["cluster_id"] for manifest in manifests}) == 3
    assert len({manifest["uuid"] for manifest in manifests}) == 3


async def test_workloads_and_days_scale_the_rows(tmp_path):
    _, bare = KINDS["cost"].generate(tmp_path, SampleOptions(workloads=1, days=2))
    # Two pods of one container in 192 intervals, and the five rows that are left out by a processor.
    assert len(bare.read_text().splitlines()) - 1 == 2 * 192 + 5


def inflated_bytes(path):
    parser = ArchiveParser()
    for _ in parser.feed(path.read_bytes()):
        pass
    return parser.finish().inflated_bytes


LARGE = """
import pathlib, sys
from headrace.samples import KINDS, SampleOptions, cost

def peak_mib():
    return int(pathlib.Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024

cost._MAX_ARCHIVE_BYTES = 20_000_000
before = peak_mib()
paths = KINDS["cost"].generate(pathlib.Path(sys.argv[1]), SampleOptions(workloads=40, days=8))
print(len(paths), peak_mib() - before)
"""


def test_a_large_sample_is_not_held_and_each_archive_stays_within_the_limits(tmp_path):
    child = subprocess.run(
        [sys.executable, "-c", LARGE, str(tmp_path)],
        capture_output=True,
        check=True,
        text=True,
        timeout=100,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    written, extra_mib = child.stdout.split()
    archives = sorted(tmp_path.glob("*.tar.gz"))
    assert len(archives) + 1 == int(written) > 2
    for path in archives:
        assert inflated_bytes(path) < 20_500_000
    assert float(extra_mib) < 30
