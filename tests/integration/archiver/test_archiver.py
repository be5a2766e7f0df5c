import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from headrace.contracts.archive_synced import ArchiveMetadata, ArchiveSynced
from headrace.contracts.clusters import local_cluster_id
from headrace.contracts.identity import Identity, Internal, encode_identity
from headrace.objects.endpoint import S3Endpoint
from headrace.objects.fetch import Fetcher
from headrace.objects.store import PART_BYTES, ObjectStore
from headrace.objects.streaming import store_stream
from headrace.runtime.errors import Rejected, Retryable
from headrace.web.listener import Listener
from headrace_services.archiver.handlers import Archiver
from headrace_services.archiver.templates import KeyTemplate
from tests.integration.archiver.conftest import CLUSTER, KEY, NOW, Bench
from tests.unit.archives.tars import tar_gz

ANONYMOUS = {"b64_identity": encode_identity(Identity(org_id="000001", type="User"))}


async def test_an_upload_is_archived_under_its_cluster_and_the_consumers_are_told(bench: Bench) -> None:
    message = await bench.upload("r1", b"payload")
    assert await bench.handle(message) == f"archived to {bench.bucket}/{KEY}"
    assert await bench.archived() == {KEY: b"payload"}
    assert bench.synced == [
        ArchiveSynced(
            path=KEY,
            original_path="r1",
            metadata=ArchiveMetadata(cluster_id=CLUSTER, external_organization="000001"),
            request_id="r1",
            bucket=bench.bucket,
            service="ols",
        )
    ]


async def test_the_same_announcement_again_makes_no_second_copy_and_no_second_message(bench: Bench) -> None:
    message = await bench.upload("r1")
    first = await bench.handle(message)
    later = replace(bench.archiver, now=lambda: NOW + timedelta(hours=1))
    assert await bench.handle(message, later) == first
    assert list(await bench.archived()) == [KEY]
    assert len(bench.synced) == 1


class Crash(Exception):
    pass


class Faulty:
    """Passes calls on to a collaborator and crashes before, or after, one of them has taken effect."""

    def __init__(self, real: Any, method: str, *, after: bool) -> None:
        self._real, self._method, self._after = real, method, after

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._real, name)
        if name != self._method:
            return real

        async def crashing(*arguments: Any, **options: Any) -> Any:
            if self._after:
                await real(*arguments, **options)
            raise Crash(name)

        return crashing


def crashing(real: Any, method: str, *, after: bool) -> Any:
    """A stand-in for `real`, of whatever type that is."""
    return Faulty(real, method, after=after)


POINTS = [
    ("table", "find"),
    ("table", "take_position"),
    ("table", "claim"),
    ("store", "copy"),
    ("table", "mark_copied"),
    ("producer", "send"),
    ("table", "mark_published"),
]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("part", "method"), POINTS, ids=[method for _, method in POINTS])
async def test_a_redelivery_after_a_crash_at_any_point_ends_in_one_copy_at_one_key(
    bench: Bench, part: str, method: str, after: bool
) -> None:
    message = await bench.upload("r1", b"payload")
    if part == "store":
        faulty = replace(bench.archiver, stores={"": crashing(bench.store, method, after=after)})
    else:
        faulty = replace(
            bench.archiver, **{part: crashing(getattr(bench.archiver, part), method, after=after)}
        )
    with pytest.raises(Crash):
        await bench.handle(message, faulty)
    note = await bench.handle(message, replace(bench.archiver, now=lambda: NOW + timedelta(minutes=5)))
    archived = await bench.archived()
    assert list(archived.values()) == [b"payload"]
    assert note == f"archived to {bench.bucket}/{next(iter(archived))}"
    # What was sent, though not on record as sent, is sent once more: at least once, to the same path.
    paths = [synced.path for synced in bench.synced]
    assert paths == list(archived) * (
        2 if (method, after) in {("send", True), ("mark_published", False)} else 1
    )
    assert await bench.handle(message) == note


