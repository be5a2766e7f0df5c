import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.contracts.identity import Identity, IdentityError, decode_identity, encode_identity

MISSING = "missing x-rh-identity header"
NO_BASE64 = "unable to b64 decode x-rh-identity header"
NO_JSON = "x-rh-identity header does not contain valid JSON: "
NO_ORG = "x-rh-identity header has an invalid or missing org_id"
NO_TYPE = "x-rh-identity header is missing type"
ROS_DOCUMENT = "eyJpZGVudGl0eSI6eyJhY2NvdW50X251bWJlciI6IjEyMzQ1IiwiaW50ZXJuYWwiOnsib3JnX2lkIjoiMTIzNDUifX19"


def encoded(value: Any) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.b64encode(text).decode()


def identity(**fields: Any) -> str:
    return encoded({"identity": fields})


@pytest.mark.parametrize(
    ("header", "text"),
    [
        (None, MISSING),
        ("", MISSING),
        ("%%%", NO_BASE64),
        ("eyJ", NO_BASE64),
        (encoded({"identity": {"org_id": "1", "type": "User"}}) + " ", NO_BASE64),
        (base64.urlsafe_b64encode(b'{"?":"\xc3\xbf\xc3\xbf\xc3\xbf"}').decode(), NO_BASE64),
        ("é" * 8, NO_BASE64),
        ("\udcff\udcfe", NO_BASE64),
        (identity(type="User"), NO_ORG),
        (identity(org_id="", type="User"), NO_ORG),
        (identity(type="User", internal={"org_id": ""}), NO_ORG),
        (identity(type="User", account_number="1"), NO_ORG),
        (identity(type="Associate", account_number="1"), NO_ORG),
        (identity(type="X509", account_number="1"), NO_ORG),
        (encoded({}), NO_ORG),
        (encoded({"identity": None}), NO_ORG),
        (identity(org_id="1"), NO_TYPE),
        (identity(org_id="1", type=""), NO_TYPE),
        (identity(org_id="1", type=None), NO_TYPE),
        (ROS_DOCUMENT, NO_TYPE),
    ],
)
@pytest.mark.row(9)
def test_refusals_have_upstreams_texts(header: str | None, text: str):
    with pytest.raises(IdentityError) as refusal:
        decode_identity(header)
    assert str(refusal.value) == text


@pytest.mark.parametrize(
    "value",
    [
        b" ",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b'{"identity":[]}',
        b'{"identity":{"org_id":1,"type":"User"}}',
        b'{"identity":{"org_id":"1","type":7}}',
        b'{"identity":{"org_id":"1","type":"User","system":"x"}}',
        b'{"identity":{"org_id":"1","type":"User","internal":{"cross_access":"yes"}}}',
        b'{"identity":{"org_id":"1","type":"User","associate":{"Role":"x"}}}',
        b'{"identity":{"org_id":"\\ud800","type":"User"}}',
        b'{"identity":{"org_id":"1","type":"User","internal":{"auth_time":' + b"9" * 5000 + b"}}}",
        b"[" * 100_000,
    ],
)
@pytest.mark.row(9)
def test_what_is_no_identity_as_json_is_refused_with_the_parsers_reason(value: bytes):
    with pytest.raises(IdentityError) as refusal:
        decode_identity(encoded(value))
    assert str(refusal.value).startswith(NO_JSON)
    assert len(str(refusal.value)) < 500


@pytest.mark.parametrize(
    ("fields", "org_id"),
    [
        ({"org_id": "7", "type": "User"}, "7"),
        ({"internal": {"org_id": "8"}, "type": "User"}, "8"),
        ({"org_id": "7", "internal": {"org_id": "8"}, "type": "User"}, "7"),
        ({"org_id": None, "internal": {"org_id": "8"}, "type": "User"}, "8"),
        ({"ORG_ID": "7", "Type": "User"}, "7"),
        ({"type": "Associate"}, ""),
        ({"type": "X509"}, ""),
        ({"type": "Associate", "account_number": "1", "org_id": "7"}, "7"),
        ({"org_id": "7", "type": "anything", "unknown": {"a": [1]}, "internal": {"auth_time": 1.5}}, "7"),
    ],
)
def test_what_upstream_accepts_is_accepted(fields: dict[str, Any], org_id: str):
    assert decode_identity(identity(**fields)).org_id == org_id


def test_the_type_may_be_missing_where_leniency_says_so():
    found = decode_identity(ROS_DOCUMENT, type_required=False)
    assert (found.org_id, found.account_number, found.type) == ("12345", "12345", "")


def test_the_cluster_id_is_the_systems():
    found = decode_identity(identity(org_id="1", type="System", system={"cluster_id": "c1"}))
    assert found.cluster_id == "c1"
    assert Identity().cluster_id == ""


texts = st.text(max_size=20)


@given(st.builds(Identity, account_number=texts, org_id=texts.filter(bool), type=texts.filter(bool)))
def test_an_encoded_identity_decodes_to_itself(given_identity: Identity):
    assert decode_identity(encode_identity(given_identity)) == given_identity


@given(st.binary(max_size=200))
@pytest.mark.row(9)
def test_no_bytes_raise_anything_but_a_refusal(value: bytes):
    for header in (value.decode("utf-8", "surrogateescape"), encoded(value)):
        with pytest.raises(IdentityError):
            decode_identity(header)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
names = st.sampled_from([*Identity.model_fields, "ORG_ID", "x"])


@given(st.dictionaries(names, json_values, max_size=5))
@pytest.mark.row(9)
def test_no_json_raises_anything_but_a_refusal(fields: dict[str, Any]):
    try:
        found = decode_identity(identity(**fields))
    except IdentityError:
        return
    assert found.org_id or found.type in {"Associate", "X509"}
