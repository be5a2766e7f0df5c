from datetime import UTC, datetime

import pytest

from headrace.web.parameters import BadParameter
from headrace_services.payload_tracker.api import kibana_url
from headrace_services.payload_tracker.parameters import PAYLOADS, STATUSES, Shape
from headrace_services.payload_tracker.settings import TrackerSettings


def test_nothing_asked_is_the_first_ten_newest() -> None:
    result = PAYLOADS.read({})
    assert (result.order.text, result.limit, result.offset) == ("created_at desc, id desc", 10, 0)
    assert result.where.conditions == []


def test_filters_become_conditions_with_their_values_apart() -> None:
    result = PAYLOADS.read(
        {"org_id": "1'; drop table payloads", "created_at_gte": "2026-11-21T00:00:00Z", "account": ""}
    )
    assert result.where.conditions == ["org_id = $1", "created_at >= $2"]
    assert result.where.arguments == ["1'; drop table payloads", datetime(2026, 11, 21, tzinfo=UTC)]


def test_pages_start_where_the_one_before_ended() -> None:
    result = PAYLOADS.read({"page": "3", "page_size": "25", "sort_by": "org_id", "sort_dir": "asc"})
    assert (result.order.text, result.limit, result.offset) == ("org_id asc, id asc", 25, 75)


def test_statuses_are_looked_for_in_the_case_they_are_kept_in() -> None:
    assert STATUSES.read({"service": "Ingress", "status_msg": "Sent"}).where.arguments == ["ingress", "Sent"]


@pytest.mark.parametrize(
    ("query", "shape", "reason"),
    [
        ({"page": "-1"}, PAYLOADS, "page: got '-1'"),
        ({"page": "1e3"}, PAYLOADS, "page: got '1e3'"),
        ({"page": "٣"}, PAYLOADS, "page: got"),
        ({"page_size": "0"}, PAYLOADS, "page_size: got '0', must be a whole number from 1 to 1000"),
        ({"page_size": "100000"}, PAYLOADS, "page_size"),
        ({"sort_by": "date"}, PAYLOADS, "sort_by: got 'date', must be one of created_at, account"),
        ({"sort_by": "id; drop table payloads"}, STATUSES, "sort_by"),
        ({"sort_dir": "down"}, STATUSES, "sort_dir: got 'down', must be one of asc, desc"),
        ({"created_at_lt": "yesterday"}, PAYLOADS, "created_at_lt: got 'yesterday', expected RFC 3339"),
        ({"date_gte": "2026-11-21"}, STATUSES, "date_gte"),
        ({"org_id": "a\0"}, PAYLOADS, "org_id: must not contain a NUL"),
    ],
)
def test_a_bad_parameter_is_named(query: dict[str, str], shape: Shape, reason: str) -> None:
    with pytest.raises(BadParameter, match=reason):
        shape.read(query)


def test_a_kibana_link_cannot_be_led_astray_by_the_request_id() -> None:
    settings = TrackerSettings(kibana_url="https://kibana.example.com/discover", kibana_index="ix")
    url = kibana_url(settings, "a'\"b&c", "ingress")
    assert url == (
        "https://kibana.example.com/discover?_a=(index:'ix',query:(language:kuery,query:'request_id:"
        "%22a!'%5C%22b%26c%22%20and%20app:%22ingress%22'))"
    )
