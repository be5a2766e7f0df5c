from datetime import UTC, datetime, timedelta

import pytest

from headrace.contracts.status import PayloadStatus
from headrace.runtime.errors import Poison, Rejected
from headrace_services.payload_tracker.models import Step, clock, durations, parse_date, to_row

NOW = datetime(2026, 11, 21, 21, 28, 22, tzinfo=UTC)


def status(**fields: object) -> PayloadStatus:
    return PayloadStatus.model_validate(
        {
            "service": "ingress",
            "request_id": "r1",
            "status": "received",
            "date": "2026-11-21T21:28:22Z",
            **fields,
        }
    )


@pytest.mark.parametrize(
    ("text", "microsecond"),
    [
        ("2026-11-21T21:28:22Z", 0),
        ("2026-11-21t21:28:22z", 0),
        ("2026-11-21 21:28:22", 0),
        ("2026-11-21T21:28:22", 0),
        ("2026-11-21T21:28:22.990776141Z", 990776),
        ("2026-11-21T21:28:22.5", 500000),
        ("2026-11-21T22:28:22+01:00", 0),
        ("2026-11-21 16:28:22-0500", 0),
    ],
)
def test_every_form_of_date_that_services_send_is_read_as_utc(text: str, microsecond: int) -> None:
    assert parse_date(text) == NOW.replace(microsecond=microsecond)
    assert parse_date(text).tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2026-11-21", "20261121T212822Z", "2026-13-01T00:00:00Z", "2026-11-21T25:00:00Z"],
)
def test_what_is_no_date_is_refused_with_what_was_got(text: str) -> None:
    with pytest.raises(Poison, match=f"date: got {text!r}, "):
        to_row(PayloadStatus(request_id="r", service="s", status="received", date=text), NOW)


def test_dates_at_the_ends_of_the_calendar_do_not_overflow() -> None:
    assert parse_date("0001-01-01T00:00:00+14:00").year == 1
    assert parse_date("9999-12-31T23:59:59-14:00").year == 9999


def test_names_are_lower_cased_and_texts_are_not() -> None:
    row = to_row(status(service="Ingress", source="Web", status="SUCCESS", status_msg="Sent To HCCM"), NOW)
    assert (row.service, row.source, row.status) == ("ingress", "web", "success")
    assert row.status_msg == "Sent To HCCM"


@pytest.mark.parametrize("nothing", [{}, {"service": None, "status": None, "status_msg": None, "date": None}])
def test_a_status_that_says_little_is_kept(nothing: dict[str, None]) -> None:
    row = to_row(PayloadStatus.model_validate({"request_id": "r1", **nothing}), NOW)
    assert (row.service, row.status, row.status_msg, row.date) == ("", "", "", NOW)


def test_absent_fields_become_empty_texts() -> None:
    row = to_row(status(inventory_id=None), NOW)
    assert (row.account, row.inventory_id, row.source) == ("", "", "")


@pytest.mark.parametrize(
    "request_id", ["test-request-123", "vm/XOwWrEsfMz-000001", "11111111-2222-3333-4444-555555555555", "x"]
)
def test_request_ids_of_any_form_are_taken(request_id: str) -> None:
    assert to_row(status(request_id=request_id), NOW).request_id == request_id


def test_upstreams_length_rule_applies_only_when_asked_for() -> None:
    to_row(status(request_id="x" * 32), NOW, request_id_length=32)
    with pytest.raises(Rejected, match="got 16 characters, VALIDATE_REQUEST_ID_LENGTH requires 32"):
        to_row(status(request_id="test-request-123"), NOW, request_id_length=32)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"request_id": ""}, "request_id: is empty"),
        ({"request_id": "é" * 600}, "request_id: got 1200 bytes"),
        ({"status": "x" * 256}, "status: got 256 bytes"),
        ({"org_id": "a\0b"}, "org_id: contains a NUL"),
        ({"date": "soon"}, "date: got 'soon'"),
    ],
)
def test_what_no_row_can_hold_is_poison_that_names_the_field(fields: dict[str, str], reason: str) -> None:
    with pytest.raises(Poison, match=reason):
        to_row(status(**fields), NOW)


def test_a_message_text_loses_only_its_nul_characters() -> None:
    assert to_row(status(status_msg="a\0b"), NOW).status_msg == "ab"


def test_durations_are_per_service_and_source_their_sum_and_the_whole() -> None:
    def at(seconds: float) -> datetime:
        return NOW + timedelta(seconds=seconds)

    steps = [
        Step("ingress", "", at(0.5)),
        Step("ingress", "", at(0)),
        Step("archiver", "s3", at(2)),
        Step("archiver", "s3", at(3.25)),
        Step("archiver", "kafka", at(10)),
    ]
    assert durations(steps) == {
        "archiver:kafka": "00:00:00.000000",
        "archiver:s3": "00:00:01.250000",
        "ingress:undefined": "00:00:00.500000",
        "total_time_in_services": "00:00:01.750000",
        "total_time": "00:00:10.000000",
    }


def test_a_clock_counts_hours_beyond_a_day() -> None:
    assert clock(timedelta(days=4, hours=5, minutes=6, seconds=7, microseconds=8)) == "101:06:07.000008"
