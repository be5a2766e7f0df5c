"""Storing a stream of any length with only one part in memory."""

from collections.abc import AsyncIterator, Mapping
from contextlib import suppress

from headrace.objects.store import OCTETS, PART_BYTES, ObjectStore, Part
from headrace.runtime.errors import Retryable


async def store_stream(
    chunks: AsyncIterator[bytes],
    store: ObjectStore,
    bucket: str,
    key: str,
    *,
    content_type: str = OCTETS,
    metadata: Mapping[str, str] | None = None,
    if_absent: bool = False,
) -> None:
    """Store in one request or, if the stream is longer than a part, in parts; delete an unfinished upload.

    With ``if_absent`` an existing object raises `ObjectExists`.
    """
    parts = _parts(chunks)
    first = await anext(parts)
    second = await anext(parts, None)
    if second is None:
        await store.put(bucket, key, first, content_type=content_type, metadata=metadata, if_absent=if_absent)
        return
    upload_id = await store.start_multipart(bucket, key, content_type=content_type, metadata=metadata)
    try:
        stored: list[Part] = []
        for part in (first, second):
            stored.append(await store.put_part(bucket, key, upload_id, len(stored) + 1, part))
        del first, second, part
        async for part in parts:
            stored.append(await store.put_part(bucket, key, upload_id, len(stored) + 1, part))
        await store.finish_multipart(bucket, key, upload_id, stored, if_absent=if_absent)
    except BaseException:
        with suppress(Retryable):
            await store.abort_multipart(bucket, key, upload_id)
        raise


async def _parts(chunks: AsyncIterator[bytes]) -> AsyncIterator[list[bytes]]:
    """Yield the same bytes in pieces of one part, at least one piece; the last may be shorter, or empty."""
    gathered: list[bytes] = []
    room = PART_BYTES
    async for chunk in chunks:
        while len(chunk) > room:
            yield [*gathered, chunk[:room]]
            chunk, gathered, room = chunk[room:], [], PART_BYTES  # noqa: PLW2901 -- what is left of it
        gathered.append(chunk)
        room -= len(chunk)
    yield gathered
