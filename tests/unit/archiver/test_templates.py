from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.runtime.errors import ConfigurationError, Rejected
from headrace_services.archiver.templates import CLUSTER_LAYOUT, KeyTemplate

CLUSTER = "11111111-2222-3333-4444-555555555555"
NOW = datetime(2026, 11, 21, 21, 28, 22, 990776, tzinfo=UTC)
VALUES = {
    "cluster_id": CLUSTER,
    "org_id": "000001",
    "account": "77",
    "service": "ols",
    "request_id": "0123456789abcdef0123456789abcdef",
    "size": "6",
    "original_path": "0123/4567",
}


def key(template: str, position: int | None = None, **values: str) -> str:
    series = KeyTemplate.parse(template).series(VALUES | values)
    return series.key(series.first_position(NOW) if position is None else position, NOW)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (CLUSTER_LAYOUT, f"archives/compressed/11/{CLUSTER}/202611/21/212822.tar.gz"),
        ("{org_id}/{cluster_id}/{timestamp}-{request_id}", f"000001/{CLUSTER}/20261121212822-{VALUES['request_id']}"),
        ("{org_id}/{request_id}", f"000001/{VALUES['request_id']}"),
        (
            "{service}/{org_id}/{cluster_id}/{timestamp}/{request_id}.tgz",
            f"ols/000001/{CLUSTER}/20261121212822/{VALUES['request_id']}.tgz",
        ),
        ("$org_id[0]/${cluster_id}[:8]/$cluster_id[9:13]/$cluster_id[-4:]", "0/11111111/2222/5555"),
        ("$org_id/$hour-$minute-$second/${size}b", "000001/21-28-22/6b"),
        ("$org_id/$original_path", "000001/0123/4567"),
    ],
)  # fmt: skip
def test_both_notations_give_the_documented_keys(template: str, expected: str) -> None:
    assert key(template) == expected


@pytest.mark.parametrize(
    "template", ["$clusterid/x", "{tenant}/$cluster_id", "archives/$day.tar.gz", "fixed"]
)
def test_a_template_that_cannot_work_is_refused_at_start(template: str) -> None:
    with pytest.raises(ConfigurationError, match="key template"):
        KeyTemplate.parse(template)


def test_the_next_position_of_a_timed_series_is_the_next_second_also_over_midnight() -> None:
    series = KeyTemplate.parse(CLUSTER_LAYOUT).series(VALUES)
    last = int(datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp())
    assert series.key(last, NOW).endswith("/202612/31/235959.tar.gz")
    assert series.key(last + 1, NOW).endswith("/202701/01/000000.tar.gz")


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{org_id}/{service}.tar.gz", "000001/ols-2.tar.gz"),
        ("{org_id}/{service}.v1/{size}", "000001/ols.v1/6-2"),
        ("$org_id/$year$month/$service.tgz", "000001/202611/ols-2.tgz"),
    ],
)
def test_without_a_second_in_the_key_the_second_archive_is_numbered(template: str, expected: str) -> None:
    assert key(template, 2) == expected


def test_clusters_do_not_share_a_series() -> None:
    template = KeyTemplate.parse(CLUSTER_LAYOUT)
    names = {template.series(VALUES | {"cluster_id": name}).name for name in ("aaaa", "aabb")}
    assert len(names) == 2


@pytest.mark.parametrize("value", ["", ".", ".."])
def test_a_value_that_is_no_folder_is_rejected_by_name(value: str) -> None:
    with pytest.raises(Rejected, match="org_id"):
        key("{org_id}/{request_id}", org_id=value)


def test_a_key_longer_than_s3_takes_is_rejected() -> None:
    with pytest.raises(Rejected, match="1024"):
        key("{org_id}/{request_id}", request_id="x" * 1100)


@given(org_id=st.text(min_size=1), request_id=st.text(min_size=1))
def test_no_value_can_climb_out_of_its_folder(org_id: str, request_id: str) -> None:
    if {org_id, request_id} & {".", ".."}:
        return
    try:
        made = key("a/{org_id}/{request_id}/b", org_id=org_id, request_id=request_id)
    except Rejected:
        return
    folders = made.split("/")
    assert len(folders) == 4
    assert not {"", ".", ".."} & set(folders)


@given(st.integers(min_value=0, max_value=4_000_000_000))
def test_different_seconds_have_different_keys(second: int) -> None:
    series = KeyTemplate.parse(CLUSTER_LAYOUT).series(VALUES)
    assert series.key(second, NOW) != series.key(second + 1, NOW)
