import math
from datetime import UTC, datetime

import numpy as np
import pytest

from headrace.samples.cost_columns import ROS_CONTAINER, ROS_NAMESPACE
from headrace_services.ros_processor.aggregation import CsvRejected
from headrace_services.ros_processor.decimals import decimals
from tests.unit.ros_processor.files import (
    CONTAINER_ROW,
    NOW,
    aggregated,
    csv_file,
    documented_sample,
    interval,
    told,
)
from tests.unit.ros_processor.plain import plain

APP = ("shop", "deployment", "app")


def usage(records, owner=APP, interval_number=0, container=0):
    """The values sent of one container in one interval, by metric."""
    found = list(records[owner].values())[interval_number][container]
    return {metric["name"]: metric["results"]["aggregation_info"] for metric in found[2]}


async def rejection(content: bytes, **options) -> str:
    with pytest.raises(CsvRejected) as caught:
        await told(content, **options)
    return str(caught.value)


async def test_the_documents_sample_gives_its_numbers() -> None:
    count, dropped, records, containers = await told(documented_sample())
    assert (count, dropped) == (105, {"no owner": 1})
    intervals = [record for mine in records.values() for record in mine.values()]
    assert (len(intervals), sum(map(len, intervals))) == (101, 103)
    assert sum(map(len, containers.values())) == 5
    assert list(records) == [
        ("Yuptoo-prod", "deployment", "Yuptoo-service"),
        ("Yuptoo-prod", "deployment", "servers"),
        ("Yuptoo-prod", "replicaset", "Yuptoo-app"),
    ]
    two_pods = usage(records, ("Yuptoo-prod", "deployment", "Yuptoo-service"))
    assert two_pods["cpuUsage"] == {"sum": "4", "avg": "4", "min": "1", "max": "7", "format": "cores"}


async def test_what_is_sent_is_kruizes_metrics_array() -> None:
    row = dict.fromkeys(CONTAINER_ROW, "0.5") | CONTAINER_ROW
    row |= {"memory_rss_usage_container_avg": "493311537.548387", "cpu_throttle_container_max": ""}
    async with aggregated(csv_file([row])) as found:
        (workload,) = [workload async for workload in found.workloads()]
    (record,) = workload.records
    assert (found.kind, found.rows, dict(found.dropped)) == ("container", 1, {})
    assert (workload.kind, workload.containers) == ("container", (("server", "quay.io/shop/app:1"),))
    assert record.start == datetime(2026, 7, 31, 0, 0, 1, tzinfo=UTC)
    assert record.end == datetime(2026, 7, 31, 0, 15, tzinfo=UTC)
    metrics = record.containers[0].metrics
    assert [metric["name"] for metric in metrics] == [
        "cpuRequest", "cpuLimit", "cpuUsage", "cpuThrottle", "memoryRequest", "memoryLimit", "memoryUsage", "memoryRSS",
    ]  # fmt: skip
    assert metrics[3]["results"] == {"aggregation_info": {"sum": "1", "avg": "1", "format": "cores"}}
    assert metrics[7]["results"] == {
        "aggregation_info": {"sum": "1", "avg": "493311537.548387", "min": "1", "max": "1", "format": "bytes"}
    }


async def test_the_columns_decide_the_kind() -> None:
    async with aggregated(csv_file([{}], reversed(ROS_NAMESPACE))) as found:
        (workload,) = [workload async for workload in found.workloads()]
    assert (found.kind, workload.kind, workload.object_type) == ("namespace", "namespace", "namespace")
    assert (workload.namespace, workload.object_name, workload.containers) == ("shop", "shop", ())
    (usage_of_all,) = workload.records[0].containers
    infos = {m["name"]: m["results"]["aggregation_info"] for m in usage_of_all.metrics}
    assert usage_of_all.name == ""
    assert infos["namespaceCpuRequest"] == {"sum": "1", "format": "cores"}
    assert infos["namespaceCpuUsage"] == {"avg": "1", "min": "1", "max": "1", "format": "cores"}
    assert infos["namespaceTotalPods"] == {"avg": "1", "max": "1"}
    assert len(infos) == 10


