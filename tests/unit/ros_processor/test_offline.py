import csv
import subprocess
import sys

from typer.testing import CliRunner

from headrace.samples.cost_columns import ROS_NAMESPACE
from headrace_services.ros_processor.commands import ros
from tests.unit.ros_processor.files import csv_file, interval


def aggregated(tmp_path, content: bytes):
    source = tmp_path / "usage.csv"
    source.write_bytes(content)
    return CliRunner().invoke(ros, ["aggregate", str(source), "-o", str(tmp_path / "deep" / "out")])


def rows(tmp_path):
    with (tmp_path / "deep" / "out" / "output.csv").open(newline="") as opened:
        return list(csv.DictReader(opened))


def test_a_container_file_becomes_one_row_a_group(tmp_path) -> None:
    lines = [
        interval(1) | {"owner_kind": "Job", "workload_type": "job"},
        interval(1) | {"cpu_usage_container_avg": "0.5"},
        interval(1) | {"cpu_usage_container_avg": "0.25", "cpu_limit_container_sum": ""},
        interval(0) | {"workload": "<none>", "image_name": "i,1"},
    ]
    done = aggregated(tmp_path, csv_file(lines))
    assert done.exit_code == 0
    assert done.output.endswith("output.csv: container, 4 rows; 1 dropped: workload type is not supported\n")
    first, second = rows(tmp_path)
    assert list(first)[:9] == [
        "namespace", "k8s_object_type", "k8s_object_name", "container_name", "image_name", "workload",
        "interval_start", "interval_end", "cpu_request_container_sum_SUM",
    ]  # fmt: skip
    assert len(first) == 8 + 23
    assert (first["k8s_object_name"], first["cpu_usage_container_avg_MEAN"]) == ("app", "0.375")
    assert (first["cpu_usage_container_min_MIN"], first["cpu_limit_container_sum_SUM"]) == ("1", "")
    assert first["interval_end"] == interval(1)["interval_end"]
    assert (second["k8s_object_type"], second["k8s_object_name"]) == ("replicaset", "app-5c9")
    assert (second["image_name"], second["workload"]) == ("i,1", "<none>")


def test_a_name_is_no_formula(tmp_path) -> None:
    lines = [{"container_name": "=1+1", "namespace": "@a", "image_name": "-1", "workload": "+1"}]
    assert aggregated(tmp_path, csv_file(lines)).exit_code == 0
    (row,) = rows(tmp_path)
    assert [row[name] for name in ("container_name", "namespace", "image_name", "workload")] == [
        "'=1+1", "'@a", "'-1", "'+1",
    ]  # fmt: skip


def test_a_namespace_file_has_its_own_columns(tmp_path) -> None:
    assert aggregated(tmp_path, csv_file([{}], ROS_NAMESPACE)).exit_code == 0
    (row,) = rows(tmp_path)
    assert list(row)[:3] == ["namespace", "interval_start", "interval_end"]
    assert len(row) == 3 + 20


def test_the_command_tells_what_is_wrong_with_a_file(tmp_path) -> None:
    source = tmp_path / "usage.csv"
    source.write_bytes(b"a,b\n1,2\n")
    command = [
        sys.executable,
        "-m",
        "headrace_services",
        "ros",
        "aggregate",
        str(source),
        "-o",
        str(tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "does not have all the required columns: report_period_start" in done.stderr
    assert not (tmp_path / "output.csv").exists()
