"""Copies one upload to its key: inside the S3 server if possible, else through this process, part by part."""

from headrace.objects.errors import ObjectNotFound
from headrace.objects.fetch import Fetcher, Location, gone
from headrace.objects.store import ObjectStore
from headrace.objects.streaming import store_stream

_CONTENT_TYPE = "application/gzip"


async def copy(fetcher: Fetcher, upload: Location, store: ObjectStore, bucket: str, key: str) -> None:
    """Create the object; raises `Rejected` if the upload does not exist, or no longer exists."""
    if not upload.url and store.endpoint == fetcher.store.endpoint:
        try:
            await store.copy(upload.bucket, upload.key, bucket, key)
        except ObjectNotFound as error:
            raise gone(upload) from error
        return
    async with fetcher.open(upload) as chunks:
        await store_stream(chunks, store, bucket, key, content_type=_CONTENT_TYPE)