async def test_newer_operators_columns_are_ignored() -> None:
    extra = ["cpu_throttle_container_min", *(f"accelerator_{n}" for n in range(11))]
    columns = [*ROS_CONTAINER[:20], *extra, *ROS_CONTAINER[20:]]
    assert len(columns) == 49
    assert await told(csv_file([{}], columns)) == await told(csv_file([{}]))


async def test_one_missing_request_hides_the_workloads() -> None:
    rows = [{}, {"cpu_request_container_avg": "", "memory_limit_container_sum": "NA"}]
    _, _, records, _ = await told(csv_file(rows))
    assert set(usage(records)) == {
        "cpuLimit",
        "cpuUsage",
        "cpuThrottle",
        "memoryRequest",
        "memoryUsage",
        "memoryRSS",
    }


@pytest.mark.parametrize(
    ("cells", "expected"), [(("", "3"), None), (("3", ""), "3"), (("3", "", "4"), "4"), (("", ""), None)]
)
async def test_a_missing_maximum_counts_only_in_the_first_row(cells, expected) -> None:
    _, _, records, _ = await told(csv_file({"cpu_throttle_container_max": cell} for cell in cells))
    assert usage(records)["cpuThrottle"].get("max") == expected


async def test_sums_are_taken_row_after_row() -> None:
    values = [0.1] * 1000
    _, _, records, _ = await told(csv_file({"cpu_request_container_sum": repr(value)} for value in values))
    expected = 0.0
    for value in values:
        expected += value
    assert expected not in {math.fsum(values), float(np.sum(values))}
    assert float(usage(records)["cpuRequest"]["sum"]) == expected


@pytest.mark.row(13)
async def test_repeated_rows_are_added_again() -> None:
    _, _, records, _ = await told(csv_file([{}] * 3))
    assert usage(records)["cpuUsage"] == {"sum": "3", "avg": "1", "min": "1", "max": "1", "format": "cores"}


async def test_two_images_of_a_container_stay_apart_in_one_interval() -> None:
    rows = [{"image_name": image} for image in ("i:2", "i:1", "i:2")]
    _, _, records, containers = await told(csv_file(rows))
    (interval_,) = records[APP].values()
    assert [(name, image) for name, image, _ in interval_] == [("server", "i:1"), ("server", "i:2")]
    assert containers[APP] == (("server", "i:1"),)


async def test_a_container_without_a_row_that_counts_is_not_there() -> None:
    rows = [{}, {"container_name": "idle", "cpu_usage_container_avg": ""}]
    _, dropped, _, containers = await told(csv_file(rows))
    assert dropped == {"usage is missing, negative or not a number": 1}
    assert containers[APP] == (("server", "quay.io/shop/app:1"),)


@pytest.mark.parametrize(
    "cell", ["", "-0.1", "NaN", "inf", "Infinity", "-inf", "1e400", "one", "0x10", "1_0", "<nil>"]
)
async def test_a_row_needs_its_usage(cell) -> None:
    text = await rejection(csv_file([{"memory_usage_container_min": cell}]))
    assert text == (
        "no valid records present in CSV to process further"
        " (1 rows dropped: usage is missing, negative or not a number 1)"
    )


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"owner_kind": "<none>"}, "no owner"),
        ({"owner_name": "NA"}, "no owner"),
        ({"workload_type": ""}, "no workload type"),
        ({"workload_type": "CronJob"}, "workload type is not supported"),
        ({"container_name": "c" * 254}, "a name is too long"),
        ({"interval_start": "2026-07-31T00:00:01Z"}, "the interval cannot be read"),
        ({"interval_end": "2026-02-30 00:15:00 +0000 UTC"}, "the interval cannot be read"),
        ({"interval_end": "2026-07-31 00:15:00 +9999 UTC"}, "the interval cannot be read"),
        ({"interval_end": "2026-08-02 12:00:01 +0000 UTC"}, "the interval lies in the future"),
        ({"interval_start": "1999-12-31 23:59:59 +0000 UTC"}, "the interval lies before 2000"),
        ({"interval_end": interval(0)["interval_start"]}, "the interval does not end after its start"),
    ],
)
@pytest.mark.row(13)
async def test_a_row_that_does_not_count_is_tallied_with_its_reason(row, reason) -> None:
    count, dropped, records, _ = await told(csv_file([{}, row, row]))
    assert (count, dropped, len(records)) == (3, {reason: 2}, 1)


