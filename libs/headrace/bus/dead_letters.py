"""Dead letters: the original record with its story in headers; listing them and putting them back."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, ProducerFenced
from aiokafka.structs import ConsumerRecord

from headrace.bus.connection import client_arguments
from headrace.bus.delivery import Delivery
from headrace.bus.producer import MAX_REQUEST_BYTES, Headers, close_client, encode_headers
from headrace.contracts.message import rfc3339
from headrace.contracts.topics import DEAD_LETTER_SUFFIX
from headrace.runtime.errors import Fatal, Retryable
from headrace.runtime.settings import EngineSettings

PREFIX: Final = "headrace."
# On a record beside the dead letters: the one at this partition and offset was put back.
_MARK: Final = "headrace.redriven"
# A reason may be a page of traceback; the record must stay within the topic's limit.
_MAX_REASON: Final = 2000

Record = ConsumerRecord[bytes | None, bytes | None]


@dataclass(frozen=True)
class DeadLetter:
    """A record of a dead-letter topic; ``original_*`` say whence it came, ``offset`` where it lies now."""

    topic: str
    partition: int
    offset: int
    original_topic: str
    original_partition: int
    original_offset: int
    original_timestamp: str
    service: str
    group: str
    error_class: str
    reason: str
    attempts: int
    first_seen: str
    dead_since: datetime
    redriven: bool
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


def story(
    delivery: Delivery, *, service: str, group: str, error_class: str, reason: str, value: bytes | None
) -> list[tuple[str, bytes]]:
    """The headers that tell where a dead letter came from and why it is one."""
    told = {
        "topic": delivery.topic,
        "partition": str(delivery.partition),
        "offset": str(delivery.offset),
        "timestamp": rfc3339(delivery.timestamp),
        "service": service,
        "group": group,
        "error.class": error_class,
        "reason": reason[:_MAX_REASON],
        "attempts": str(delivery.attempt),
        "first-seen": rfc3339(delivery.first_seen),
    }
    if value is None:
        # aiokafka cannot send a record with neither key nor value, so that a tombstone is told in words.
        told["tombstone"] = "true"
    return encode_headers((PREFIX + name, text) for name, text in told.items())


def original_headers(headers: Iterable[tuple[str, bytes]]) -> Headers:
    """The headers the record had before it died."""
    return [(name, value) for name, value in headers if not name.startswith(PREFIX)]


def parse(record: Record, *, redriven: bool = False) -> DeadLetter:
    """Read a record of a dead-letter topic; what is missing (a foreign record) is empty."""
    told = {
        name.removeprefix(PREFIX): value.decode(errors="replace")
        for name, value in record.headers
        if name.startswith(PREFIX)
    }
    return DeadLetter(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        original_topic=told.get("topic", record.topic.removesuffix(DEAD_LETTER_SUFFIX)),
        original_partition=int(told.get("partition", -1)),
        original_offset=int(told.get("offset", -1)),
        original_timestamp=told.get("timestamp", ""),
        service=told.get("service", ""),
        group=told.get("group", ""),
        error_class=told.get("error.class", ""),
        reason=told.get("reason", ""),
        attempts=int(told.get("attempts", 0)),
        first_seen=told.get("first-seen", ""),
        dead_since=datetime.fromtimestamp(record.timestamp / 1000, UTC),
        redriven=redriven,
        key=record.key,
        value=None if "tombstone" in told else record.value,
        headers=tuple(original_headers(record.headers)),
    )


@asynccontextmanager
async def _reader(settings: EngineSettings, topic: str) -> AsyncIterator[AIOKafkaConsumer]:
    """Every partition of the topic, assigned by hand: nobody to rebalance with, nothing to commit."""
    consumer = AIOKafkaConsumer(
        **client_arguments(settings, client_id="headrace-dead-letters"),
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        # A fetch that waits for news holds up the questions for offsets behind it.
        fetch_max_wait_ms=50,
    )
    try:
        await consumer.start()
        # The public way knows only the topics that were asked for before.
        cluster = await consumer._client.fetch_all_metadata()  # noqa: SLF001
        partitions = cluster.partitions_for_topic(topic)
        if not partitions:
            raise Retryable(f"cannot read {topic}: there is no such topic")
        consumer.assign([TopicPartition(topic, partition) for partition in sorted(partitions)])
        yield consumer
    finally:
        await consumer.stop()


async def _records(consumer: AIOKafkaConsumer) -> AsyncGenerator[Record, None]:
    """All records up to what is the end now."""
    partitions = sorted(consumer.assignment())
    ends = await consumer.end_offsets(partitions)
    for partition, offset in (await consumer.beginning_offsets(partitions)).items():
        consumer.seek(partition, offset)
    left = set(partitions)
    while left:
        # The position passes transaction markers, at which no record would ever arrive.
        left -= {partition for partition in left if await consumer.position(partition) >= ends[partition]}
        fetched = await consumer.getmany(*left, timeout_ms=100, max_records=200) if left else {}
        for partition, records in fetched.items():
            for record in records:
                if record.offset < ends[partition]:
                    yield record


async def _letters(consumer: AIOKafkaConsumer) -> AsyncGenerator[tuple[Record, DeadLetter], None]:
    """The dead letters, oldest first in each partition, each with whether it was put back."""
    marks: set[str] = set()
    async with aclosing(_records(consumer)) as records:
        async for record in records:
            marks.update(value.decode() for name, value in record.headers if name == _MARK)
    async with aclosing(_records(consumer)) as records:
        async for record in records:
            if all(name != _MARK for name, _ in record.headers):
                yield record, parse(record, redriven=_place(record.partition, record.offset) in marks)


def _place(partition: int, offset: int) -> str:
    return f"{partition}:{offset}"


async def list_dead_letters(
    settings: EngineSettings,
    dead_letter_topic: str,
    *,
    limit: int | None = None,
    timeout_seconds: float = 60.0,
) -> list[DeadLetter]:
    """The topic's dead letters, oldest first in each partition; raises `Retryable` when it cannot be read."""
    found: list[DeadLetter] = []
    try:
        async with (
            asyncio.timeout(timeout_seconds),
            _reader(settings, dead_letter_topic) as consumer,
            aclosing(_letters(consumer)) as letters,
        ):
            async for _, letter in letters:
                if limit is not None and len(found) >= limit:
                    break
                found.append(letter)
    except (TimeoutError, KafkaError) as error:
        raise Retryable(f"cannot read {dead_letter_topic}: {type(error).__name__} {error}") from error
    return found


