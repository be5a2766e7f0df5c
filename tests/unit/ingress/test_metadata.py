import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.contracts.announcement import UploadMetadata
from headrace_services.ingress.metadata import parse_metadata

NONE = UploadMetadata()
NO_TIMES = [
    b'""', b'"soon"', b"7", b"true", b"{}", b'"2026-01-01"', b'"2026-01-01T00:00:00"', b'"2026-02-30T00:00:00Z"',
    b'"2026-01-01 00:00:00Z"', b'"2026-01-01T24:00:00Z"', b'"2026-01-01T00:00:60Z"', b'"2026-01-01T00:00:00z"',
    b'"2026-01-01T00:00:00,5Z"', b'"2026-01-01T00:00:00.Z"', b'"2026-01-01T00:00:00+0100"',
    b'"2026-01-01T00:00:00+24:00"', b'"2026-01-01T0:00:00Z"', b'" 2026-01-01T00:00:00Z"',
]  # fmt: skip


def parsed(value: Any) -> dict[str, Any]:
    return parse_metadata(json.dumps(value).encode()).model_dump(exclude_none=True)


def test_every_field_is_kept():
    sent = {
        "ip_addresses": ["10.0.0.1"],
        "account": "77",
        "org_id": "o",
        "insights_id": "i",
        "machine_id": "m",
        "subscription_manager_id": "s",
        "mac_addresses": ["aa:bb"],
        "fqdn": "h1",
        "bios_uuid": "b",
        "display_name": "d",
        "ansible_host": "a",
        "custom_metadata": {"a": "b"},
        "queue_key": "q",
    }
    found = parsed(sent)
    stale = datetime.fromisoformat(found.pop("stale_timestamp"))
    assert found == sent | {"reporter": "ingress"}
    assert abs(stale - datetime.now(UTC) - timedelta(days=30)) < timedelta(minutes=1)


def test_reporter_and_stale_timestamp_are_ours_whatever_was_sent():
    found = parsed({"reporter": "me", "stale_timestamp": "2001-01-01T00:00:00Z"})
    assert found["reporter"] == "ingress"
    assert found["stale_timestamp"] > "2026"


def test_unknown_keys_nulls_and_empty_texts_are_dropped_and_case_does_not_count():
    found = parsed({"FQDN": "h1", "novel": 1, "account": None, "bios_uuid": "", "ip_addresses": []})
    assert found.keys() == {"fqdn", "reporter", "stale_timestamp"}


@pytest.mark.parametrize(
    "stale",
    ["2001-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "0000-02-29T23:59:59.123456789+23:59", None],
)
def test_a_stale_timestamp_that_is_a_time_or_null_drops_nothing(stale: str | None):
    assert parsed({"fqdn": "h1", "stale_timestamp": stale})["fqdn"] == "h1"


def test_metadata_null_is_metadata_without_a_field():
    assert parsed(None).keys() == {"reporter", "stale_timestamp"}
    assert parsed(None)["reporter"] == "ingress"
    sent = {"ip_addresses": [None, "10.0.0.1"], "custom_metadata": {"a": None}, "mac_addresses": None}
    found = parsed(sent)
    assert (found["ip_addresses"], found["custom_metadata"]) == (["", "10.0.0.1"], {"a": ""})


@pytest.mark.parametrize(
    "text",
    [
        None, b"", b"{", b"[]", b"7", b'"x"', b"\xff", b'{"account": 7}', b'{"ip_addresses": "x"}',
        b'{"ip_addresses": [1]}', b'{"custom_metadata": {"a": 1}}', b'{"fqdn": {"a": 1}}', b'{"fqdn": "\\ud800"}',
        b'{"fqdn": "h1", "account": true}', b"[" * 5000, b'{"fqdn": "h1", "reporter": 7}',
        *(b'{"fqdn": "h1", "stale_timestamp": %s}' % stale for stale in NO_TIMES),
    ],
)  # fmt: skip
def test_any_mistake_drops_the_metadata_whole(text: bytes | None):
    assert parse_metadata(text) == NONE


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


@given(
    st.dictionaries(st.sampled_from([*UploadMetadata.model_fields, "x"]), json_values).map(json.dumps)
    | st.text()
)
def test_no_text_raises_and_what_is_accepted_can_be_written(text: str):
    json.loads(parse_metadata(text.encode("utf-8", "surrogatepass")).model_dump_json())
