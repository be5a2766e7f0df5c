"""A fresh topic with everything a consumer of it needs."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord

from headrace.bus.admin import admin_client, ensure_topics
from headrace.bus.consumer import Consumer, Handler
from headrace.bus.consumption import Consumption, Membership
from headrace.bus.producer import Producer
from headrace.bus.statuses import StatusReporter
from headrace.contracts.message import Message
from headrace.contracts.status import PayloadStatus
from headrace.contracts.topics import PAYLOAD_STATUS, Topic
from headrace.runtime.errors import Retryable
from headrace.runtime.metrics import REGISTRY
from headrace.runtime.retries import RetryPolicy
from headrace.runtime.settings import EngineSettings
from tests.records import reader
from tests.waiting import answered, eventually

# Fast enough for a test, jitter and all.
QUICK = RetryPolicy(attempts=3, budget_seconds=1.0, base_seconds=0.01, cap_seconds=0.05)
# The broker's own lower limit of a session is six seconds.
BRISK = Membership(heartbeat_seconds=0.3, session_seconds=6.0, revoke_seconds=5.0, rebalance_seconds=15.0)


class Note(Message):
    request_id: str
    key: str = ""
    n: int = 0
    org_id: str = ""


async def ignore(_note: Note, _delivery: Any) -> None:
    """A handler for which everything is fine."""


@dataclass
class Flow:
    settings: EngineSettings
    producer: Producer
    topic: Topic[Note]
    group: str
    service: str
    consumers: list[Consumer[Note]] = field(default_factory=list)

    def consumer(
        self,
        handler: Handler[Note] = ignore,
        *,
        statuses: bool = False,
        key: Callable[..., str | None] | None = None,
        **terms: Any,
    ) -> Consumer[Note]:
        given: dict[str, Any] = {"retry": QUICK, "membership": BRISK, "group": self.group} | terms
        consumer = Consumer(
            Consumption(topic=self.topic, **given),
            handler,
            service=self.service,
            settings=self.settings,
            producer=self.producer,
            statuses=StatusReporter(self.producer, self.service) if statuses else None,
            key=key,
        )
        self.consumers.append(consumer)
        return consumer

    @asynccontextmanager
    async def running(self, *consumers: Consumer[Note]) -> AsyncIterator[list[asyncio.Task[None]]]:
        tasks = [asyncio.create_task(consumer.run()) for consumer in consumers]
        try:
            yield tasks
        finally:
            await asyncio.gather(*(consumer.stop(10) for consumer in consumers))
            await asyncio.gather(*tasks, return_exceptions=True)

    async def send(self, notes: Iterable[Note], **headers: str) -> None:
        await asyncio.gather(
            *(self.producer.send(self.topic, note, key=note.key or None, headers=headers) for note in notes)
        )

    async def send_bytes(self, value: bytes | None, key: bytes | None = None, **headers: bytes) -> None:
        await self.producer.send_raw(self.topic.name, value, key=key, headers=list(headers.items()))

    async def records(self, topic: str) -> list[ConsumerRecord]:
        """Everything committed to a topic until now, in order per partition."""
        consumer = reader(self.settings.kafka, isolation_level="read_committed")
        found = []
        await consumer.start()
        try:
            await consumer._client._wait_on_metadata(topic)
            partitions = [TopicPartition(topic, n) for n in consumer.partitions_for_topic(topic)]
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            await consumer.seek_to_beginning(*partitions)
            while any([await consumer.position(at) < ends[at] for at in partitions]):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += records
        finally:
            await consumer.stop()
        return found

    async def put_back(self, count: int) -> list[ConsumerRecord]:
        """The topic's records once there are so many: a transaction's are to be read a moment after its commit."""

        async def there() -> list[ConsumerRecord]:
            found = await self.records(self.topic.name)
            assert len(found) >= count
            return found

        return await eventually(there)

    async def dead(self) -> list[ConsumerRecord]:
        return await self.records(self.topic.dead_letters)

    async def statuses(self, request_id: str) -> list[PayloadStatus]:
        return [
            status
            for record in await self.records(PAYLOAD_STATUS.name)
            if (status := PayloadStatus.from_json(record.value)).request_id == request_id
        ]

    async def committed(self) -> int:
        """Sum of the committed offsets of all partitions."""
        async with admin_client(self.settings) as client:
            offsets = await answered(partial(client.list_consumer_group_offsets, self.group))
        return sum(each.offset for each in offsets.values() if each.offset > 0)

    def counted(self, outcome: str) -> float:
        labels = {"service": self.service, "topic": self.topic.name, "outcome": outcome}
        return REGISTRY.get_sample_value("headrace_messages_total", labels) or 0.0


@asynccontextmanager
async def open_flow(
    kafka: str, fresh: Callable[[str], str], *, partitions: int = 3, dead_letters: bool = True
) -> AsyncIterator[Flow]:
    settings = EngineSettings(kafka=kafka)
    topic = Topic(fresh("notes"), Note, partitions)
    await ensure_topics(settings, [topic], with_dead_letters=dead_letters)
    await ensure_topics(settings, [PAYLOAD_STATUS], with_dead_letters=False)
    producer = await Producer.open(settings, service="test")
    try:
        yield Flow(settings, producer, topic, fresh("group"), fresh("service"))
    finally:
        await producer.close(2)


async def send_stubbornly(flow: Flow, notes: list[Note]) -> None:
    """In order, each until it is acknowledged."""
    async with asyncio.timeout(30):
        for note in notes:
            while True:
                try:
                    await flow.producer.send(flow.topic, note, key=note.key, timeout_seconds=2)
                    break
                except Retryable:
                    continue
