from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from headrace_services.sources_api.bodies import BulkCreate, EndpointCreate, SourceCreate, SourceEdit, parsed
from headrace_services.sources_api.models import APPLICATIONS, AUTHENTICATIONS, Kind, Resource
from headrace_services.sources_api.refusals import Invalid, Unfit


def row(resource: Resource, **values: Any) -> dict[str, Any]:
    return dict.fromkeys(resource.fields) | values


MOMENT = datetime(2026, 8, 1, 12, 0, 0, 5000, tzinfo=timezone(timedelta(hours=2)))


def test_answers_have_ids_as_texts_and_leave_out_what_is_not_there() -> None:
    application = row(APPLICATIONS, id=3, source_id=7, created_at=MOMENT, extra='{"a": 1}')
    shown = APPLICATIONS.shown(application)
    assert (shown["id"], shown["source_id"], shown["extra"]) == ("3", "7", {"a": 1})
    assert shown["created_at"] == "2026-08-01T10:00:00.005000Z"
    assert "paused_at" not in shown


def test_events_have_ids_as_integers_and_everything() -> None:
    application = row(APPLICATIONS, id=3, source_id=7, application_type_id=2, created_at=MOMENT, extra="{}")
    told = APPLICATIONS.told(application, "12345")
    assert (told["id"], told["source_id"], told["application_type_id"]) == (3, 7, 2)
    assert told["created_at"] == "2026-08-01 10:00:00 UTC"
    assert (told["paused_at"], told["superkey_data"], told["extra"], told["tenant"]) == (
        None,
        None,
        {},
        "12345",
    )
    assert MOMENT.astimezone(UTC).hour == 10


def test_no_table_of_fields_has_the_password() -> None:
    assert "password" not in AUTHENTICATIONS.fields
    assert AUTHENTICATIONS.fields["resource_id"] is Kind.ID


def test_ids_come_as_numbers_and_as_texts() -> None:
    for text in (b'{"name": "a", "source_type_id": "7"}', b'{"name": "a", "source_type_id": 7}'):
        assert parsed(SourceCreate, text).source_type_id == 7


def test_null_is_not_given() -> None:
    assert parsed(SourceEdit, b'{"name": null, "version": "2"}').given() == {"version": "2"}


@pytest.mark.parametrize("host", ["a.b", "api.example.com", "1.2.3.4", "A-1.example", f"{'a' * 63}.b"])
def test_hosts(host: str) -> None:
    body = f'{{"source_id": 1, "host": "{host}"}}'
    assert parsed(EndpointCreate, body.encode()).host == host


@pytest.mark.parametrize(
    "host", ["a", "-a.b", "a..b", ".a.b", f"{'a' * 64}.b", "a.b/c", "ü.de", "a." * 130 + "a"]
)
def test_what_is_no_host(host: str) -> None:
    body = f'{{"source_id": 1, "host": "{host}"}}'
    with pytest.raises(Unfit, match="the provided host"):
        parsed(EndpointCreate, body.encode())


def test_the_first_thing_wrong_is_named_with_its_place() -> None:
    body = b'{"sources": [{"name": "a"}, {"name": 5}]}'
    with pytest.raises(Unfit, match=r"^bad request: Validation failed: sources\.1\.name: Input should be"):
        parsed(BulkCreate, body)


def test_deep_json_is_read_or_refused() -> None:
    with pytest.raises(Invalid):
        parsed(SourceCreate, b'{"extra":' + b"[" * 100_000)
