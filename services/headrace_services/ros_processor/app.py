"""Connects the parts of ros_processor: usage files in; workloads, usage, experiments and requests out."""

from datetime import timedelta

import aiohttp

from headrace.bus.delivery import Delivery
from headrace.contracts.ros import RosEvent
from headrace.objects.fetch import Fetcher
from headrace.runtime.logging import get_logger
from headrace.service.context import Context
from headrace.web.peer import Peer
from headrace_services.ros_processor.client import Kruize
from headrace_services.ros_processor.handlers import UsageFiles
from headrace_services.ros_processor.housekeeper import Housekeeper, PartitionKeeper
from headrace_services.ros_processor.profile import ProfileKeeper
from headrace_services.ros_processor.settings import RosProcessorSettings
from headrace_services.ros_processor.store import RosStore

_log = get_logger(__name__)


async def start(context: Context) -> None:
    """Consume messages, and maintain partitions and the performance profile."""
    settings = context.settings(RosProcessorSettings)
    database = await context.database()
    store = RosStore(database, follow=context.clusters_follow)
    session = aiohttp.ClientSession()
    context.on_close(session.close)
    kruize = _kruize(context, settings, session)
    requests, _statuses = context.row.produces
    files = UsageFiles(
        fetcher=await _fetcher(context, settings),
        bucket=settings.bucket,
        kruize=kruize,
        store=store,
        producer=await context.producer(),
        requests=requests,
        namespaces=not settings.namespaces_disabled,
    )
    sources = Peer(
        session, settings.sources_url, name="the Sources API", timeout_seconds=settings.kruize_timeout_seconds
    )
    housekeeper = Housekeeper(sources, settings.sources_prefix.rstrip("/"), kruize, database)
    events, resources = context.row.consumes
    keeper = PartitionKeeper(store, timedelta(days=settings.retention_days))
    context.spawn("partitions", keeper.run)
    await context.consume(events, files.handle, key=_cluster)
    await context.consume(resources, housekeeper.handle, report_status=False)


def _kruize(context: Context, settings: RosProcessorSettings, session: aiohttp.ClientSession) -> Kruize:
    """Return the client of Kruize; its profile is created in the background.

    An absent Kruize is part of the health report, but does not stop the start.
    """
    peer = Peer(session, settings.kruize, name="Kruize", timeout_seconds=settings.kruize_timeout_seconds)
    profile = ProfileKeeper(peer, version=settings.profile_version, update=settings.update_profile)
    context.health.add("performance profile", lambda: profile.problem)
    context.spawn("performance profile", profile.run)
    kruize = Kruize(
        peer, profile, max_records=settings.kruize_max_records, concurrency=settings.kruize_concurrency
    )
    context.watch("kruize", kruize.ping)
    return kruize


async def _fetcher(context: Context, settings: RosProcessorSettings) -> Fetcher:
    # An answer must not be compressed, because the limit applies to the bytes that are read.
    session = aiohttp.ClientSession(headers={"Accept-Encoding": "identity"})
    context.on_close(session.close)
    return Fetcher(
        await context.objects(),
        session,
        allowed_hosts=settings.allowed_hosts,
        variable="ROS_ALLOWED_HOSTS",
        max_bytes=settings.max_fetch_bytes,
        fetch_seconds=settings.fetch_seconds,
    )


def _cluster(message: RosEvent, _delivery: Delivery) -> str:
    return message.metadata.cluster_uuid
