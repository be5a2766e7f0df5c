"""Copying one upload to its key: inside the store where that is possible, else part by part through here."""

from headrace.objects.fetch import Fetcher, Location, gone
from headrace.objects.store import ObjectStore
from headrace.objects.streaming import store_stream
from headrace.objects.wire import ObjectNotFound

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
        await store_stream(chunks, store, bucket, key, content_type=_CONTENT_TYPE)
