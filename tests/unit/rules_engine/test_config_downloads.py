"""Where a pipeline's archives may be fetched from, and the messages that name them by path."""

import base64
import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from headrace.objects.endpoint import S3Endpoint
from headrace.objects.fetch import Fetcher
from headrace.objects.store import ObjectStore
from headrace.runtime.errors import Poison, Rejected
from headrace_services.rules_engine.config_yaml.archives import ArchivePath, SyncedArchive, SyncedResult
from headrace_services.rules_engine.config_yaml.downloads import PipelineDownloads
from headrace_services.rules_engine.config_yaml.plan import Download, DownloadForm
from headrace_services.rules_engine.messages import Upload, upload_of
from headrace_services.rules_engine.publishing import rules_result

AWS_QUERY = (
    "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA%2F20200123%2Fus-east-1%2Fs3%2Faws4_request"
)
AWS = f"https://bucket.s3.amazonaws.com/e927438c126040dab7891608447da0b5?{AWS_QUERY}"
CLUSTER = "11111111-2222-4333-8444-555555555555"


@pytest.fixture
async def downloads():
    store = await ObjectStore.open(S3Endpoint.parse("http://k:s@own:9000"))

    def made(form, *, own_store=False, max_bytes=100, **terms):
        fetcher = Fetcher(store, None, variable="X")
        return PipelineDownloads(
            Download(DownloadForm[form], **terms), fetcher, max_bytes, own_store=own_store
        )

    yield made
    await store.close()


def upload(url, **attributes):
    taken_at = datetime(2026, 1, 1, tzinfo=UTC)
    return Upload({"url": url, "request_id": "r", **attributes}, {}, 1, None, None, taken_at, taken_at)


@pytest.mark.parametrize(
    ("form", "url", "fetched"),
    [
        ("PRESIGNED", AWS, True),
        ("PRESIGNED", f"https://s3.us-east-1.amazonaws.com/bucket/a/b-c?{AWS_QUERY}", True),
        ("PRESIGNED", AWS.replace("https", "http"), False),
        ("PRESIGNED", AWS.replace("bucket.s3.amazonaws.com", "s3.amazonaws.com.evil.org"), False),
        ("PRESIGNED", AWS.replace("bucket.s3", "evil.org@bucket.s3"), False),
        ("PRESIGNED", AWS.replace("bucket.s3", "evil.org/.s3"), False),
        ("PRESIGNED", AWS + "/../x", False),
        ("PRESIGNED", "https://bucket.s3.amazonaws.com/key", False),
        ("PRESIGNED", f"http://minio:9000/b/k?{AWS_QUERY}", False),
        ("ANY_URL", f"http://minio:9000/b/k?{AWS_QUERY}", True),
        ("ANY_URL", "https://host/x", True),
        ("ANY_URL", "file:///etc/passwd", False),
        ("ANY_URL", "ftp://host/x", False),
        ("ANY_URL", "http://", False),
        ("ANY_URL", "http://host:port/x", False),
        ("ANY_URL", "", False),
    ],
)
def test_urls_that_may_be_fetched(downloads, form, url, fetched):
    of = downloads(form)
    if not fetched:
        with pytest.raises(Rejected, match="Invalid URL format"):
            of._location(upload(url))
        return
    location = of._location(upload(url))
    assert location.url == url
    assert "X-Amz" not in location.name


@pytest.mark.parametrize(
    ("bucket", "path", "found"),
    [
        ("b", "1/2/3.tar.gz", ("b", "1/2/3.tar.gz")),
        ("b", "/1", ("b", "1")),
        ("", "s3://c/k/l", ("c", "k/l")),
        ("", "c", None),
        ("b", "", None),
    ],
)
def test_paths_of_objects(downloads, bucket, path, found):
    of = downloads("OBJECTS", bucket=bucket)
    if found is None:
        with pytest.raises(Rejected, match="does not name an object"):
            of._location(upload(path))
        return
    location = of._location(upload(path))
    assert (location.bucket, location.key, location.url) == (*found, "")


