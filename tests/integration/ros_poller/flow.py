"""The poller as `headrace serve` runs it, on a topic of its own."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from headrace.bus.producer import Producer
from headrace.contracts.ros import RecommendationMetadata, RecommendationRequest
from headrace.contracts.topics import PAYLOAD_STATUS, RECOMMENDATION_REQUESTS, Topic
from headrace.database.pool import Database
from headrace.runtime.settings import EngineSettings
from headrace.service.host import Host
from headrace.service.initialise import initialise
from tests.engines import SessionEngines
from tests.integration.ros_poller.kruize import Kruize
from tests.integration.ros_poller.tables import ORG, add_workloads, name_of
from tests.records import Records, open_records
from tests.service import own, running
from tests.waiting import eventually

START = datetime(2023, 6, 3, 0, 45, tzinfo=UTC)


@dataclass
class Flow:
    """A topic of requests, the database they fill, and pollers on demand."""

    settings: EngineSettings
    topic: Topic[RecommendationRequest]
    ros: Database
    kruize: Kruize
    producer: Producer
    records: Records
    dead: Records
    fresh: Callable[[str], str]
    workloads: list[int]
    sent: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def poller(self, *, replicas: int = 1, **environment: str) -> AsyncIterator[list[Host]]:
        """Replicas in a group of their own, which therefore reads the topic from its beginning."""
        row = own("ros_poller", database=self.ros.name, topics=[self.topic])
        environment = {"KRUIZE_URL": self.kruize.url} | environment
        async with AsyncExitStack() as stack:
            yield [
                await stack.enter_async_context(running([row], self.settings, environment=environment))
                for _ in range(replicas)
            ]

    async def send(self, number: int, end: datetime = START, **changes: Any) -> str:
        """A workload's request; ``changes`` of its metadata are not checked."""
        request_id = self.fresh("request")
        self.sent.append(request_id)
        metadata = RecommendationMetadata(
            Org_id=ORG,
            Workload_id=self.workloads[number],
            Experiment_name=name_of(number),
            Max_endtime_report=end,
            ExperimentType="container",
        )
        message = RecommendationRequest(Request_id=request_id, Metadata=metadata.model_copy(update=changes))
        await self.producer.send(self.topic, message, key=name_of(number))
        return request_id

    async def endings(self) -> dict[str, list[tuple[str, str]]]:
        """Status and text of every ended request, by its id, in the order they came."""
        found: dict[str, list[tuple[str, str]]] = {request_id: [] for request_id in self.sent}
        for status in await self.records.bodies(PAYLOAD_STATUS.name):
            if status["request_id"] in found and status["status"] != "received":
                assert status["service"] == "ros-poller"
                found[status["request_id"]].append((status["status"], status.get("status_msg", "")))
        return found

    async def ended(self, count: int) -> None:
        """Wait until at least so many requests have."""

        async def enough() -> bool:
            return sum(map(bool, (await self.endings()).values())) >= count

        await eventually(enough, describe=f"{count} requests ended")

    async def all_ended(self, times: int = 1) -> dict[str, list[tuple[str, str]]]:
        async def ended() -> dict[str, list[tuple[str, str]]] | None:
            found = await self.endings()
            return found if all(len(item) >= times for item in found.values()) else None

        return await eventually(ended, describe="every request ended")

    async def dead_letters(self) -> list[Any]:
        return await self.dead.all(self.topic.dead_letters)


@asynccontextmanager
async def open_flow(
    engines: SessionEngines, ros: Database, kruize: Kruize, fresh: Callable[[str], str]
) -> AsyncIterator[Flow]:
    postgres = engines.postgres
    settings = EngineSettings(kafka=engines.kafka, s3=engines.s3, postgres=postgres)
    topic = replace(RECOMMENDATION_REQUESTS, name=fresh("requests"))
    await initialise(settings, [own("ros_poller", topics=[topic])])
    producer = await Producer.open(settings, service="test")
    try:
        async with (
            open_records(settings.kafka, PAYLOAD_STATUS.name) as records,
            open_records(settings.kafka, topic.dead_letters, partitions=1, from_beginning=True) as dead,
        ):
            workloads = await add_workloads(ros, 8)
            yield Flow(settings, topic, ros, kruize, producer, records, dead, fresh, workloads)
    finally:
        await producer.close()
