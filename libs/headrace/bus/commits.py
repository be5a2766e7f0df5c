"""Commits offsets to the broker, with the partitions' ledgers as their metadata."""

import asyncio
from collections.abc import Iterable
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from aiokafka.structs import OffsetAndMetadata

from headrace.bus.ledger import Ledger
from headrace.bus.partition import Partition
from headrace.runtime import faultpoints
from headrace.runtime.errors import Retryable
from headrace.runtime.logging import get_logger

_log: Final = get_logger(__name__)

_DEADLINE_SECONDS: Final = 5.0


class Commits:
    """The commits of one membership of a group."""

    def __init__(self, client: AIOKafkaConsumer, *, service: str, topic: str) -> None:
        self._client = client
        self._service = service
        self._topic = topic
        self._one_at_a_time = asyncio.Lock()

    @property
    def lost(self) -> bool:
        """Return whether the group removed this member, which then must not commit.

        The check is needed because a broker accepts a commit without membership if the group is empty. After
        the loss of the broker's disk such a commit would skip the new records of a topic that started again.
        """
        coordinator: Any = self._client._coordinator  # noqa: SLF001 -- aiokafka tells a loss from a revocation only so
        return coordinator is None or coordinator.generation < 0

    async def open(self, partitions: Iterable[Partition], absolved: dict[int, frozenset[int]]) -> bool:
        """Read what the previous owners left, and mark the partitions as open before any of their messages starts.

        ``absolved`` are offsets by partition, as in `Ledger`. While the group is about to rebalance,
        partitions remain closed. Returns whether any was opened. Raises ``KafkaError`` if the broker does not
        answer.
        """
        found = {
            partition.topic_partition: partition
            for partition in partitions
            if partition.unopened and partition.tracker.committable is not None
        }
        if not found or self.lost:
            return False
        coordinator: Any = self._client._coordinator  # noqa: SLF001 -- the public way leaves the metadata out
        try:
            async with asyncio.timeout(_DEADLINE_SECONDS):
                known = await coordinator.fetch_committed_offsets(list(found))
                ledgers = {
                    at: Ledger(
                        known[at].metadata if at in known else "",
                        absolved=absolved.pop(at.partition, frozenset()),
                    )
                    for at in found
                }
                offsets = {at: partition.tracker.committable or 0 for at, partition in found.items()}
                await self._put({at: (offsets[at], ledgers[at].metadata(offsets[at])) for at in found})
        except (CommitFailedError, IllegalStateError):
            return False
        except TimeoutError:
            raise KafkaError(f"{self._topic}: the group's coordinator does not answer") from None
        for at, partition in found.items():
            partition.committed, partition.written = offsets[at], ledgers[at].metadata(offsets[at])
            partition.open(ledgers[at])
        return True

    async def commit(self, partitions: Iterable[Partition], *, closing: bool = False) -> bool:
        """Commit what has ended and what runs; return whether the broker has it now.

        ``closing``: nothing runs any more, and everything ended in order.
        """
        async with self._one_at_a_time:
            owed = {
                partition: entry
                for partition in partitions
                if (entry := _owed(partition, closing=closing)) is not None
            }
            if not owed:
                return True
            if self.lost:
                return False
            try:
                async with asyncio.timeout(_DEADLINE_SECONDS):
                    if faultpoints.armed is not None:
                        await faultpoints.armed.reach("before_commit", KafkaError)
                    await self._put({partition.topic_partition: entry for partition, entry in owed.items()})
            except (CommitFailedError, IllegalStateError):
                # Somebody else owns the partitions by now and will see these messages again.
                _log.info("commit refused", service=self._service, topic=self._topic)
                return False
            except (KafkaError, TimeoutError) as error:
                _log.warning("commit failed", service=self._service, topic=self._topic, reason=repr(error))
                return False
            for partition, (offset, metadata) in owed.items():
                partition.committed, partition.written = offset, metadata
                if closing:
                    partition.ledger = None
            return True

    async def note(self, partition: Partition) -> None:
        """Return when the broker has the partition's ledger; callers that wait at the same time share a commit.

        Raises `Retryable` if the commit is not possible now.
        """
        if not await self.commit([partition]):
            raise Retryable("the broker does not record what is about to start")

    async def _put(self, entries: dict[TopicPartition, tuple[int, str]]) -> None:
        await self._client.commit({at: OffsetAndMetadata(*entry) for at, entry in entries.items()})


def _owed(partition: Partition, *, closing: bool = False) -> tuple[int, str] | None:
    """Return offset and metadata, if the broker has other values."""
    offset = partition.tracker.committable
    # What the owner before left beside the offset is read first.
    if offset is None or partition.unopened:
        return None
    metadata = partition.written
    if partition.ledger is not None:
        metadata = partition.ledger.metadata(offset, closing=closing)
    return None if (offset, metadata) == (partition.committed, partition.written) else (offset, metadata)
