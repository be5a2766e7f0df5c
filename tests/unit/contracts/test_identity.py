import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.contracts.identity import (
    Contradiction,
    Identity,
    IdentityError,
    decode_identity,
    encode_identity,
)

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
        ({"org_id": "7", "internal": {"org_id": "7"}, "type": "User"}, "7"),
        ({"org_id": "", "internal": {"org_id": "8"}, "type": "User"}, "8"),
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


@pytest.mark.parametrize(
    "text",
    [
        b'{"identity":{"org_id":"1001","internal":{"org_id":"2002"},"type":"User"}}',
        b'{"identity":{"org_id":"1001","internal":{"org_id":"01001"},"type":"User"}}',
        b'{"identity":{"org_id":"1001","org_id":"2002","type":"User"}}',
        b'{"identity":{"org_id":"1001","ORG_ID":"2002","type":"User"}}',
        b'{"identity":{"org_id":"1001","type":"User"},"identity":{"org_id":"2002","type":"User"}}',
        b'{"identity":{"org_id":"1001","type":"User","type":"Associate"}}',
        b'{"identity":{"org_id":"1001","type":"User","internal":{"org_id":"1001","org_id":null}}}',
        b'{"identity":{"org_id":"1001","type":"User","account_number":"1","internal":{"account_number":"2"}}}',
    ],
)
def test_an_identity_that_says_two_things_is_refused_as_a_contradiction(text: bytes):
    with pytest.raises(Contradiction):
        decode_identity(encoded(text))


@pytest.mark.parametrize("name", ["org_id", "account_number"])
@pytest.mark.parametrize(
    "value",
    [
        " ",
        " 1001",
        "1001 ",
        "1001\n",
        "1001\0",
        "10\t01",
        "\uff11\uff10",
        "\u0663",
        "\xe9",
        "o" * 256,
        "\x7f",
    ],
)
def test_a_name_that_no_organisation_has_is_refused(name: str, value: str):
    with pytest.raises(
        IdentityError, match=f"has an invalid or missing {name}: expected 1 to 255 printable ASCII"
    ):
        decode_identity(identity(**{"org_id": "1", "type": "User"} | {name: value}))


def test_organisations_are_read_as_they_are_written():
    for name in ("01", "+1", "1.0", "acme", "Acme", "1e3", "0x1"):
        assert decode_identity(identity(org_id=name, type="User")).org_id == name


def test_both_alphabets_of_base64_are_read_where_upstream_reads_both():
    text = base64.urlsafe_b64encode(b'{"identity":{"org_id":"1","x":"\xc3\xbf\xc3\xbf??>"}}').decode()
    assert "_" in text or "-" in text
    for header in (text, text.rstrip("=")):
        assert decode_identity(header, type_required=False, url_alphabet=True).org_id == "1"
        with pytest.raises(IdentityError, match=NO_BASE64):
            decode_identity(header, type_required=False)


@pytest.mark.parametrize(
    ("fields", "roles"),
    [
        ({"type": "Associate", "associate": {"Role": ["a", "b"]}}, {"a", "b"}),
        ({"type": "Associate"}, set()),
        ({"type": "User", "org_id": "1", "associate": {"Role": ["a"]}}, set()),
    ],
)
def test_roles_are_an_associates(fields: dict[str, Any], roles: set[str]):
    assert decode_identity(identity(**fields)).roles == roles


def test_an_identity_as_long_as_a_header_may_be_and_nested_deep_is_read_or_refused():
    deep = b'{"identity":{"org_id":"1","type":"User","x":' + b"[" * 300 + b"]" * 300 + b"}}"
    assert decode_identity(encoded(deep)).org_id == "1"
    deeper = b'{"identity":{"org_id":"1","type":"User","x":' + b"[" * 5000 + b"]" * 5000 + b"}}"
    with pytest.raises(IdentityError, match=NO_JSON):
        decode_identity(encoded(deeper))
    assert decode_identity(identity(org_id="1", type="User", x="y" * 12_000)).org_id == "1"


texts = st.text(max_size=20)
plain = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=20)


@given(st.builds(Identity, account_number=plain, org_id=plain.filter(bool), type=texts.filter(bool)))
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
