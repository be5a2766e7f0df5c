"""How far groups are: the offsets of topics and of groups, their lag, and how many messages a second arrive."""

import asyncio
import time
from collections.abc import Collection, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Final, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from headrace.bus.admin import admin_client
from headrace.bus.reading import groupless, partitions_of, translated
from headrace.contracts.message import utc_now
from headrace.runtime.settings import EngineSettings

# New topics and partitions are seen after this long.
_METADATA_SECONDS: Final = 30.0
_NEVER: Final = -1


@dataclass(frozen=True, slots=True)
class Bounds:
    """The first offset of a partition that is still there, and the one that the next record gets."""

    partition: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class TopicOffsets:
    """A topic's bounds."""

    topic: str
    partitions: tuple[Bounds, ...]

    @property
    def end(self) -> int:
        """Return the sum of the ends, which grows with each record."""
        return sum(bounds.end for bounds in self.partitions)

    @property
    def start(self) -> int:
        """Return the sum of the starts, which grows with each record that is deleted."""
        return sum(bounds.start for bounds in self.partitions)

    @property
    def records(self) -> int:
        """Return the number of offsets that are still there; transactions take some without a record."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class GroupPartition:
    """A partition with the offset that a group committed; None: it never did."""

    partition: int
    start: int
    end: int
    committed: int | None

    @property
    def lag(self) -> int:
        """Return how many records the group has not committed; those that are deleted do not wait any more."""
        return max(0, self.end - max(self.committed or 0, self.start))


@dataclass(frozen=True, slots=True)
class GroupOffsets:
    """A group's offsets in one topic."""

    group: str
    topic: str
    partitions: tuple[GroupPartition, ...]

    @property
    def lag(self) -> int:
        """Return the lag of all partitions."""
        return sum(partition.lag for partition in self.partitions)

    @property
    def committed(self) -> bool:
        """Return whether the group ever committed an offset of the topic."""
        return any(partition.committed is not None for partition in self.partitions)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The offsets at one moment; a topic that does not exist is missing."""

    taken_at: datetime
    monotonic: float
    topics: dict[str, TopicOffsets]
    groups: dict[tuple[str, str], GroupOffsets]


def rates(before: Snapshot, now: Snapshot) -> dict[str, float]:
    """Return the messages a second of each topic; one that is new or began again is missing: nothing is known of it."""
    seconds = now.monotonic - before.monotonic
    if seconds <= 0:
        return {}
    grown = {
        topic: offsets.end - before.topics[topic].end
        for topic, offsets in now.topics.items()
        if topic in before.topics
    }
    return {topic: records / seconds for topic, records in grown.items() if records >= 0}


class OffsetReader:
    """One connection for all questions about offsets; ``async with`` opens and closes it.

    Opening waits for Kafka, as reading does: both raise `Retryable` where it is away.
    """

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._stack = AsyncExitStack()
        self._consumer: AIOKafkaConsumer
        self._admin: AIOKafkaAdminClient
        self._partitions: list[TopicPartition] = []
        self._of: frozenset[str] = frozenset()
        self._partitions_until = 0.0
        self._coordinators: dict[str, int] = {}

    async def __aenter__(self) -> Self:
        try:
            with translated("read offsets"):
                self._admin = await self._stack.enter_async_context(admin_client(self._settings))
                self._consumer = await self._stack.enter_async_context(
                    groupless(self._settings, "headrace-offsets")
                )
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def read(
        self,
        *,
        groups: Iterable[tuple[str, str]] = (),
        topics: Iterable[str] = (),
        timeout_seconds: float = 5.0,
    ) -> Snapshot:
        """Return the offsets of groups, each with a topic, and of these and further topics."""
        groups = list(dict.fromkeys(groups))
        names = frozenset(topics) | {topic for _, topic in groups}
        with translated("read offsets"):
            try:
                async with asyncio.timeout(timeout_seconds):
                    partitions = await self._known(names)
                    starts = await self._consumer.beginning_offsets(partitions)
                    ends = await self._consumer.end_offsets(partitions)
                    committed = {
                        group: await self._committed(group, [item for item in partitions if item.topic in of])
                        for group, of in _topics_of(groups).items()
                    }
            except (TimeoutError, KafkaError):
                # Whoever answered is perhaps no one's coordinator any more.
                self._coordinators.clear()
                self._partitions_until = 0.0
                raise
        found = {
            topic: TopicOffsets(
                topic,
                tuple(
                    Bounds(item.partition, starts[item], ends[item])
                    for item in partitions
                    if item.topic == topic
                ),
            )
            for topic in sorted({item.topic for item in partitions})
        }
        return Snapshot(
            utc_now(),
            time.monotonic(),
            found,
            {
                (group, topic): _of_group(group, found[topic], committed[group])
                for group, topic in groups
                if topic in found
            },
        )

    async def _known(self, topics: frozenset[str]) -> list[TopicPartition]:
        if topics != self._of or time.monotonic() >= self._partitions_until:
            self._partitions = await partitions_of(self._consumer, topics)
            self._of, self._partitions_until = topics, time.monotonic() + _METADATA_SECONDS
        return self._partitions

    async def _committed(
        self, group: str, partitions: Collection[TopicPartition]
    ) -> dict[TopicPartition, int]:
        if not partitions:
            return {}
        if group not in self._coordinators:
            self._coordinators[group] = await self._admin.find_coordinator(group)
        found = await self._admin.list_consumer_group_offsets(
            group, self._coordinators[group], list(partitions)
        )
        return {partition: item.offset for partition, item in found.items() if item.offset != _NEVER}


def _topics_of(groups: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for group, topic in groups:
        found.setdefault(group, set()).add(topic)
    return found


def _of_group(group: str, offsets: TopicOffsets, committed: dict[TopicPartition, int]) -> GroupOffsets:
    return GroupOffsets(
        group,
        offsets.topic,
        tuple(
            GroupPartition(
                bounds.partition,
                bounds.start,
                bounds.end,
                committed.get(TopicPartition(offsets.topic, bounds.partition)),
            )
            for bounds in offsets.partitions
        ),
    )
