"""What every S3 server we support must do; each test runs on each of them."""

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer
from yarl import URL

from headrace.objects.endpoint import S3Endpoint
from headrace.objects.errors import ObjectExists, ObjectNotFound
from headrace.objects.store import PART_BYTES, ObjectStore, Part, digest, multipart_etag
from headrace.runtime.errors import HeadraceError, Retryable
from tests.conftest import S3Endpoint as Server

ODD_KEYS = (
    "plain", "a/b/c", "with space", "plus+sign", "perc%41ent", "tilde~1", "é/ü", "日本", "colon:semi;", "eq=am&p",
    "quote'\"", "paren(1)[2]{3}", "hash#?query", "back\\slash", "dot.", "a..b", "*", "$dollar,@at!",
)  # fmt: skip


@pytest.fixture
async def store(s3_endpoint: Server) -> AsyncIterator[ObjectStore]:
    opened = await ObjectStore.open(S3Endpoint.parse(s3_endpoint.url))
    yield opened
    await opened.close()


@pytest.fixture
async def bucket(store: ObjectStore, fresh: Callable[[str], str]) -> str:
    name = fresh("objects")
    await store.ensure_bucket(name)
    return name


async def read(store: ObjectStore, bucket: str, key: str) -> bytes:
    async with store.get(bucket, key) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def keys(store: ObjectStore, bucket: str, prefix: str = "") -> list[str]:
    return [item.key async for item in store.list(bucket, prefix)]


async def put_parts(store: ObjectStore, bucket: str, key: str, *bodies: bytes) -> tuple[str, list[Part]]:
    upload_id = await store.start_multipart(
        bucket, key, content_type="application/gzip", metadata={"org": "1"}
    )
    return upload_id, [
        await store.put_part(bucket, key, upload_id, number, body) for number, body in enumerate(bodies, 1)
    ]


@pytest.mark.parametrize(
    "body",
    [b"", b"x", [b"ab", b"", b"c"], b"y" * 200_000, [b"z" * 70_000] * 40, b"w" * (3 << 20)],
    ids=["empty", "byte", "pieces", "small", "large pieces", "large"],
)
async def test_what_is_put_is_what_is_got(store: ObjectStore, bucket: str, body: bytes | list[bytes]):
    whole = body if isinstance(body, bytes) else b"".join(body)
    metadata = {"requestid": "r/1", "account": "", "org": "000001"}
    stored = await store.put(bucket, "key", body, content_type="application/gzip", metadata=metadata)
    assert (stored.size, stored.etag) == (len(whole), digest(whole))
    found = await store.head(bucket, "key")
    assert found
    assert (found.size, found.etag, found.content_type) == (len(whole), stored.etag, "application/gzip")
    # A server may leave out an empty value.
    assert {name: value for name, value in found.metadata.items() if value} == {
        "requestid": "r/1",
        "org": "000001",
    }
    assert found.modified is not None
    assert await read(store, bucket, "key") == whole


async def test_what_is_not_there_is_said_plainly(store: ObjectStore, bucket: str):
    assert await store.head(bucket, "nothing") is None
    with pytest.raises(ObjectNotFound):
        await read(store, bucket, "nothing")
    await store.delete(bucket, "nothing")


async def test_an_object_that_is_there_is_left_alone_when_asked_so(store: ObjectStore, bucket: str):
    await store.put(bucket, "key", b"first", if_absent=True)
    with pytest.raises(ObjectExists):
        await store.put(bucket, "key", b"second", if_absent=True)
    assert await read(store, bucket, "key") == b"first"
    await store.put(bucket, "key", b"third")
    assert await read(store, bucket, "key") == b"third"


@pytest.mark.parametrize("key", ODD_KEYS)
async def test_odd_keys_are_names_like_any_other(store: ObjectStore, bucket: str, key: str):
    if key == "back\\slash":
        # MinIO takes it for a separator; ids of ours never hold one.
        return
    await store.put(bucket, key, b"1")
    assert await read(store, bucket, key) == b"1"
    assert await keys(store, bucket) == [key]
    async with aiohttp.ClientSession() as session:
        url = store.presign(bucket, key, expires_seconds=60)
        async with session.get(_unchanged(url)) as response:
            assert (response.status, await response.read()) == (200, b"1")
    await store.copy(bucket, key, bucket, "copied")
    assert await read(store, bucket, "copied") == b"1"
    await store.delete(bucket, key)
    assert await keys(store, bucket) == ["copied"]


