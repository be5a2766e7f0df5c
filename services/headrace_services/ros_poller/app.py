"""Connects ros_poller's parts: requests in, recommendations from Kruize into the ROS database."""

import aiohttp

from headrace.bus.delivery import Delivery
from headrace.contracts.ros import RecommendationRequest
from headrace.runtime.logging import get_logger
from headrace.service.context import Context
from headrace.web.peer import Peer
from headrace_services.ros_poller.client import KruizeClient
from headrace_services.ros_poller.handlers import Poller, experiment_of, workload_of
from headrace_services.ros_poller.settings import PollerSettings
from headrace_services.ros_poller.store import RecommendationStore

_log = get_logger(__name__)


async def start(context: Context) -> None:
    """Consume requests."""
    settings = context.settings(PollerSettings)
    store = RecommendationStore(await context.database())
    session = aiohttp.ClientSession()
    context.on_close(session.close)
    kruize = KruizeClient(
        Peer(session, settings.kruize, name="Kruize", timeout_seconds=settings.timeout_seconds)
    )
    context.watch("kruize", kruize.ping)
    (requests,) = context.row.consumes
    poller = Poller(store, kruize, settings.interval_hours)

    async def handle(message: RecommendationRequest, delivery: Delivery) -> str:
        # A payload has many workloads, each with its own status.
        return f"{workload_of(message)}: {await poller.handle(message, delivery)}"

    await context.consume(requests, handle, key=experiment_of)