async def test_a_copy_that_was_made_is_not_made_again(bench: Bench) -> None:
    message = await bench.upload("r1")
    with pytest.raises(Crash):
        await bench.handle(
            message, replace(bench.archiver, stores={"": crashing(bench.store, "copy", after=True)})
        )
    made = await bench.store.head(bench.bucket, KEY)
    never = replace(bench.archiver, stores={"": crashing(bench.store, "copy", after=False)})
    await bench.handle(message, never)
    assert await bench.store.head(bench.bucket, KEY) == made


async def test_archives_of_one_cluster_in_one_second_take_the_next_free_seconds(bench: Bench) -> None:
    messages = [await bench.upload(f"r{number}", f"payload {number}".encode()) for number in range(20)]
    await asyncio.gather(*(bench.handle(message) for message in messages))
    archived = await bench.archived()
    assert sorted(archived.values()) == sorted(f"payload {number}".encode() for number in range(20))
    assert sorted(archived) == [KEY.replace("212822", f"2128{22 + number}") for number in range(20)]
    assert {synced.path for synced in bench.synced} == set(archived)


async def test_deliveries_of_one_announcement_at_once_agree_on_one_key(bench: Bench) -> None:
    message = await bench.upload("r1")
    notes = await asyncio.gather(*(bench.handle(message) for _ in range(8)))
    assert len(set(notes)) == 1
    assert len(await bench.archived()) == 1


async def test_other_bytes_under_the_same_name_are_archived_beside_the_first(bench: Bench) -> None:
    first = await bench.upload("r1", b"one")
    await bench.handle(first)
    second = await bench.upload("r1", b"two")
    await bench.handle(second)
    assert sorted((await bench.archived()).values()) == [b"one", b"two"]


async def test_an_object_that_is_not_in_the_table_is_never_overwritten(bench: Bench) -> None:
    await bench.store.put(bench.bucket, KEY, b"from before")
    await bench.handle(await bench.upload("r1", b"new"))
    assert await bench.archived() == {KEY: b"from before", KEY.replace("212822", "212823"): b"new"}


@pytest.mark.parametrize(
    ("service", "members"),
    [
        ("openshift", {"config/id": CLUSTER.encode()}),
        ("hccm", {"manifest.json": b'{"cluster_id": "%s"}' % CLUSTER.encode()}),
        ("assisted-installer", {f"{CLUSTER}/events.json": b"[]"}),
    ],
)
async def test_the_cluster_id_is_found_inside_the_stored_archive(
    bench: Bench, service: str, members: dict[str, bytes]
) -> None:
    message = await bench.upload("r1", tar_gz(members), service=service, **ANONYMOUS)
    await bench.handle(message)
    assert list(await bench.archived()) == [KEY]
    assert bench.synced[0].metadata.cluster_id == CLUSTER


@pytest.mark.parametrize(
    ("content", "fields", "reason"),
    [
        (tar_gz({"feedback/1.json": b"{}"}), ANONYMOUS, "cluster id not found"),
        (b"a,b\n1,2\n", ANONYMOUS | {"service": "hccm"}, "cluster id not found.*cannot be read"),
        (tar_gz({"config/id": b"../../x"}), ANONYMOUS, r"'\.\./\.\./x' from config/id is invalid"),
        (b"x", {"cluster_name": "None"}, "'None' from the message's cluster_name"),
        (b"x", {"service": "advisor"}, "'advisor' is missing in the archiver's table"),
        (b"", {}, "the upload is empty"),
        (b"x", {"object_key": "gone"}, "gone does not exist"),
        (b"x", ANONYMOUS | {"object_key": "gone"}, "gone does not exist"),
        (b"x", {"bucket": None, "url": "http://169.254.169.254/latest"}, "neither Headrace's S3 nor listed"),
        (b"x", {"bucket": None, "url": "file:///etc/passwd"}, "neither Headrace's S3 nor listed"),
        (b"x", {"bucket": None, "url": "http://[bad"}, "the url is malformed"),
    ],
)
async def test_what_cannot_be_archived_is_rejected_with_its_reason_and_leaves_nothing(
    bench: Bench, content: bytes, fields: dict[str, str], reason: str
) -> None:
    message = await bench.upload("r1", content, **fields)
    for _ in range(2):
        with pytest.raises(Rejected, match=reason):
            await bench.handle(message)
    assert await bench.archived() == {}
    assert bench.synced == []


