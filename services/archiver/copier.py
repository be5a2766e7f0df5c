"""Copying one upload to its key: inside the store where that is possible, else part by part through here."""

from collections.abc import AsyncIterator
from contextlib import suppress

from headrace.objects.fetch import Fetcher, Location, gone
from headrace.objects.store import PART_BYTES, ObjectStore, Part
from headrace.objects.wire import ObjectNotFound
from headrace.runtime.errors import Retryable

_CONTENT_TYPE = "application/gzip"


async def copy(fetcher: Fetcher, upload: Location, store: ObjectStore, bucket: str, key: str) -> None:
    """Make the object; raises `Rejected` when the upload is not there (any more)."""
    if not upload.url and store.endpoint == fetcher.store.endpoint:
        try:
            await store.copy(upload.bucket, upload.key, bucket, key)
        except ObjectNotFound as error:
            raise gone(upload) from error
        return
    async with fetcher.open(upload) as chunks:
        await stream(chunks, store, bucket, key)


async def stream(chunks: AsyncIterator[bytes], store: ObjectStore, bucket: str, key: str) -> None:
    """Store a stream of any length with one part in memory; what was begun and not finished is dropped."""
    parts = _parts(chunks)
    first = await anext(parts)
    second = await anext(parts, None)
    if second is None:
        await store.put(bucket, key, first, content_type=_CONTENT_TYPE)
        return
    upload_id = await store.start_multipart(bucket, key, content_type=_CONTENT_TYPE)
    try:
        stored: list[Part] = []
        for part in (first, second):
            stored.append(await store.put_part(bucket, key, upload_id, len(stored) + 1, part))
        del first, second, part
        async for part in parts:
            stored.append(await store.put_part(bucket, key, upload_id, len(stored) + 1, part))
        await store.finish_multipart(bucket, key, upload_id, stored)
    except BaseException:
        with suppress(Retryable):
            await store.abort_multipart(bucket, key, upload_id)
        raise


async def _parts(chunks: AsyncIterator[bytes]) -> AsyncIterator[list[bytes]]:
    """The same bytes in pieces of a part each, at least one; the last may be shorter, or empty."""
    gathered: list[bytes] = []
    room = PART_BYTES
    async for chunk in chunks:
        while len(chunk) > room:
            yield [*gathered, chunk[:room]]
            chunk, gathered, room = chunk[room:], [], PART_BYTES  # noqa: PLW2901 -- what is left of it
        gathered.append(chunk)
        room -= len(chunk)
    yield gathered