async def test_a_key_may_be_another_ones_folder(store: ObjectStore, bucket: str):
    # In this order: SeaweedFS takes a folder for an object that is there.
    for key in ("x", "x/y", "x/y/z"):
        await store.put(bucket, key, key.encode(), if_absent=True)
    assert [await read(store, bucket, key) for key in ("x", "x/y", "x/y/z")] == [b"x", b"x/y", b"x/y/z"]


async def test_a_key_that_is_too_long_is_refused_for_good_or_stored(store: ObjectStore, bucket: str):
    key = "/".join(["k" * 250] * 5)
    with suppress(HeadraceError):
        await store.put(bucket, key, b"1")
        assert await read(store, bucket, key) == b"1"


async def test_a_copy_keeps_bytes_and_metadata(store: ObjectStore, bucket: str, fresh: Callable[[str], str]):
    other = fresh("other")
    await store.ensure_bucket(other)
    await store.put(bucket, "a/b", b"abc", content_type="application/gzip", metadata={"org": "1"})
    await store.copy(bucket, "a/b", other, "c/d")
    found = await store.head(other, "c/d")
    assert found
    assert (found.metadata, found.content_type, found.etag) == (
        {"org": "1"},
        "application/gzip",
        digest(b"abc"),
    )
    with pytest.raises(ObjectNotFound):
        await store.copy(bucket, "nothing", other, "e")


async def test_a_list_has_every_key_under_a_prefix_in_order(store: ObjectStore, bucket: str):
    # No plain "b": MinIO then lists nothing under "b/", though it has it all.
    for key in ("b/2", "a/1", "b/1", "c", "b~x"):
        await store.put(bucket, key, b"1")
    assert await keys(store, bucket, "b/") == ["b/1", "b/2"]
    assert await keys(store, bucket) == ["a/1", "b/1", "b/2", "b~x", "c"]
    assert await keys(store, bucket, "nothing") == []


async def test_a_list_goes_on_past_one_page(store: ObjectStore, bucket: str, monkeypatch):
    for number in range(7):
        await store.put(bucket, f"{number}", b"")
    async with store._control("list") as client:
        paginator = client.get_paginator
    pages = 0

    def small(name: Any) -> object:
        nonlocal pages
        pages += 1
        found = paginator(name)
        paginate = found.paginate
        found.paginate = lambda **terms: paginate(**terms, PaginationConfig={"PageSize": 3})
        return found

    monkeypatch.setattr(client, "get_paginator", small)
    assert await keys(store, bucket) == [f"{number}" for number in range(7)]
    assert pages == 1


def _unchanged(url: str) -> URL:
    return URL(url, encoded=True)


async def test_a_presigned_url_reads_without_keys_and_only_what_it_names(store: ObjectStore, bucket: str):
    await store.put(bucket, "key", b"abc")
    url = store.presign(bucket, "key", expires_seconds=60)
    async with aiohttp.ClientSession() as session:
        async with session.get(_unchanged(url), headers={"Range": "bytes=1-1"}) as response:
            assert (response.status, await response.read()) == (206, b"b")
        for forged in (
            url.split("?")[0],
            url.replace("/key?", "/kez?"),
            url.replace("Expires=60", "Expires=61"),
        ):
            async with session.get(_unchanged(forged)) as response:
                assert response.status in {400, 403, 404}


async def test_presigned_urls_name_the_public_endpoint(s3_endpoint: Server):
    endpoint = S3Endpoint.parse(s3_endpoint.url, public_url="https://s3.example")
    store = await ObjectStore.open(endpoint)
    assert store.presign("b", "k", expires_seconds=1).startswith("https://s3.example/b/k?X-Amz-Algorithm=")
    await store.close()