async def test_an_archive_that_names_no_cluster_is_kept_in_the_local_shape(bench: Bench) -> None:
    message = await bench.upload("r1", tar_gz({"feedback/1.json": b"{}"}), **ANONYMOUS)
    lenient = replace(bench.archiver, lenient=True)
    await bench.handle(message, lenient)
    (key,) = await bench.archived()
    cluster_id, other = (
        local_cluster_id(org_id, of="an-archive-that-names-none") for org_id in ("000001", "000002")
    )
    assert key.startswith(f"archives/compressed/{cluster_id[:2]}/{cluster_id}/")
    assert bench.synced[0].metadata.cluster_id == cluster_id != other
    unreadable = await bench.upload("r2", b"no archive", **ANONYMOUS)
    with pytest.raises(Rejected, match="cannot be read"):
        await bench.handle(unreadable, lenient)


async def test_an_upstream_announcement_is_read_by_its_url_with_our_own_keys(bench: Bench) -> None:
    message = await bench.upload("r1", b"payload", bucket=None, object_key=None, etag=None)
    expired = message.model_copy(update={"url": message.url.partition("?")[0] + "?X-Amz-Expires=1"})
    await bench.handle(expired)
    assert await bench.archived() == {KEY: b"payload"}
    assert bench.synced[0].original_path == "r1"


async def test_a_template_without_a_cluster_id_archives_what_has_none_and_tells_nobody(bench: Bench) -> None:
    archiver = bench.with_target(template=KeyTemplate.parse("{org_id}/{service}.tar.gz"))
    for number in range(3):
        message = await bench.upload(f"r{number}", str(number).encode(), **ANONYMOUS)
        await bench.handle(message, archiver)
    assert await bench.archived() == {
        "000001/ols.tar.gz": b"0",
        "000001/ols-2.tar.gz": b"1",
        "000001/ols-3.tar.gz": b"2",
    }
    assert bench.synced == []


@pytest.fixture
async def elsewhere(
    s3_endpoints: dict[str, str], bench: Bench, fresh: Callable[[str], str]
) -> AsyncIterator[tuple[ObjectStore, str]]:
    """Another S3 service, or the same under another name: no server-side copy between the two."""
    others = [url for url in s3_endpoints.values() if S3Endpoint.parse(url) != bench.store.endpoint]
    here = bench.store.endpoint
    same = S3Endpoint(
        here.url.replace("127.0.0.1", "localhost"), here.access_key, here.secret_key, here.region
    )
    store = await ObjectStore.open(S3Endpoint.parse(others[0]) if others else same)
    bucket = fresh("elsewhere")
    try:
        await store.ensure_bucket(bucket)
        yield store, bucket
    finally:
        await store.close()


