from collections.abc import AsyncIterator, Callable

import pytest

from headrace.objects.endpoint import S3Endpoint
from headrace.objects.errors import ObjectExists
from headrace.objects.store import PART_BYTES, ObjectStore
from headrace.objects.streaming import store_stream
from tests.conftest import S3Endpoint as Server

SIZES = [0, 1, PART_BYTES, PART_BYTES + 1]
# A refusal of one large request comes before its body is through, and the client hangs up.
REFUSED_SIZES = [0, 1, PART_BYTES + 1]


@pytest.fixture
async def place(s3_endpoint: Server, fresh: Callable[[str], str]) -> AsyncIterator[tuple[ObjectStore, str]]:
    store = await ObjectStore.open(S3Endpoint.parse(s3_endpoint.url))
    bucket = fresh("streams")
    await store.ensure_bucket(bucket)
    yield store, bucket
    await store.close()


async def stream(size: int) -> AsyncIterator[bytes]:
    for start in range(0, size, 100_003):
        yield bytes(min(100_003, size - start))


@pytest.mark.parametrize("size", SIZES)
async def test_a_stream_of_any_length_is_stored_with_its_metadata(
    place: tuple[ObjectStore, str], size: int
) -> None:
    store, bucket = place
    await store_stream(stream(size), store, bucket, "key", content_type="text/csv", metadata={"upload": "x"})
    found = await store.head(bucket, "key")
    assert found
    assert (found.size, found.content_type, found.metadata) == (size, "text/csv", {"upload": "x"})


@pytest.mark.parametrize("size", REFUSED_SIZES)
async def test_an_object_that_is_there_is_left_alone_when_asked_so(
    place: tuple[ObjectStore, str], size: int
) -> None:
    store, bucket = place
    await store.put(bucket, "key", b"first")
    with pytest.raises(ObjectExists):
        await store_stream(stream(size), store, bucket, "key", if_absent=True)
    found = await store.head(bucket, "key")
    assert found
    assert found.size == 5
    assert await store.unfinished_multiparts(bucket) == []
