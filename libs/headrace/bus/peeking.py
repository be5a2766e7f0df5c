"""A look at the records of a topic, for people: the newest, those from a time on, one, or those that arrive."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from aiokafka import AIOKafkaConsumer, TopicPartition

from headrace.bus.delivery import written_at
from headrace.bus.reading import groupless, partitions_of, records, translated
from headrace.bus.records import Record, Unreadable
from headrace.contracts.message import utc_now
from headrace.runtime.errors import Retryable
from headrace.runtime.settings import EngineSettings

_CLIENT: Final = "headrace-peeking"
_TAIL_WAIT_MS: Final = 500
_TAIL_RECORDS: Final = 500


@dataclass(frozen=True, slots=True)
class Peeked:
    """A record, its value perhaps cut; ``unreadable`` says why the value is only the bytes of a broken record."""

    topic: str
    partition: int
    offset: int
    timestamp: datetime
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    key_bytes: int
    value_bytes: int
    unreadable: str = ""

    @classmethod
    def of(cls, record: Record, max_bytes: int | None) -> Self:
        """Keep at most so many bytes of key, of value and of headers."""
        key, value = record.key, record.value
        kept, left = [], max_bytes
        for name, text in record.headers:
            if left is not None and (left := left - len(name) - len(text or b"")) < 0:
                break
            kept.append((name, bytes(text or b"")))
        return cls(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            timestamp=written_at(record, utc_now()),
            key=None if key is None else bytes(key[:max_bytes]),
            value=None if value is None else bytes(value[:max_bytes]),
            headers=tuple(kept),
            key_bytes=len(key or b""),
            value_bytes=len(value or b""),
            unreadable=value.reason if isinstance(value, Unreadable) else "",
        )

    @property
    def is_cut(self) -> bool:
        """Return whether there is more of the value."""
        return len(self.value or b"") < self.value_bytes


async def peek(
    settings: EngineSettings,
    topic: str,
    *,
    last: int = 50,
    since: datetime | None = None,
    partition: int | None = None,
    max_value_bytes: int = 64 << 10,
    max_bytes: int = 4 << 20,
    timeout_seconds: float = 10.0,
) -> list[Peeked]:
    """Return the last records of a topic, newest first; with ``since`` the first ones from then on, oldest first.

    Fewer are returned where they would be more than ``max_bytes`` of a partition. Raises `Retryable`.
    """
    with translated(f"read {topic}"):
        async with asyncio.timeout(timeout_seconds), groupless(settings, _CLIENT) as consumer:
            partitions = [
                item
                for item in await _existing(consumer, [topic])
                if partition is None or item.partition == partition
            ]
            starts = await consumer.beginning_offsets(partitions)
            ends = await consumer.end_offsets(partitions)
            if since is not None:
                times = dict.fromkeys(partitions, round(since.timestamp() * 1000))
                begin = {
                    item: at.offset for item, at in (await consumer.offsets_for_times(times)).items() if at
                }
                found = [
                    peeked
                    for item in begin
                    for peeked in (await _some(consumer, item, begin[item], ends[item], last, max_bytes))[0]
                ]
                return _cut(sorted(found, key=_age)[:last], max_value_bytes)
            found = []
            for item in partitions:
                found += await _newest(consumer, item, starts[item], ends[item], last, max_bytes)
            return _cut(sorted(found, key=_age, reverse=True)[:last], max_value_bytes)


async def read_at(
    settings: EngineSettings,
    topic: str,
    partition: int,
    offset: int,
    *,
    max_value_bytes: int | None = None,
    timeout_seconds: float = 10.0,
) -> Peeked | None:
    """Return the record at an offset, or None. Raises `Retryable`."""
    with translated(f"read {topic}"):
        async with asyncio.timeout(timeout_seconds), groupless(settings, _CLIENT) as consumer:
            place = TopicPartition(topic, partition)
            if place not in await _existing(consumer, [topic]):
                return None
            consumer.assign([place])
            starts, ends = await consumer.beginning_offsets([place]), await consumer.end_offsets([place])
            if not starts[place] <= offset < ends[place]:
                return None
            async with aclosing(records(consumer, {place: offset}, {place: offset + 1})) as found:
                async for record in found:
                    return Peeked.of(record, max_value_bytes)
    return None


class Tail:
    """Records as they arrive; if they are not taken in time, the oldest are left out and counted.

    While Kafka is away nothing arrives; reading continues by itself where it was.
    """

    def __init__(self, max_queue: int) -> None:
        self.dropped = 0
        self.positions: dict[tuple[str, int], int] = {}
        self._queue: deque[Peeked] = deque()
        self._max_queue = max_queue
        self._news = asyncio.Event()
        self._failure: BaseException | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Peeked:
        while not self._queue:
            if self._failure is not None:
                raise Retryable(f"the topic is not read any more: {self._failure}") from self._failure
            self._news.clear()
            await self._news.wait()
        record = self._queue.popleft()
        self.positions[record.topic, record.partition] = record.offset + 1
        return record

    async def _read(self, consumer: AIOKafkaConsumer, max_value_bytes: int) -> None:
        try:
            while True:
                fetched = await consumer.getmany(timeout_ms=_TAIL_WAIT_MS, max_records=_TAIL_RECORDS)
                for record in (record for found in fetched.values() for record in found):
                    if len(self._queue) >= self._max_queue:
                        self._queue.popleft()
                        self.dropped += 1
                    self._queue.append(Peeked.of(record, max_value_bytes))
                if fetched:
                    self._news.set()
                    await asyncio.sleep(0)
        except Exception as error:  # noqa: BLE001 -- it goes to whoever reads the tail
            self._failure = error
            self._news.set()


@asynccontextmanager
async def tail(
    settings: EngineSettings,
    topics: Collection[str],
    *,
    max_queue: int = 256,
    max_value_bytes: int = 64 << 10,
    start: Mapping[tuple[str, int], int] | None = None,
    timeout_seconds: float = 10.0,
) -> AsyncIterator[Tail]:
    """Yield the records that arrive from now on, or from ``start`` on, which is a `Tail`'s ``positions``.

    Raises `Retryable` where Kafka is away or a topic does not exist.
    """
    stream = Tail(max_queue)
    async with groupless(settings, _CLIENT, max_wait_ms=_TAIL_WAIT_MS) as consumer:
        with translated(f"read {', '.join(sorted(topics))}"):
            async with asyncio.timeout(timeout_seconds):
                partitions = await _existing(consumer, topics)
                consumer.assign(partitions)
                starts = await consumer.beginning_offsets(partitions)
                ends = await consumer.end_offsets(partitions)
        for item in partitions:
            wanted = (start or {}).get((item.topic, item.partition), ends[item])
            at = min(max(wanted, starts[item]), ends[item])
            consumer.seek(item, at)
            stream.positions[item.topic, item.partition] = at
        reading = asyncio.create_task(stream._read(consumer, max_value_bytes))  # noqa: SLF001 -- its other half
        try:
            yield stream
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


async def _existing(consumer: AIOKafkaConsumer, topics: Collection[str]) -> list[TopicPartition]:
    partitions = await partitions_of(consumer, topics)
    if missing := sorted(set(topics) - {item.topic for item in partitions}):
        raise Retryable(f"cannot read {missing[0]}: the topic does not exist")
    return partitions


async def _newest(
    consumer: AIOKafkaConsumer, place: TopicPartition, start: int, end: int, last: int, max_bytes: int
) -> list[Record]:
    """The last records of a partition: fewer where they are large, since Kafka is read forward only."""
    count = min(last, end - start)
    while count > 0:
        found, is_whole = await _some(consumer, place, end - count, end, count, max_bytes)
        if is_whole or count == 1:
            return found
        count //= 4
        count = max(count, 1)
    return []


async def _some(
    consumer: AIOKafkaConsumer, place: TopicPartition, begin: int, end: int, limit: int, max_bytes: int
) -> tuple[list[Record], bool]:
    """Records of a partition from ``begin`` on, and whether the bytes sufficed for all that were asked for."""
    found: list[Record] = []
    consumer.assign([place])
    async with aclosing(records(consumer, {place: begin}, {place: end})) as every:
        async for record in every:
            max_bytes -= len(record.key or b"") + len(record.value or b"")
            if found and max_bytes < 0:
                return found, False
            found.append(record)
            if len(found) >= limit:
                break
    return found, True


def _age(record: Record) -> tuple[int, int, int]:
    return record.timestamp, record.partition, record.offset


def _cut(found: list[Record], max_bytes: int) -> list[Peeked]:
    return [Peeked.of(record, max_bytes) for record in found]
