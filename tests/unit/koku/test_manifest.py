import json
from typing import Any

import pytest

from headrace.runtime.errors import Rejected
from headrace_services.koku.manifest import Manifest

GOOD = {
    "uuid": "795eb333-0000-4000-8000-000000000001",
    "cluster_id": "023d9b0e-7ca6-481d-b04f-ea606becd54e",
    "date": "2023-03-17T14:11:17Z",
}


def parse(**fields: Any) -> Manifest:
    return Manifest.parse(json.dumps(GOOD | fields).encode())


def test_what_is_absent_or_null_has_upstreams_default():
    absent = parse(unknown=1)
    null = parse(
        version=None, files=None, resource_optimization_files=None, start=None, end=None, certified=None,
        daily_reports=None, cr_status=None,
    )  # fmt: skip
    assert absent == null
    assert (null.version, null.files, null.cr_status, null.certified) == ("", (), {}, False)
    assert (null.ros_files, null.cost_files, null.source_name) == ([], [], "")


def test_the_documented_example_is_read():
    manifest = parse(
        version="costmanagement-metrics-operator:4.1.0", certified=False, daily_reports=True,
        files=["u_openshift_usage_report.0.csv"],
        resource_optimization_files=["u_openshift_usage_report.4.csv"],
        start="2023-03-15T13:00:00Z", end="2023-03-17T13:59:59Z", date="2023-03-17 14:11:17",
        cr_status={"source": {"name": "my cluster"}},
    )  # fmt: skip
    assert manifest.ros_files == ["u_openshift_usage_report.4.csv"]
    assert manifest.cost_files == ["u_openshift_usage_report.0.csv"]
    assert manifest.source_name == "my cluster"


@pytest.mark.parametrize("field", ["uuid", "cluster_id", "date"])
def test_a_field_that_must_be_there_is_named(field: str):
    fields = {name: value for name, value in GOOD.items() if name != field}
    with pytest.raises(Rejected, match=f"{field}: Field required"):
        Manifest.parse(json.dumps(fields).encode())


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "a/b", "/a", "a\\b", "..a", "a..b", "a\n", "a\0", "a" * 256, "é" * 128, 7, None],
)
@pytest.mark.parametrize("field", ["files", "resource_optimization_files"])
def test_a_name_that_is_no_plain_file_name_makes_the_manifest_invalid(field: str, name: Any):
    with pytest.raises(Rejected, match=rf"manifest\.json is not valid: {field}\.1: "):
        parse(**{field: ["good.csv", name]})


@pytest.mark.parametrize(
    "cluster_id", ["", "../up", "a/b", "none", "{023d9b0e-7ca6-481d-b04f-ea606becd54e}", "023d9b0e"]
)
def test_a_cluster_id_that_is_no_uuid_makes_the_manifest_invalid(cluster_id: str):
    with pytest.raises(Rejected, match=r"cluster_id: .*is not a UUID"):
        parse(cluster_id=cluster_id)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"uuid": "x"}, "uuid: "),
        ({"date": "yesterday"}, "date: "),
        ({"start": "never"}, "start: "),
        ({"files": "a.csv"}, "files: "),
        ({"certified": "perhaps"}, "certified: "),
        ({"cr_status": []}, "cr_status: "),
        ({"version": "v" * 1025}, "version: "),
        ({"version": "v\0"}, "version: "),
    ],
)
def test_a_field_of_the_wrong_kind_is_named(fields: dict[str, Any], reason: str):
    with pytest.raises(Rejected, match=reason):
        parse(**fields)


def test_many_wrong_fields_make_a_short_reason():
    with pytest.raises(Rejected) as raised:
        parse(files=[""] * 10_000)
    assert str(raised.value).endswith("and 9997 more")
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"\xff", b"[" * 100_000, b'"\\ud800"'])
def test_what_is_no_json_object_is_refused(content: bytes):
    with pytest.raises(Rejected, match=r"manifest\.json is not valid"):
        Manifest.parse(content)


def test_each_file_counts_once_and_what_macos_adds_does_not():
    manifest = parse(files=["b", "a", "b", "._a", "c"], resource_optimization_files=["c", "._c", "c"])
    assert (manifest.ros_files, manifest.cost_files) == (["c"], ["b", "a"])


@pytest.mark.parametrize("status", [{}, {"source": None}, {"source": "x"}, {"source": {"name": 1}}])
def test_a_source_without_a_name_has_none(status: dict[str, Any]):
    assert parse(cr_status=status).source_name == ""
