import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from headrace_services.ingress.request_ids import MAX_LENGTH, is_valid, new_request_id, sent_request_id


@pytest.mark.parametrize(
    "request_id",
    [
        "11111111111111111111111111111111",
        "11111111-2222-3333-4444-555555555555",
        "test-request-123",
        "vm/XOwWrEsfMz-000001",
        "urn:uuid:11111111-2222-3333-4444-555555555555",
        "a.b_c:d=e+f@g",
        "_",
        "x" * MAX_LENGTH,
    ],
)
def test_ids_that_senders_use_are_valid(request_id: str):
    assert is_valid(request_id)


@pytest.mark.parametrize(
    "request_id",
    [
        "", " ", "..", "../x", "a/../b", "a/./b", "/a", "a/", "a//b", "-a", ".hidden", "a/.b", "a b", "a\n", "a\0",
        "a~b", "a?b", "a#b", "a%2e", "a\\b", "é", "{11111111-2222-3333-4444-555555555555}", "x" * (MAX_LENGTH + 1),
    ],
)  # fmt: skip
def test_ids_that_could_climb_hide_or_need_escaping_are_not(request_id: str):
    assert not is_valid(request_id)


@given(st.text(max_size=30))
def test_a_valid_id_is_a_plain_relative_path(request_id: str):
    if is_valid(request_id):
        assert request_id.isascii()
        assert not {"", ".", ".."} & set(request_id.split("/"))
        assert not set(request_id) & set("~?#%\\ \n\r\0")


def test_generated_ids_are_32_hex_digits_and_differ():
    ids = {new_request_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(re.fullmatch(r"[0-9a-f]{32}", request_id) and is_valid(request_id) for request_id in ids)


@pytest.mark.parametrize(
    ("headers", "request_id"),
    [
        ({}, ""),
        ({"X-RH-Insights-Request-ID": "a"}, "a"),
        ({"x-rh-request-id": "b"}, "b"),
        ({"x-rh-request_id": "c"}, "c"),
        ({"x-rh-request-id": "b", "x-rh-insights-request-id": "a", "x-rh-request_id": "c"}, "a"),
        ({"x-rh-request-id": "b", "x-rh-insights-request-id": ""}, "b"),
    ],
)
def test_the_insights_header_comes_before_its_aliases(headers: dict[str, str], request_id: str):
    assert sent_request_id(CIMultiDict(headers)) == request_id
