import base64
import json
from typing import Any

import pytest

from headrace.contracts.announcement import UnjudgedAnnouncement
from headrace.runtime.errors import Poison, Rejected
from headrace_services.rules_engine.messages import Upload, upload_of

# As the CCX data pipeline's document shows it.
IDENTITY: dict[str, Any] = {
    "account_number": "6212377",
    "auth_type": "basic-auth",
    "internal": {"auth_time": 1400, "org_id": "12383032"},
    "type": "User",
    "user": {"email": "a@example.com", "first_name": "A", "is_active": True, "locale": "en_US"},
}
CLUSTER = "11111111-2222-4333-8444-555555555555"


def record(identity: Any = None, **changes: Any) -> bytes:
    document = {"identity": identity or IDENTITY, "entitlements": {}}
    fields: dict[str, Any] = {
        "account": 6212377,
        "principal": 12383032,
        "size": 55099,
        "url": "https://s3.example.com/archive?X-Amz-Signature=1",
        "b64_identity": base64.b64encode(json.dumps(document).encode()).decode(),
        "timestamp": "2020-01-23T16:15:59.478901889Z",
    }
    fields |= changes
    return json.dumps({name: value for name, value in fields.items() if value is not None}).encode()


def uploaded(identity: Any = None, **changes: Any) -> Upload:
    return upload_of(UnjudgedAnnouncement.from_json(record(identity, **changes)))


def test_a_record_of_the_documents_form_is_read():
    upload = uploaded()
    assert (upload.org_id, upload.account, upload.cluster_name, upload.request_id) == (
        12383032, 6212377, None, None
    )  # fmt: skip
    assert upload.timestamp == "2020-01-23T16:15:59.478901889Z"
    assert upload.identity["identity"]["internal"]["org_id"] == "12383032"


def test_seeds_are_those_that_rules_and_path_templates_know():
    assert uploaded(cluster_name=CLUSTER).seeds == {
        "org_id": "12383032", "cluster_id": CLUSTER,
        "original_path": "https://s3.example.com/archive?X-Amz-Signature=1",
        "year": "2020", "month": "01", "day": "23", "hour": "16", "minute": "15", "second": "59",
        "time": "161559",
    }  # fmt: skip


def test_the_messages_cluster_goes_before_the_identitys():
    identity = IDENTITY | {"system": {"cluster_id": "of the identity"}}
    assert uploaded(identity).cluster_name == "of the identity"
    assert uploaded(identity, cluster_name=CLUSTER).cluster_name == CLUSTER


@pytest.mark.parametrize(
    ("metadata", "gathered"),
    [
        ({"custom_metadata": {"gathering_time": "2026-01-02T03:04:05Z"}}, "2026-01-02T03:04:05"),
        ({"custom_metadata": {"gathering_time": "2026-01-02T03:04:05+02:00"}}, "2026-01-02T01:04:05"),
        (
            {"custom_metadata": {"ccx_metadata": {"gathering_time": "2026-01-02T03:04:05Z"}}},
            "2026-01-02T03:04:05",
        ),
        ({"custom_metadata": {"gathering_time": "yesterday"}}, "2020-01-23T16:15:59"),
        ({"custom_metadata": None}, "2020-01-23T16:15:59"),
        (None, "2020-01-23T16:15:59"),
    ],
)
def test_the_time_of_gathering_else_that_of_the_announcement(metadata, gathered):
    assert uploaded(metadata=metadata).gathered_at.strftime("%Y-%m-%dT%H:%M:%S") == gathered


@pytest.mark.parametrize("account", [None, "none", "", "6212377000000"])
def test_an_account_that_is_no_number_is_left_out(account):
    assert uploaded(IDENTITY | {"account_number": account}).account is None


def test_an_org_id_beside_internal_is_accepted_as_ingress_does():
    assert uploaded({"org_id": "1001", "type": "User"}).org_id == 1001


@pytest.mark.parametrize("org_id", ["01001", "001001", "01"])
def test_an_organisation_with_leading_zeros_is_not_filed_under_the_number_that_another_has(org_id: str):
    with pytest.raises(Rejected, match="leading zeros"):
        uploaded({"org_id": org_id, "type": "User"})


@pytest.mark.parametrize(
    ("identity", "changes"),
    [
        ({"org_id": "1001", "internal": {"org_id": "2002"}}, {}),
        ({"internal": {"org_id": "1001"}}, {"org_id": "2002"}),
        ({"internal": {"org_id": "1001"}}, {"org_id": 2002}),
        ({"internal": {"org_id": "1001"}, "account_number": "1", "ACCOUNT_NUMBER": "2"}, {}),
    ],
)
def test_an_announcement_that_names_two_senders_is_rejected(
    identity: dict[str, Any], changes: dict[str, Any]
):
    with pytest.raises(Rejected, match=r"differ|twice"):
        uploaded(identity, **changes)


def encoded(document: Any) -> str:
    return base64.b64encode(json.dumps(document).encode()).decode()


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"no JSON", "Unable to decode received message: "),
        (b"\xff", "Unable to decode received message: "),
        (b"[]", "Invalid input message JSON schema: [] is not an object"),
        (record(url=None), "Invalid input message JSON schema: 'url' is required"),
        (record(timestamp=None), "Invalid input message JSON schema: 'timestamp' is required"),
        (record(timestamp="today"), "Invalid input message JSON schema: the timestamp 'today' is not an ISO"),
        (record(url=5), "Invalid input message JSON schema: 'url' is not text"),
        (record(b64_identity="%"), "Base64 encoded identity could not be parsed: "),
        (record(b64_identity="YQ=="), "Base64 encoded identity could not be parsed: "),
        (
            record(b64_identity=encoded([])),
            "Invalid input message JSON schema: the identity contains no object",
        ),
        (record({"type": "User"}), "Invalid input message JSON schema: 'identity.internal' is required"),
        (record({"internal": {}}), "Error extracting the OrgID: the identity has none"),
        (record({"internal": {"org_id": 5}}), "Error extracting the OrgID: 5 is not a number from 0 to"),
        (record({"internal": {"org_id": "x"}}), "Error extracting the OrgID: 'x' is not a number from 0 to"),
        (record(IDENTITY | {"type": 1}), "Invalid input message JSON schema: 'identity.type' is not text"),
        (record(IDENTITY | {"user": {"is_active": "yes"}}), "'identity.user.is_active' is not a boolean"),
        (
            record(IDENTITY | {"internal": {"org_id": "1", "auth_time": "0"}}),
            "'identity.internal.auth_time' is not a number",
        ),
    ],
)
def test_what_cannot_be_read_is_poison_with_its_reason(value, reason):
    message = UnjudgedAnnouncement.from_json(value)
    with pytest.raises(Poison) as raised:
        upload_of(message)
    assert reason in str(raised.value)


def test_a_status_names_the_request_whatever_else_is_wrong():
    message = UnjudgedAnnouncement.from_json(b'{"request_id": "r", "org_id": 5, "account": 7}')
    assert (message.request_id, message.org_id, message.account) == ("r", "5", "7")