async def test_a_day_ahead_is_a_clock_and_not_the_future() -> None:
    await told(csv_file([{"interval_end": "2026-08-02 12:00:00 +0000 UTC"}]), now=NOW)


async def test_missing_columns_are_named() -> None:
    columns = [name for name in ROS_CONTAINER if name not in {"pod", "image_name"}]
    text = await rejection(csv_file([{}], columns))
    assert text == "CSV file does not have all the required columns: pod, image_name"
    text = await rejection(csv_file([{}], ROS_NAMESPACE[:-1]))
    assert text == "CSV file does not have all the required columns: namespace_total_pods_avg"
    assert "pod" in await rejection(csv_file([{}], [*ROS_CONTAINER, "pod"]))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"\n", "the file is empty"),
        (b"\n" + csv_file([{}]), "the file has no header"),
        (csv_file([]), r"no valid records .* \(the file has no rows\)"),
        (csv_file([{}]).decode().encode("utf-16"), "the file is UTF-16, not UTF-8"),
        (csv_file([{"container_name": "café"}]).decode().encode("latin-1"), "not UTF-8: byte 0xe9 in line 2"),
        (b"\x1f\x8b\x08" + csv_file([{}]), "not UTF-8"),
        (csv_file([{}]).replace(b"\n", b"\r"), "the header cannot be read"),
        (b'"' + csv_file([{}]), "the header cannot be read"),
    ],
)
@pytest.mark.row(13)
async def test_what_is_no_csv_of_ours_is_refused_with_the_reason(content, reason) -> None:
    with pytest.raises(CsvRejected, match=reason):
        await told(content)


RAGGED = {
    "short": (lambda line: line.rsplit(b",", 2)[0], "line 52 has 35 fields instead of 37"),
    "long": (lambda line: line + b",1", "line 52 has 38 fields instead of 37"),
    "quote": (lambda line: line.replace(b"app-1", b'"app"-1'), "line 52: ',' expected after '\"'"),
    "carriage return": (lambda line: line.replace(b"app-1", b"app\r1"), "line 52: new-line character seen"),
    "NUL": (lambda line: line.replace(b"app-1", b"app\0"), "line 52 has a field with a NUL"),
    "long field": (lambda line: line.replace(b"app-1", b"a" * (2**20 + 1)), "line 52: field larger than field limit"),
}  # fmt: skip


@pytest.mark.parametrize("fault", RAGGED)
@pytest.mark.parametrize("batch_bytes", [1000, 4 << 20])
@pytest.mark.row(13)
async def test_one_malformed_row_of_a_hundred_is_dropped_and_two_are_too_many(fault, batch_bytes) -> None:
    spoil, reason = RAGGED[fault]
    lines = csv_file([{}] * 100).splitlines()
    lines[51] = spoil(lines[51])
    count, dropped, records, _ = await told(b"\n".join(lines), batch_bytes=batch_bytes)
    assert (count, dropped) == (100, {"malformed row": 1})
    assert usage(records)["cpuUsage"]["sum"] == "99"
    lines[61] = spoil(lines[61])
    text = await rejection(b"\n".join(lines), batch_bytes=batch_bytes)
    assert text.startswith(f"2 of 100 rows are malformed, the first: {reason}")


@pytest.mark.parametrize("columns", [ROS_CONTAINER, ROS_CONTAINER[::-1], [*ROS_CONTAINER, "extra"]])
async def test_a_short_and_a_long_row_do_not_make_up_for_each_other(columns) -> None:
    lines = csv_file([{}] * 200, columns).splitlines()
    lines[7] = lines[7].rsplit(b",", 1)[0]
    lines[8] += b",1"
    _, dropped, _, _ = await told(b"\n".join(lines))
    assert dropped == {"malformed row": 2}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (csv_file([{"pod": "p" * (10 << 20)}]), "a record is longer than 2097152 bytes"),
        (csv_file([{}]) + b'"' + b"a,b\n" * (3 << 20), "a record is in quotes that do not end within 2097152 bytes"),
        (csv_file([{}]) + b'"' * (10 << 20), "a record is longer than 2097152 bytes"),
        (csv_file([{}]) + b'"a', "1 of 2 rows are malformed, the first: line 3: unexpected end of data"),
    ],
    ids=["field", "open quote", "only quotes", "open quote at the end"],
)  # fmt: skip
@pytest.mark.row(13)
async def test_bombs_are_refused(content, reason) -> None:
    assert await rejection(content) == reason