@pytest.mark.parametrize("size", [1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES + 7])
async def test_archives_for_another_endpoint_are_streamed_there_whole(
    bench: Bench, elsewhere: tuple[ObjectStore, str], size: int
) -> None:
    store, bucket = elsewhere
    content = (b"0123456789abcde" * (size // 15 + 1))[:size]
    endpoint = store.endpoint
    archiver = replace(
        bench.with_target(endpoint=endpoint, bucket=bucket), stores={"": bench.store, endpoint.url: store}
    )
    await bench.handle(await bench.upload("r1", content), archiver)
    async with store.get(bucket, KEY) as chunks:
        assert b"".join([chunk async for chunk in chunks]) == content
    assert await store.unfinished_multiparts(bucket) == []
    assert await bench.archived() == {}


async def test_a_stream_that_breaks_leaves_no_parts_behind(
    bench: Bench, elsewhere: tuple[ObjectStore, str]
) -> None:
    store, bucket = elsewhere

    async def breaking() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield bytes(PART_BYTES)
        raise Crash

    with pytest.raises(Crash):
        await store_stream(breaking(), store, bucket, "key")
    assert await store.unfinished_multiparts(bucket) == []
    assert await store.head(bucket, "key") is None


class Ingress:
    """Another ingress, that serves uploads by URL."""

    def __init__(self) -> None:
        self.status, self.body = 200, b"payload"
        self.url = ""

    async def answer(self, _request: web.Request) -> web.Response:
        return web.Response(status=self.status, body=self.body)


@pytest.fixture
async def ingress() -> AsyncIterator[Ingress]:
    other = Ingress()
    app = web.Application()
    app.router.add_get("/download/{name}", other.answer)
    listener = await Listener.open(app, "127.0.0.1", 0)
    other.url = f"http://127.0.0.1:{listener.port}/download/r1?signature=secret"
    yield other
    await listener.close()


@pytest.fixture
async def fetching(bench: Bench) -> AsyncIterator[Archiver]:
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        fetcher = Fetcher(
            bench.store,
            session,
            allowed_hosts={"127.0.0.1"},
            variable="ARCHIVER_ALLOWED_HOSTS",
            max_bytes=1000,
        )
        yield replace(bench.archiver, fetcher=fetcher)


async def test_an_upload_at_an_allowed_host_is_fetched_and_its_url_kept_secret(
    bench: Bench, ingress: Ingress, fetching: Archiver
) -> None:
    foreign: dict[str, Any] = {"bucket": None, "object_key": None, "etag": None, "url": ingress.url}
    message = await bench.upload("r1", **foreign)
    await bench.handle(message, fetching)
    assert await bench.archived() == {KEY: b"payload"}
    assert bench.synced[0].original_path == "download/r1"
    (archive,) = await bench.table.of_request("r1")
    assert "secret" not in archive.source


@pytest.mark.parametrize(
    ("status", "body", "error", "reason"),
    [
        (403, b"<Error>expired</Error>", Rejected, "answered 403"),
        (404, b"", Rejected, "answered 404"),
        (302, b"", Rejected, "answered 302"),
        (503, b"", Retryable, "answered 503"),
        (200, bytes(1001), Rejected, "more than 1000 bytes"),
    ],
)
async def test_an_answer_that_is_not_the_upload_is_never_archived(
    bench: Bench,
    ingress: Ingress,
    fetching: Archiver,
    status: int,
    body: bytes,
    error: type[Exception],
    reason: str,
) -> None:
    ingress.status, ingress.body = status, body
    foreign: dict[str, Any] = {"bucket": None, "object_key": None, "etag": None, "url": ingress.url}
    message = await bench.upload("r1", **foreign)
    with pytest.raises(error, match=reason) as caught:
        await bench.handle(message, fetching)
    assert "secret" not in str(caught.value)
    assert await bench.archived() == {}


async def test_a_claim_at_an_endpoint_that_is_gone_from_the_settings_waits(bench: Bench) -> None:
    message = await bench.upload("r1")
    with pytest.raises(Crash):
        await bench.handle(message, replace(bench.archiver, table=crashing(bench.table, "claim", after=True)))
    with pytest.raises(Retryable, match="no longer in ARCHIVER_ENDPOINTS"):
        await bench.handle(message, replace(bench.archiver, stores={}))


async def test_another_organisation_is_not_told_where_an_upload_was_archived(bench: Bench) -> None:
    message = await bench.upload("r1")
    key = (await bench.handle(message)).partition(f"{bench.bucket}/")[2]
    theirs = {"org_id": "2002", "b64_identity": encode_identity(Identity(org_id="2002", type="User"))}
    with pytest.raises(Rejected, match="uploaded by another organisation") as refusal:
        await bench.handle(message.model_copy(update=theirs))
    assert key not in str(refusal.value)
    assert len(await bench.archived()) == len(bench.synced) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"org_id": "2002"},
        {"account": "2", "b64_identity": encode_identity(Identity(account_number="1", org_id="000001"))},
        {"b64_identity": encode_identity(Identity(org_id="000001", internal=Internal(org_id="2002")))},
    ],
)
async def test_an_upload_that_names_two_senders_is_rejected(bench: Bench, changes: dict[str, str]) -> None:
    message = await bench.upload("r1")
    with pytest.raises(Rejected, match="the organisation of the upload is unknown"):
        await bench.handle(message.model_copy(update=changes))
    assert await bench.archived() == {}