@pytest.mark.parametrize(
    ("attributes", "url", "own_store", "key"),
    [
        ({"bucket": "b", "object_key": "k"}, "http://elsewhere/x", True, "k"),
        ({"bucket": "b", "object_key": "k"}, "http://elsewhere/x", False, ""),
        ({}, "http://own:9000/b/deep/k?X-Amz-Date=1", True, "deep/k"),
        ({}, "http://elsewhere/x", True, ""),
    ],
)
def test_our_own_store_is_read_with_our_own_keys(downloads, attributes, url, own_store, key):
    location = downloads("ANY_URL", own_store=own_store)._location(upload(url, **attributes))
    assert location.key == key
    assert bool(location.url) != bool(key)


async def test_local_files_are_read_bounded(downloads, tmp_path):
    path = tmp_path / "archive"
    path.write_bytes(b"12345")
    assert await downloads("FILES", max_bytes=5).download(upload(f"file://{path}")) == b"12345"
    with pytest.raises(Rejected, match="more than 4 bytes"):
        await downloads("FILES", max_bytes=4).download(upload(str(path)))
    with pytest.raises(Rejected, match="cannot be read: No such file"):
        await downloads("FILES").download(upload(str(tmp_path / "nothing")))
    path.write_bytes(b"")
    with pytest.raises(Rejected, match="Empty input archive"):
        await downloads("FILES").download(upload(str(path)))


def test_a_synced_archive_is_an_upload():
    metadata = {"cluster_id": CLUSTER, "external_organization": "17"}
    path = "archives/compressed/11/x/202401/02/030405.tar.gz"
    value = {"path": path, "original_path": "o", "metadata": metadata, "request_id": "r"}
    found = upload_of(SyncedArchive.from_json(json.dumps(value).encode()))
    assert (found.url, found.org_id, found.cluster_name, found.request_id) == (path, 17, CLUSTER, "r")


def test_a_path_names_organisation_cluster_and_time():
    value = {"path": f"17/{CLUSTER}/20240102030405-abc1"}
    found = upload_of(ArchivePath.from_json(json.dumps(value).encode()))
    assert (found.org_id, found.cluster_name) == (17, CLUSTER)
    assert found.taken_at == datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert found.attributes["metadata"] == {"cluster_id": CLUSTER, "external_organization": "17"}


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        (ArchivePath, b'{"path": "a/b/c"}', "Archive pattern name incorrect"),
        (ArchivePath, b'{"path": 3}', "Archive pattern name incorrect"),
        (ArchivePath, b"[", "Unable to decode received message"),
        (SyncedArchive, b'{"path": "a"}', "'path' and 'metadata' are required"),
        (SyncedArchive, b"[]", "is not an object"),
        (SyncedArchive, b'{"path": "a", "metadata": {"cluster_id": "x"}}', "Error extracting the OrgID"),
        (ArchivePath, f'{{"path": "17/{CLUSTER}/99999999999999-a"}}'.encode(), None),
    ],
)
def test_other_paths_are_told(kind, value, reason):
    message = kind.from_json(value)
    if reason is None:
        assert upload_of(message).taken_at.year == 1970
        return
    with pytest.raises(Poison, match=reason):
        upload_of(message)


def test_the_report_of_a_synced_archive_goes_under_its_path():
    metadata = {"cluster_id": CLUSTER, "external_organization": "17"}
    value = {"path": "p", "metadata": metadata, "request_id": None}
    found = upload_of(SyncedArchive.from_json(json.dumps(value).encode()))
    evaluation: Any = SimpleNamespace(report={"a": 1})
    outgoing = SyncedResult("t", rules_result).message(found, CLUSTER, evaluation)
    assert json.loads(outgoing.value) == {**value, "report": {"a": 1}}
    assert not outgoing.value.endswith(b"\n")
    assert base64.b64decode(found.attributes["b64_identity"])
