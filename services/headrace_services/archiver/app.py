"""Connects the archiver's parts: announcements in, archives and messages out, and a REST API."""

from functools import partial

import aiohttp

from headrace.objects.fetch import Fetcher
from headrace.objects.store import ObjectStore
from headrace.runtime.errors import Retryable
from headrace.service.context import Context
from headrace_services.archiver.api import Api
from headrace_services.archiver.handlers import Archiver
from headrace_services.archiver.settings import ArchiverSettings
from headrace_services.archiver.store import ArchiveTable
from headrace_services.archiver.targets import targets


async def start(context: Context) -> None:
    """Consume and serve."""
    settings = context.settings(ArchiverSettings)
    table = ArchiveTable(await context.database(), follow=context.clusters_follow)
    archive_targets = targets(settings)
    own = await context.objects()
    stores: dict[str, ObjectStore] = {"": own}
    for target in archive_targets.values():
        if target.endpoint:
            stores[target.endpoint.url] = await context.objects(target.endpoint)
    for endpoint, bucket in {(target.endpoint, target.bucket) for target in archive_targets.values()}:
        look = partial(_look_for_bucket, stores[endpoint.url if endpoint else ""], bucket, ours=not endpoint)
        context.watch(f"bucket {bucket}", look)
    session = aiohttp.ClientSession(auto_decompress=False)
    context.on_close(session.close)
    fetcher = Fetcher(
        own,
        session,
        allowed_hosts=settings.allowed_hosts,
        variable="ARCHIVER_ALLOWED_HOSTS",
        max_bytes=settings.max_fetch_bytes,
        fetch_seconds=settings.fetch_seconds,
    )
    archiver = Archiver(
        table, fetcher, archive_targets, stores, await context.producer(), lenient=context.lenient
    )
    (announcements,) = context.row.consumes
    await context.consume(announcements, archiver.handle)
    await context.listen(Api(table, stores, settings).application())


async def _look_for_bucket(store: ObjectStore, bucket: str, *, ours: bool) -> None:
    """Create a missing bucket on the platform's own S3; elsewhere a missing bucket is a misspelt name."""
    if await store.has_bucket(bucket):
        return
    if not ours:
        raise Retryable(f"{store.endpoint.url} has no bucket {bucket}")
    await store.ensure_bucket(bucket)
