"""The columnar aggregation beside the plain one, on files full of edges."""

import csv

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.samples.cost_columns import ROS_CONTAINER, ROS_NAMESPACE
from headrace_services.ros_processor.aggregation import CsvRejected
from tests.unit.ros_processor.files import NOW, NUMBERS, csv_file, interval, told
from tests.unit.ros_processor.plain import plain

ODD_NUMBERS = (
    "", "0", "-0", "1e21", "1e-7", "1e22", "123456789012345678", "0.1", "0.2", "0.3", "5.", ".5", "+7", " 8",
    "9007199254740993", "1e-400", "493311537.548387", "1e308", "NA", "NaN", "<nil>", "inf", "1e400", "-1", "one",
)  # fmt: skip
numbers = st.one_of(
    st.sampled_from(ODD_NUMBERS[:18]),
    st.floats(0, allow_nan=False, allow_infinity=False).map(repr),
    st.integers(0, 10**7).map(lambda n: f"{n / 10**6:.6f}"),
)
rarely_odd = st.one_of(*[numbers] * 12, st.sampled_from(ODD_NUMBERS))
names = {
    "namespace": ["a", "b", "á", "NA", "<none>"],
    "workload": ["w", "v", "<none>", "", "<nil>"],
    "workload_type": ["deployment", "Deployment", "StatefulSet", "deployment", "job", "<none>"],
    "owner_kind": ["ReplicaSet", "ReplicaSet", "ReplicationController", "Job", "", "NaN"],
    "owner_name": ["o", "p", "o", "p", "<none>"],
    "container_name": ["c", "d", "e,f", 'g"h', "i\nj"],
    "image_name": ["i:1", "i:2", ""],
}
intervals = st.sampled_from(
    [
        *[interval(number) for number in range(4)] * 4,
        {"interval_start": "2026-07-31 02:00:01 +0200 UTC", "interval_end": "2026-07-31 02:15:00 +0200 UTC"},
        {"interval_start": "yesterday"},
        {"interval_end": "2026-13-01 00:00:00 +0000 UTC"},
        interval(9999),
        {"interval_start": "1999-12-31 23:59:59 +0000 UTC"},
        {"interval_start": interval(3)["interval_end"]},
    ]
)


@st.composite
def rows(draw, columns):
    texts = {name: draw(st.sampled_from(choices)) for name, choices in names.items()}
    odd = draw(st.lists(st.sampled_from([c for c in columns if c in NUMBERS]), max_size=4))
    return texts | draw(intervals) | {name: draw(rarely_odd) for name in odd}


@st.composite
def files(draw):
    columns = draw(st.sampled_from([ROS_CONTAINER, ROS_NAMESPACE]))
    lines = draw(st.lists(rows(columns), min_size=1, max_size=25))
    shuffled = draw(st.permutations([*columns, *draw(st.sampled_from([(), ("x",), ("x", "x", "y")]))]))
    content = csv_file(
        lines,
        shuffled,
        lineterminator=draw(st.sampled_from(["\n", "\r\n"])),
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
    )
    return draw(st.sampled_from([b"", b"\xef\xbb\xbf"])) + content


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    content=files(),
    chunk_bytes=st.integers(1, 5000),
    batch_bytes=st.sampled_from([100, 1000, 1 << 20]),
    max_partition_bytes=st.sampled_from([1, 1000, 3000, 1 << 20]),
)
async def test_files_are_told_as_the_plain_way_tells_them(
    content, chunk_bytes, batch_bytes, max_partition_bytes
):
    expected = plain(content, NOW)
    options = {
        "chunk_bytes": chunk_bytes,
        "batch_bytes": batch_bytes,
        "max_partition_bytes": max_partition_bytes,
    }
    if not expected.records:
        with pytest.raises(CsvRejected, match="no valid records present in CSV to process further"):
            await told(content, **options)
        return
    count, dropped, records, containers = await told(content, **options)
    assert (count, dropped) == (expected.rows, dict(expected.dropped))
    assert records == expected.records
    assert list(records) == sorted(records)
    assert all(list(mine) == sorted(mine) for mine in records.values())
    assert containers == expected.containers