@pytest.mark.row(13)
async def test_mixed_newlines_blank_lines_and_a_missing_last_one_are_taken() -> None:
    header, *lines = csv_file([{}] * 4).splitlines()
    content = header + b"\r\n" + lines[0] + b"\n" + lines[1] + b"\r\n\r\n" + lines[2] + b"\n\n" + lines[3]
    assert await told(content) == await told(csv_file([{}] * 4))


@pytest.mark.parametrize(
    ("limits", "rows", "reason"),
    [
        ({"max_rows": 2}, [{}] * 3, "the file has more than 2 rows"),
        (
            {"max_containers": 2},
            [{"container_name": n} for n in "abc"],
            "the file has more than 2 containers",
        ),
        ({"max_intervals": 2}, [interval(n) for n in range(3)], "the file has more than 2 intervals"),
    ],
)
async def test_limits_are_named(limits, rows, reason) -> None:
    assert await rejection(csv_file(rows), **limits) == reason


async def test_a_workload_with_very_many_intervals_comes_in_parts() -> None:
    rows = [
        {"workload": name} | interval(n)
        for n in range(7)
        for name in ("a", "big", "z")
        if n < 2 or name == "big"
    ]
    async with aggregated(csv_file(rows), max_workload_groups=3) as found:
        parts = [(w.object_name, len(w.records), len(w.containers)) async for w in found.workloads()]
    assert parts == [("a", 2, 1), ("big", 3, 1), ("big", 3, 1), ("big", 1, 1), ("z", 2, 1)]


@pytest.mark.parametrize("max_partition_bytes", [1 << 14, 1 << 18])
async def test_what_does_not_fit_in_memory_is_told_the_same(max_partition_bytes) -> None:
    chooser = np.random.default_rng(7)
    rows = [
        {"workload": f"w{chooser.integers(40)}", "cpu_usage_container_sum": f"{chooser.random():.17g}"}
        | interval(int(chooser.integers(60)))
        for _ in range(2500)
    ]
    content = csv_file(rows)
    expected = plain(content, NOW)
    async with aggregated(content, max_partition_bytes=max_partition_bytes) as found:
        assert found.contents.partitions.spilled
        order = [w.object_name async for w in found.workloads()]
        assert order == [w.object_name async for w in found.workloads()]
        assert list(dict.fromkeys(order)) == sorted({row["workload"] for row in rows})
    _, _, records, _ = await told(content, max_partition_bytes=max_partition_bytes, batch_bytes=1 << 16)
    assert records == expected.records


async def test_what_does_not_fit_in_memory_may_be_one_workload_that_begins_late() -> None:
    large = [{"workload": "a", "container_name": f"c{number}"} | interval(1) for number in range(1000)]
    content = csv_file([{"workload": "b"} | interval(0), *large])
    async with aggregated(content, max_partition_bytes=1 << 14) as found:
        assert found.contents.partitions.spilled
    rows, _, records, _ = await told(content, max_partition_bytes=1 << 14)
    assert rows == 1001
    assert records == plain(content, NOW).records


def test_decimals_are_the_shortest_without_exponent() -> None:
    cases = {
        1.0: "1", 0.1: "0.1", 1e21: "1" + "0" * 21, 1e22: "1" + "0" * 22, 1e-7: "0.0000001", -0.0: "-0",
        1e16: "1" + "0" * 16,
        0.30000000000000004: "0.30000000000000004", 493311537.548387: "493311537.548387", 2.0**53: "9007199254740992",
        1234567890123456789.0: "1234567890123456800", 5e-324: "0." + "0" * 323 + "5", 123456.0: "123456",
    }  # fmt: skip
    assert dict(zip(cases, decimals(np.array(list(cases))), strict=True)) == cases
    assert decimals(np.array([np.nan, np.inf, -np.inf])) == [None, None, None]
    assert decimals(np.array([])) == []