async def show(
    settings: EngineSettings, dead_letter_topic: str, partition: int, offset: int
) -> DeadLetter | None:
    """One dead letter by where it lies, or None."""
    for letter in await list_dead_letters(settings, dead_letter_topic):
        if (letter.partition, letter.offset) == (partition, offset):
            return letter
    return None


async def redrive(
    settings: EngineSettings,
    dead_letter_topic: str,
    *,
    only: Collection[tuple[int, int]] | None = None,
    limit: int | None = None,
    timeout_seconds: float = 300.0,
) -> list[DeadLetter]:
    """Put dead letters back to their topics, each exactly once; ``only`` names them by partition and offset.

    The record and a mark beside the dead letter that it was put back are one transaction; the transactional id fences
    a redrive of the same topic elsewhere. So a crash leaves each letter put back or not, never twice.
    """
    # The mark is no consumer offset, since the broker forgets those of an idle group after a week.
    producer = AIOKafkaProducer(
        **client_arguments(settings, client_id="headrace-redrive"),
        transactional_id=f"headrace-redrive.{dead_letter_topic}",
        max_request_size=MAX_REQUEST_BYTES,
    )
    put_back: list[DeadLetter] = []
    try:
        async with asyncio.timeout(timeout_seconds):
            # Starting it ends whatever a redrive that died left open, so that the marks read below are final.
            await producer.start()
            async with (
                _reader(settings, dead_letter_topic) as consumer,
                aclosing(_letters(consumer)) as letters,
            ):
                async for record, letter in letters:
                    if limit is not None and len(put_back) >= limit:
                        break
                    if not letter.redriven and (only is None or (letter.partition, letter.offset) in only):
                        await _put_back(producer, record, letter)
                        put_back.append(letter)
    except ProducerFenced:
        raise Fatal(f"{dead_letter_topic}: another redrive took over") from None
    except (TimeoutError, KafkaError) as error:
        raise Retryable(f"{dead_letter_topic}: {type(error).__name__} {error}") from error
    finally:
        await close_client(producer, 1.0)
    return put_back


async def _put_back(producer: AIOKafkaProducer, record: Record, letter: DeadLetter) -> None:
    restored: dict[str, Any] = {"key": letter.key, "headers": list(letter.headers)}
    # A tombstone without a key cannot be sent; an empty value says as little.
    restored["value"] = b"" if letter.value is None and letter.key is None else letter.value
    if letter.original_partition in await producer.partitions_for(letter.original_topic):
        restored["partition"] = letter.original_partition
    mark = (_MARK, _place(record.partition, record.offset).encode())
    async with producer.transaction():
        # Awaited, since a batch that fails does not abort its transaction by itself.
        await producer.send_and_wait(letter.original_topic, **restored)
        await producer.send_and_wait(record.topic, b"", partition=record.partition, headers=[mark])
