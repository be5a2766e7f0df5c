"""The sender against a real ingress: the fixture `headrace` comes from pytest-headrace."""

import json
import uuid

import pytest
import sender

CLUSTER = str(uuid.UUID(int=0x5EED))


@pytest.fixture
def archive(tmp_path):
    feedback = tmp_path / "feedback"
    feedback.mkdir()
    (feedback / "1.json").write_text(json.dumps({"sentiment": 1}))
    return sender.pack(tmp_path)


def test_an_archive_is_archived_under_its_cluster(headrace, archive):
    request_id = sender.upload(headrace.upload_url, archive, cluster_id=CLUSTER, token="any")

    payload = headrace.payload(request_id, type=sender.CONTENT_TYPE)
    assert payload.archived

    archived = payload.archive()
    assert archived.cluster_id == CLUSTER
    assert archived.content == archive
    assert "./feedback/1.json" in archived.members()


def test_an_outage_behind_the_ingress_delays_a_payload_and_loses_none(headrace, archive):
    with headrace.without("postgres"):
        request_id = sender.upload(headrace.upload_url, archive, cluster_id=CLUSTER, token="any")

    headrace.payload(request_id, type=sender.CONTENT_TYPE).wait(timeout=60)


def test_a_refusal_says_why(headrace, archive, monkeypatch):
    monkeypatch.setattr(sender, "CONTENT_TYPE", "application/vnd.redhat.unheard-of.periodic+tar")
    with pytest.raises(sender.NotSent, match="415: Unsupported service 'unheard-of'"):
        sender.upload(headrace.upload_url, archive, cluster_id=CLUSTER, token="any")