async def test_parts_become_one_object_with_the_etag_we_expect(store: ObjectStore, bucket: str):
    bodies = (b"a" * PART_BYTES, b"b" * 100)
    upload_id, parts = await put_parts(store, bucket, "big", *bodies)
    assert await store.head(bucket, "big") is None
    assert [key for key, _, _ in await store.unfinished_multiparts(bucket)] == ["big"]
    etag = await store.finish_multipart(bucket, "big", upload_id, parts, if_absent=True)
    assert etag == multipart_etag(parts)
    found = await store.head(bucket, "big")
    assert found
    assert (found.size, found.etag, found.metadata) == (PART_BYTES + 100, etag, {"org": "1"})
    assert await read(store, bucket, "big") == b"".join(bodies)
    assert await store.unfinished_multiparts(bucket) == []


async def test_parts_do_not_replace_an_object_that_is_there(store: ObjectStore, bucket: str):
    upload_id, parts = await put_parts(store, bucket, "big", b"a" * 100)
    await store.put(bucket, "big", b"first")
    with pytest.raises(ObjectExists):
        await store.finish_multipart(bucket, "big", upload_id, parts, if_absent=True)
    assert await read(store, bucket, "big") == b"first"
    await store.abort_multipart(bucket, "big", upload_id)
    assert await store.unfinished_multiparts(bucket) == []


async def test_an_aborted_upload_leaves_nothing_and_may_be_aborted_again(store: ObjectStore, bucket: str):
    upload_id, parts = await put_parts(store, bucket, "big", b"a" * PART_BYTES)
    await store.abort_multipart(bucket, "big", upload_id)
    await store.abort_multipart(bucket, "big", upload_id)
    assert await store.unfinished_multiparts(bucket) == []
    assert await keys(store, bucket) == []
    with pytest.raises(Retryable):
        await store.finish_multipart(bucket, "big", upload_id, parts)


async def test_a_bucket_is_ensured_once_and_again(store: ObjectStore, fresh: Callable[[str], str]):
    name = fresh("objects")
    assert not await store.has_bucket(name)
    await store.ensure_bucket(name)
    await store.ensure_bucket(name)
    assert await store.has_bucket(name)


async def test_a_missing_bucket_is_for_an_operator_to_mend(
    store: ObjectStore, s3_endpoint: Server, fresh: Callable[[str], str]
):
    name = fresh("missing")
    if s3_endpoint.server == "seaweedfs":
        # It makes a bucket for whoever may.
        await store.put(name, "key", b"1")
        assert await store.has_bucket(name)
        return
    with pytest.raises(Retryable, match="NoSuchBucket"):
        await store.put(name, "key", b"1")
    with pytest.raises(Retryable, match="NoSuchBucket"):
        await store.start_multipart(name, "key")
    with pytest.raises(Retryable, match="NoSuchBucket"):
        await keys(store, name)


async def test_wrong_keys_are_for_an_operator_to_mend(s3_endpoint: Server, bucket: str):
    parts = urlsplit(s3_endpoint.url)
    endpoint = S3Endpoint.parse(f"http://{parts.username}:wrongwrong@{parts.hostname}:{parts.port}")
    store = await ObjectStore.open(endpoint)
    try:
        with pytest.raises(Retryable, match="S3 answered 403"):
            await store.put(bucket, "key", b"1")
        with pytest.raises(Retryable):
            await store.has_bucket(bucket)
    finally:
        await store.close()


@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [
        (b" \n<Error><Code>InternalError</Code></Error>", Retryable, "InternalError to copy a/b to c/d"),
        (b"<Error><Code>NoSuchKey</Code></Error>", ObjectNotFound, "NoSuchKey to copy a/b to c/d"),
        (b"", Retryable, "not XML"),
    ],
)
async def test_a_copy_that_fails_after_its_200_has_failed(answer: bytes, kind: type[Exception], reason: str):
    async def copying(_request: web.BaseRequest) -> web.Response:
        return web.Response(body=answer)

    async with RawTestServer(copying) as server:
        store = await ObjectStore.open(S3Endpoint.parse(f"http://a:b@127.0.0.1:{server.port}"))
        try:
            with pytest.raises(kind, match=reason):
                await store.copy("a", "b", "c", "d")
        finally:
            await store.close()


async def test_a_server_that_is_away_is_said_with_its_reason():
    store = await ObjectStore.open(S3Endpoint.parse("http://a:bbbbbbbb@127.0.0.1:1"))
    try:
        for call in (store.put("b", "k", b"1"), store.ensure_bucket("b"), store.head("b", "k")):
            with pytest.raises(Retryable, match="S3 did not answer to"):
                await call
    finally:
        await store.close()
