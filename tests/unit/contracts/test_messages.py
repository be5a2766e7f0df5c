import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from headrace.contracts import status, topics
from headrace.contracts.announcement import Announcement, UploadMetadata
from headrace.contracts.message import rfc3339
from headrace.contracts.status import PayloadStatus

UPSTREAMS_ORDER = (
    "account category content_type metadata request_id principal org_id service size url"
    " b64_identity timestamp"
)


def test_an_announcement_has_upstreams_keys_in_upstreams_order_and_ours_behind():
    message = Announcement(request_id="r", url="u", bucket="b", object_key="k", etag="e")
    names = list(json.loads(message.to_json()))
    assert names == [*UPSTREAMS_ORDER.split(), "bucket", "object_key", "etag"]


def test_what_an_announcement_does_not_say_is_empty_or_absent():
    assert json.loads(Announcement(request_id="r", url="u").to_json()) == {
        "account": "",
        "category": "",
        "content_type": "",
        "metadata": {"reporter": "", "stale_timestamp": "0001-01-01T00:00:00Z"},
        "request_id": "r",
        "principal": "",
        "org_id": "",
        "service": "",
        "size": 0,
        "url": "u",
        "b64_identity": "",
        "timestamp": "",
    }


def test_metadata_leaves_out_what_is_absent():
    metadata = UploadMetadata(fqdn="h1", custom_metadata={"a": "b"}, reporter="ingress", queue_key="q")
    written = json.loads(Announcement(request_id="r", url="u", metadata=metadata).to_json())["metadata"]
    assert written == {
        "fqdn": "h1",
        "custom_metadata": {"a": "b"},
        "reporter": "ingress",
        "stale_timestamp": "0001-01-01T00:00:00Z",
        "queue_key": "q",
    }


@pytest.mark.row(23)
def test_an_announcement_survives_a_round_trip_with_what_a_newer_sender_added():
    text = b'{"request_id":"r","url":"u&<>","size":3,"novel":{"a":1}}'
    message = Announcement.from_json(text)
    assert Announcement.from_json(message.to_json()) == message
    assert json.loads(message.to_json())["novel"] == {"a": 1}


@pytest.mark.parametrize(
    "text", [b"{}", b'{"request_id":"r"}', b"[]", b"", b'{"request_id":"r","url":"u","size":-1}']
)
@pytest.mark.row(23)
def test_an_announcement_without_what_consumers_need_is_refused(text: bytes):
    with pytest.raises(ValidationError):
        Announcement.from_json(text)


def test_a_status_has_upstreams_keys_and_leaves_out_empty_ones():
    written = PayloadStatus(service="ingress", request_id="r", status=status.RECEIVED, date="d").to_json()
    assert list(json.loads(written)) == [
        "service",
        "account",
        "org_id",
        "request_id",
        "status",
        "status_msg",
        "date",
    ]


def test_success_and_error_end_a_payload():
    assert {status.SUCCESS, status.ERROR} == status.TERMINAL


def test_topics_have_the_documents_names():
    assert topics.UPLOAD_ANNOUNCE.name == "platform.upload.announce"
    assert topics.SOURCES_EVENTS.name == "platform.sources.event-stream"
    assert topics.PAYLOAD_STATUS.name == "platform.payload-status"
    assert topics.ARCHIVE_SYNCED.name == "ccx.archive.synced"
    assert topics.UPLOAD_ANNOUNCE.dead_letters == "platform.upload.announce.dlq"


def test_times_are_written_in_utc_with_a_z():
    moment = datetime(2026, 11, 21, 22, 28, 22, 990776, tzinfo=timezone(timedelta(hours=1)))
    assert rfc3339(moment) == "2026-11-21T21:28:22.990776Z"
    assert rfc3339(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00Z"
