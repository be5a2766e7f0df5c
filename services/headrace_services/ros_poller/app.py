"""Wiring: requests in, recommendations of Kruize into the ROS database."""

from dataclasses import replace

import aiohttp

from headrace.bus.consumption import Consumption
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
    """Consume."""
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
        # A payload has many workloads, each with a status of its own.
        return f"{workload_of(message)}: {await poller.handle(message, delivery)}"

    await context.consume(_consumption(requests, settings), handle, key=experiment_of)


def _consumption(requests: Consumption, settings: PollerSettings) -> Consumption:
    """As the services' table has it, but for what an operator named."""
    topic, group = requests.topic, requests.group
    if settings.recommendation_topic:
        topic = replace(topic, name=settings.recommendation_topic)
    if settings.consumer_group:
        group = f"{settings.consumer_group}-poller"
    return replace(requests, topic=topic, group=group)
