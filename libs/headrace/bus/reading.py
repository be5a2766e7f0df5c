"""Reads topics without a group: every partition, from anywhere; nothing is committed and no one is moved aside."""

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from headrace.bus.connection import client_arguments
from headrace.bus.records import Record
from headrace.runtime.errors import Retryable
from headrace.runtime.settings import EngineSettings

_POLL_RECORDS: Final = 200


@asynccontextmanager
async def groupless(
    settings: EngineSettings,
    client_id: str,
    *,
    max_wait_ms: int = 50,
    max_partition_bytes: int = 1 << 20,
) -> AsyncIterator[AIOKafkaConsumer]:
    """Yield a consumer without a group and, so far, without partitions; raises `Retryable` while Kafka is away.

    ``max_wait_ms``: so long the broker waits for news; meanwhile it answers no question about offsets.
    """
    consumer = AIOKafkaConsumer(
        **client_arguments(settings, client_id=client_id),
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        fetch_max_wait_ms=max_wait_ms,
        max_partition_fetch_bytes=max_partition_bytes,
    )
    try:
        with translated(f"reach Kafka at {settings.kafka}"):
            await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


async def partitions_of(consumer: AIOKafkaConsumer, topics: Collection[str]) -> list[TopicPartition]:
    """Return the partitions of those topics that exist."""
    # The public way knows only the topics that were asked for before.
    cluster = await consumer._client.fetch_all_metadata()  # noqa: SLF001
    return [
        TopicPartition(topic, partition)
        for topic in sorted(topics)
        for partition in sorted(cluster.partitions_for_topic(topic) or ())
    ]


async def records(
    consumer: AIOKafkaConsumer, begin: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
) -> AsyncGenerator[Record, None]:
    """Yield the records of the assigned partitions from ``begin`` up to ``ends``."""
    for partition, offset in begin.items():
        consumer.seek(partition, offset)
    left = set(begin)
    while left:
        # The position passes transaction markers, at which no record would ever arrive.
        left -= {partition for partition in left if await consumer.position(partition) >= ends[partition]}
        fetched = await consumer.getmany(*left, timeout_ms=100, max_records=_POLL_RECORDS) if left else {}
        for partition, found in fetched.items():
            for record in found:
                if record.offset < ends[partition]:
                    yield record


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise `Retryable` where Kafka does not answer, or not in time: ``cannot <what>: ...``."""
    try:
        yield
    except (TimeoutError, KafkaError) as error:
        raise Retryable(f"cannot {what}: {type(error).__name__} {error}".rstrip()) from error
