import gzip
import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.contracts.rules import RulesResult, UnjudgedResult, UnjudgedWorkloads
from headrace.runtime.errors import Poison
from headrace_services.results_aggregator.messages import Origin, judged

CLUSTER = "11111111-2222-4333-8444-555555555555"


def message(**changes: Any) -> dict[str, Any]:
    whole = {
        "OrgID": 12383032,
        "AccountNumber": 6212377,
        "ClusterName": CLUSTER,
        "Report": {},
        "LastChecked": "2026-11-21T21:28:22.990776891Z",
        "Version": 2,
        "RequestId": "b44bfb83",
        "Metadata": {"gathering_time": "2026-11-21T23:00:00+02:00"},
    }
    return {name: value for name, value in (whole | changes).items() if value is not ...}


def fault_of(value: Any) -> str:
    """The fault of a message."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    with pytest.raises(Poison) as raised:
        Origin.of(judged(UnjudgedResult.from_json(body), RulesResult))
    return str(raised.value)


def test_a_message_says_which_cluster_and_as_of_when() -> None:
    found = Origin.of(judged(UnjudgedResult.from_json(json.dumps(message()).encode()), RulesResult))
    assert (found.org_id, found.cluster, found.version) == (12383032, UUID(CLUSTER), 2)
    assert found.last_checked_at == datetime(2026, 11, 21, 21, 28, 22, 990776, tzinfo=UTC)
    assert found.gathered_at == datetime(2026, 11, 21, 21, tzinfo=UTC)


@pytest.mark.parametrize(
    "changes",
    [
        {"AccountNumber": ...},
        {"AccountNumber": None},
        {"OrgID": 0},
        {"OrgID": 2**32 - 1},
        {"Version": ...},
        {"Version": 7},
        {"Version": 255},
        {"Version": None},
        {"RequestId": None},
        {"Metadata": ...},
        {"Metadata": {}},
        {"Metadata": {"gathering_time": None}},
        {"ClusterName": CLUSTER.upper()},
        {"ClusterName": CLUSTER.replace("-", "")},
        {"LastChecked": "2026-11-21T21:28:22-05:00"},
        {"Unknown": [1]},
    ],
)
def test_what_may_be_absent_or_otherwise_is_taken(changes: dict[str, Any]) -> None:
    incoming = UnjudgedResult.from_json(json.dumps(message(**changes)).encode())
    assert Origin.of(judged(incoming, RulesResult)).cluster == UUID(CLUSTER)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"OrgID": ...}, "missing required attribute 'OrgID'"),
        ({"OrgID": None}, "missing required attribute 'OrgID'"),
        ({"ClusterName": ...}, "missing required attribute 'ClusterName'"),
        ({"Report": ...}, "missing required attribute 'Report'"),
        ({"OrgID": ..., "Report": ...}, "missing required attribute 'OrgID'"),
        ({"ClusterName": "c1"}, "cluster name is not a UUID"),
        ({"ClusterName": 5}, "cluster name is not a UUID"),
        ({"ClusterName": CLUSTER.replace("-", "", 1)}, "cluster name is not a UUID"),
        ({"OrgID": "1"}, 'OrgID: got "1", expected an integer from 0 to 4294967295'),
        ({"OrgID": True}, "OrgID: got true, expected an integer from 0 to 4294967295"),
        ({"OrgID": 1.0}, "OrgID: got 1.0, expected an integer from 0 to 4294967295"),
        ({"OrgID": -1}, "OrgID: got -1, expected an integer from 0 to 4294967295"),
        ({"OrgID": 2**32}, "OrgID: got 4294967296, expected an integer from 0 to 4294967295"),
        ({"AccountNumber": "x"}, 'AccountNumber: got "x", expected an integer from 0 to 4294967295'),
        ({"Report": []}, "Report: got [], expected an object"),
        ({"Report": "x" * 99}, f'Report: got "{"x" * 63}…, expected an object'),
        ({"RequestId": 7}, "RequestId: got 7, expected a string"),
        ({"Version": "2"}, 'Version: got "2", expected an integer from 0 to 255'),
        ({"Version": 256}, "Version: got 256, expected an integer from 0 to 255"),
        ({"Version": -1}, "Version: got -1, expected an integer from 0 to 255"),
        ({"Version": False}, "Version: got false, expected an integer from 0 to 255"),
        ({"Metadata": []}, "Metadata: got [], expected an object"),
        (
            {"Metadata": {"gathering_time": "noon"}},
            'Metadata.gathering_time: got "noon", expected RFC 3339 such as 2026-11-21T21:28:22Z',
        ),
        ({"LastChecked": ...}, 'LastChecked: got "", expected RFC 3339 such as 2026-11-21T21:28:22Z'),
        (
            {"LastChecked": "2026-11-21 21:28:22"},
            'LastChecked: got "2026-11-21 21:28:22", expected RFC 3339 such as 2026-11-21T21:28:22Z',
        ),
        ({"LastChecked": 5}, "LastChecked: got 5, expected RFC 3339 such as 2026-11-21T21:28:22Z"),
        (
            {"LastChecked": "2026-02-30T00:00:00Z"},
            'LastChecked: got "2026-02-30T00:00:00Z": day is out of range for month',
        ),
    ],
)
def test_each_fault_has_its_text(changes: dict[str, Any], fault: str) -> None:
    assert fault_of(message(**changes)) == fault


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"{", "the message is not JSON"),
        (b"\xff\xfe{}", "the message is not JSON"),
        (b"[1]", "the message is not an object: [1]"),
        (b"null", "the message is not an object: null"),
        (b"[" * 200_000, "the message is not JSON"),
    ],
)
def test_bytes_that_are_no_object_are_a_fault_of_the_message(body: bytes, fault: str) -> None:
    assert fault_of(body).startswith(fault)


def test_what_only_python_writes_is_read() -> None:
    body = json.dumps(message(Report={"n": float("nan"), "half": "\ud800"})).encode()
    incoming = UnjudgedResult.from_json(body)
    assert incoming.problem == ""
    assert incoming.attributes["Report"] == {"n": None, "half": "\ud800"}


def test_the_request_is_known_for_its_status_even_when_the_message_is_wrong() -> None:
    incoming = UnjudgedResult.from_json(json.dumps(message(ClusterName=...)).encode())
    assert (incoming.request_id, incoming.org_id, incoming.account) == ("b44bfb83", "12383032", "6212377")
    assert UnjudgedResult.from_json(b'{"RequestId":5}').request_id == ""


def test_only_workloads_are_inflated() -> None:
    body = gzip.compress(json.dumps({"OrgID": 5}).encode())
    assert UnjudgedWorkloads.from_json(body).attributes == {"OrgID": 5}
    assert UnjudgedWorkloads.from_json(b'{"OrgID": 5}').attributes == {"OrgID": 5}
    assert UnjudgedResult.from_json(body).problem.startswith("the message is not JSON")


def test_a_gzip_that_grows_too_large_or_ends_early_is_a_fault() -> None:
    bomb = gzip.compress(b" " * (64 << 20))
    assert UnjudgedWorkloads.from_json(bomb).problem == (
        "the message is not JSON: more than 16777216 bytes inflated"
    )
    cut = gzip.compress(json.dumps(message()).encode())[:-9]
    assert UnjudgedWorkloads.from_json(cut).problem == "the message is not JSON: truncated gzip"
    assert UnjudgedWorkloads.from_json(b"\x1f\x8b\x07junk").problem.startswith("the message is not JSON")


@given(st.binary(max_size=64) | st.recursive(
    st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
    lambda inner: st.lists(inner) | st.dictionaries(
        st.sampled_from(["OrgID", "ClusterName", "Report", "LastChecked", "Metadata", "Version"]) | st.text(), inner
    ),
    max_leaves=12,
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_any_bytes_are_read_or_refused_with_a_reason(body: bytes) -> None:
    for kind in (UnjudgedResult, UnjudgedWorkloads):
        incoming: UnjudgedResult = kind.from_json(body)
        with suppress(Poison):
            assert Origin.of(judged(incoming, RulesResult)).cluster
