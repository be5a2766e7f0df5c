"""Connects the console's parts: pages that read the other services, and what runs while somebody looks."""

import asyncio
from collections.abc import Sequence

import aiohttp

from headrace.contracts.topics import PAYLOAD_STATUS
from headrace.runtime.errors import ConfigurationError
from headrace.service.context import Context
from headrace.service.resolution import resolved
from headrace.service.row import Service
from headrace_services.console import pages
from headrace_services.console.api import Api
from headrace_services.console.api_clusters import ClusterPages
from headrace_services.console.api_flow import FlowPages, Health
from headrace_services.console.api_letters import LetterPages
from headrace_services.console.api_payloads import PayloadPages
from headrace_services.console.api_recommendations import RecommendationPages
from headrace_services.console.api_senders import SenderPages
from headrace_services.console.api_upload import UploadPages
from headrace_services.console.events import Hub
from headrace_services.console.guard import check_start
from headrace_services.console.letters import Letters
from headrace_services.console.peers import (
    Aggregator,
    Archiver,
    AssistedEvents,
    Ingress,
    RosApi,
    Tracker,
    peer,
)
from headrace_services.console.settings import ConsoleSettings
from headrace_services.console.site import Site
from headrace_services.console.watching import StatusReader, TrafficReader
from headrace_services.registry import SERVICES


async def start(context: Context) -> None:
    """Serve."""
    settings, process = context.settings(ConsoleSettings), context.shared.process
    check_start(lenient=context.lenient, host=process.host, lenient_anywhere=settings.lenient_anywhere)
    # Files are read and templates compiled once, beside the event loop.
    await asyncio.to_thread(lambda: (pages.files(), pages.environment()))
    session = aiohttp.ClientSession()
    context.on_close(session.close)
    hub = Hub(settings.max_streams)
    context.on_stop(hub.stop)
    rows = [_as_set(row) for row in SERVICES if row.name != context.row.name]
    groups = [(item.group, item.topic.name) for row in rows for item in row.consumes]
    topics = {name for row in rows for item in row.topics for name in (item.name, item.dead_letters)}
    traffic = TrafficReader(context.engines, groups, topics, hub)
    letters = Letters(context.engines, (item.topic.dead_letters for row in rows for item in row.consumes))
    site = Site(context.lenient, settings.operator_role)
    tracker = Tracker(peer(session, settings.payload_tracker, "payload_tracker"))
    aggregator = Aggregator(peer(session, settings.results_aggregator, "results_aggregator"))
    assisted = AssistedEvents(
        peer(session, settings.assisted_events, "assisted_events"), settings.assisted_events_token
    )
    health = Health(session, settings.health_urls or _own_health(process.admin_port))
    context.spawn("statuses", StatusReader(context.engines, PAYLOAD_STATUS.name, hub).run)
    context.spawn("traffic", traffic.run)
    api = Api(
        site,
        hub,
        settings.host_names,
        FlowPages(site, rows, traffic, letters, tracker, health, context.engines),
        PayloadPages(
            site=site,
            rows=rows,
            tracker=tracker,
            archiver=Archiver(peer(session, settings.archiver, "archiver")),
            aggregator=aggregator,
            letters=letters,
            objects=await context.objects(),
            bucket=settings.bucket,
        ),
        LetterPages(site, rows, letters, health, traffic),
        UploadPages(site, Ingress(session, settings.ingress)),
        ClusterPages(site, aggregator),
        RecommendationPages(site, RosApi(peer(session, settings.ros_api, "ros_api"))),
        SenderPages(site, assisted, health),
    )
    await context.listen(api.application())


def _as_set(row: Service) -> Service:
    """Return a row as this process' environment sets it; as the table has it where that cannot be read."""
    try:
        return resolved(row)
    except ConfigurationError:
        return row


def _own_health(admin_port: int) -> Sequence[str]:
    return [f"http://127.0.0.1:{admin_port}/health"] if admin_port else []
