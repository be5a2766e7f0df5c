"""Connects koku's parts: announcements in, files and messages out."""

from functools import partial

import aiohttp

from headrace.objects.fetch import Fetcher
from headrace.objects.store import ObjectStore
from headrace.service.context import Context
from headrace.web.peer import Peer
from headrace_services.koku.handlers import Buckets, Koku
from headrace_services.koku.settings import NO_BUCKET, KokuSettings
from headrace_services.koku.shipper import Shipper
from headrace_services.koku.sources import Sources


async def start(context: Context) -> None:
    """Consume announcements."""
    settings = context.settings(KokuSettings)
    store = await context.objects()
    buckets = Buckets(settings.ros_bucket, "" if settings.bucket == NO_BUCKET else settings.bucket)
    for bucket in filter(None, {buckets.ros, buckets.cost}):
        context.watch(f"bucket {bucket}", partial(_look_for_bucket, store, bucket))
    # Fetched uploads stay compressed as they were sent; answers of the Sources API are decompressed.
    uploads = aiohttp.ClientSession(auto_decompress=False)
    context.on_close(uploads.close)
    peers = aiohttp.ClientSession()
    context.on_close(peers.close)
    koku = Koku(
        fetcher=Fetcher(
            store,
            uploads,
            allowed_hosts=settings.allowed_hosts,
            variable="KOKU_ALLOWED_HOSTS",
            max_bytes=settings.max_fetch_bytes,
            fetch_seconds=settings.fetch_seconds,
        ),
        sources=Sources(
            Peer(
                peers, settings.sources_api, name="the Sources API", timeout_seconds=settings.sources_seconds
            ),
            prefix=settings.sources_prefix,
            psk=settings.sources_psk,
            register=context.lenient if settings.register_sources is None else settings.register_sources,
            cache_seconds=settings.sources_cache_seconds,
        ),
        shipper=Shipper(store),
        producer=await context.producer(),
        buckets=buckets,
        url_seconds=settings.url_seconds,
        silent=settings.ros_silent,
        lenient=context.lenient,
    )
    (announcements,) = context.row.consumes
    await context.consume(announcements, koku.handle)


async def _look_for_bucket(store: ObjectStore, bucket: str) -> None:
    if not await store.has_bucket(bucket):
        await store.ensure_bucket(bucket)
