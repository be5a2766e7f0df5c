import pytest

from headrace.bus.organisations import organisation_of


@pytest.mark.parametrize(
    ("value", "organisation"),
    [
        (b'{"metadata": {"org_id": "forged"}, "org_id": "1001"}', "1001"),
        (b'{"principal": "\\"org_id\\":\\"forged\\"", "org_id": "1001"}', "1001"),
        (b'{"OrgID": 1001, "Report": {"org_id": "other"}}', "1001"),
        (b'{"tenant": "1001"}', "1001"),
        (b'{"metadata": {"org_id": "1001"}}', "1001"),
        (b'{"Metadata": {"Org_id": "1001"}}', "1001"),
        (b'{"org_id": "acme-corp"}', "acme-corp"),
        (b'{"org_id": ["1001"]}', ""),
        (b'{"org_id": "%s"}' % (b"x" * 257), ""),
        (b'{"x": %s}' % (b"[" * 100_000 + b"]" * 100_000), ""),
        (b'{"org_id": "\\ud800"}', ""),
        (b'{"org_id": "\xff"}', ""),
        (b'{"org_id": %s}' % (b"9" * 5000), ""),
        (b"\x1f\x8b", ""),
        (b"[]", ""),
        (b"{}", ""),
    ],
)
def test_whose_a_message_is_stands_where_no_sender_writes(value: bytes, organisation: str):
    assert organisation_of(value) == organisation
