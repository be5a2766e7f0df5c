"""Reading topics, outside any consumer group."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord


def reader(kafka: str, *topics: str, **terms: Any) -> AIOKafkaConsumer:
    """From the beginning, unless told otherwise.

    A broker answers the requests of a connection one after another: a fetch that waits for news, half a second by
    default, would hold up every question about offsets. Whoever keeps a reader pauses it meanwhile: it asks a
    hundred times a second.
    """
    usual = {"auto_offset_reset": "earliest", "enable_auto_commit": False, "fetch_max_wait_ms": 10}
    return AIOKafkaConsumer(*topics, bootstrap_servers=kafka, **(usual | terms))


@dataclass
class Records:
    """Everything that comes on some topics, read up to their present ends on demand."""

    consumer: AIOKafkaConsumer
    partitions: list[TopicPartition]
    seen: list[ConsumerRecord] = field(default_factory=list)
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def all(self, topic: str) -> list[ConsumerRecord]:
        """A topic's records, in the order of each partition."""
        async with self._reading:
            ends = await self.consumer.end_offsets(self.partitions)
            self.consumer.resume(*self.partitions)
            try:
                async with asyncio.timeout(90):
                    while any([await self.consumer.position(at) < ends[at] for at in self.partitions]):
                        for records in (await self.consumer.getmany(timeout_ms=100)).values():
                            self.seen += records
            finally:
                self.consumer.pause(*self.partitions)
        return [record for record in self.seen if record.topic == topic]

    async def bodies(self, topic: str, **fields: Any) -> list[dict[str, Any]]:
        """A topic's JSON bodies, of those that have these fields."""
        found = [json.loads(record.value or b"{}") for record in await self.all(topic)]
        return [body for body in found if fields.items() <= body.items()]


@asynccontextmanager
async def open_records(
    kafka: str, *topics: str, partitions: int = 3, from_beginning: bool = False
) -> AsyncIterator[Records]:
    """Of these topics, from now on: one that tests share may hold a whole session's messages."""
    consumer = reader(kafka)
    read = [TopicPartition(topic, number) for topic in topics for number in range(partitions)]
    await consumer.start()
    try:
        consumer.assign(read)
        if from_beginning:
            await consumer.seek_to_beginning(*read)
        else:
            # Sought now: `seek_to_end` would find the end when the records are first read.
            for partition, end in (await consumer.end_offsets(read)).items():
                consumer.seek(partition, end)
        consumer.pause(*read)
        yield Records(consumer, read)
    finally:
        await consumer.stop()
