"""Runs the messages that partitions have ready: bounded concurrency, partitions and organisations in turn."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from contextvars import copy_context
from typing import Any, Final, Generic, TypeVar

import structlog
from aiokafka import TopicPartition

from headrace.bus.delivery import Ending, Later, Work
from headrace.bus.endings import DEAD_LETTERED, TooManyDeadLetters
from headrace.bus.ledger import Ledger
from headrace.bus.partition import Partition
from headrace.bus.processing import Processor
from headrace.bus.records import Record
from headrace.contracts.message import Message, rfc3339, utc_now
from headrace.runtime import metrics
from headrace.runtime.errors import Retryable
from headrace.runtime.logging import get_logger

M = TypeVar("M", bound=Message)

Note = Callable[[Partition], Awaitable[None]]

_log: Final = get_logger(__name__)

# A handler that is cancelled has this long to let go; it may finish later, but nothing waits for it.
_CANCEL_SECONDS: Final = 5.0
_NOTE_AGAIN_SECONDS: Final = 1.0
# Beside the handlers that any organisation may take up, a quarter more for those that have few.
_RESERVE_SHARE: Final = 4


class Turnstile:
    """Lets one suspect of the whole process run at a time, so that no suspect counts for what another one does."""

    def __init__(self) -> None:
        self._inside: Dispatcher[Any] | None = None
        self._waiting: set[Dispatcher[Any]] = set()

    def enter(self, dispatcher: "Dispatcher[Any]") -> bool:
        """Return whether a suspect may run; if not, it is notified when to ask again."""
        if self._inside is None:
            self._inside = dispatcher
            self._waiting.discard(dispatcher)
            return True
        self._waiting.add(dispatcher)
        return False

    @property
    def free(self) -> bool:
        """Whether no suspect runs."""
        return self._inside is None

    def leave(self, dispatcher: "Dispatcher[Any]") -> None:
        """Release: the suspect has ended, or nothing more may start."""
        self._waiting.discard(dispatcher)
        if self._inside is dispatcher:
            self._inside = None
            waiting, self._waiting = self._waiting, set()
            for another in waiting:
                another.fill()


_SUSPECTS: Final = Turnstile()


class Dispatcher(Generic[M]):
    """The assigned partitions and the handlers that run for them."""

    def __init__(
        self,
        processor: Processor[M],
        *,
        service: str,
        topic: str,
        concurrency: int,
        dead_letters_in_a_row: int,
        process_ends: int,
        note: Note,
    ) -> None:
        """``note`` returns when the start of a partition's message is recorded; raises `Retryable`."""
        self._processor = processor
        self._process_ends = process_ends
        self._note = note
        self._alone: Work[M] | None = None
        self._suspected = False
        self._concurrency = concurrency
        self._dead_letters_in_a_row = dead_letters_in_a_row
        self._reserve = concurrency // _RESERVE_SHARE
        self._running = 0
        self._running_of: dict[str, int] = {}
        self._turn: deque[Partition] = deque()
        # A task begins with this, not with what the task that made room for it had bound to its logs.
        self._context = copy_context()
        self._context.run(structlog.contextvars.bind_contextvars, service=service, topic=topic)
        self._held_metric = metrics.HELD_PARTITIONS.labels(service, topic)
        self.partitions: dict[TopicPartition, Partition] = {}
        self.halted: str | None = None
        self.failure: Exception | None = None
        self.failed = asyncio.Event()
        # Set when a partition may want more than at the last poll.
        self.room = asyncio.Event()

    def assign(self, topic_partitions: Iterable[TopicPartition]) -> None:
        """Take over partitions."""
        for topic_partition in topic_partitions:
            partition = Partition(topic_partition)
            partition.unopened = True
            partition.context = self._context.copy()
            partition.context.run(structlog.contextvars.bind_contextvars, partition=topic_partition.partition)
            self.partitions[topic_partition] = partition
            self._turn.append(partition)
        self.room.set()

    def submit(self, topic_partition: TopicPartition, records: Iterable[Record]) -> None:
        """Accept fetched records."""
        # What comes for a partition on its way out will be fetched again by its next owner.
        partition = self.partitions.get(topic_partition)
        if partition is None or partition.closed:
            return
        for record in records:
            if self._processor.filtered(record):
                partition.tracker.take(record.offset)
                partition.tracker.finish(record.offset)
            else:
                partition.take(self._processor.take(record))

    def fill(self, *, reserve: bool = True) -> None:
        """Start handlers while there is room and work, a message from each partition in turn.

        If one organisation's slow messages occupy all handlers, the ``reserve`` remains for the others; it is
        checked when a message of the partition arrives, becomes due, or ends.
        """
        idle = 0
        while self.halted is None and not self._suspects_first() and idle < len(self._turn):
            if self._running >= self._concurrency + self._reserve:
                return
            full = self._running >= self._concurrency
            if full and not reserve:
                return
            partition = self._turn[0]
            self._turn.rotate(-1)
            work = partition.next(self._has_few) if full else partition.next()
            self._suspected = self._suspected or bool(partition.suspects)
            if work is None:
                idle += 1
                continue
            idle = 0
            self._start(partition, work)

    def _start(self, partition: Partition, work: Work[M]) -> None:
        self._running += 1
        self._running_of[work.organisation] = self._running_of.get(work.organisation, 0) + 1
        partition.running[work] = asyncio.get_running_loop().create_task(
            self._run(partition, work), context=partition.context.copy()
        )

    def _suspects_first(self) -> bool:
        """Start a suspect when nothing else runs; return whether nothing else may start now."""
        if self._alone is not None or not self._suspected:
            return self._alone is not None
        partition = next((one for one in self._turn if one.suspects), None)
        self._suspected = partition is not None
        if partition is None or (self._running and not _SUSPECTS.free):
            return False
        if self._running or not _SUSPECTS.enter(self):
            return self._running > 0
        self._alone = work = partition.suspects.popleft()
        self._judge_suspect(partition, work)
        self._start(partition, work)
        return True

    def _judge_suspect(self, partition: Partition, work: Work[M]) -> None:
        ends = 0 if partition.ledger is None else partition.ledger.ends(work.record.offset)
        if ends >= self._process_ends and work.ending is None:
            reason = f"was being handled when its process ended, {ends} times"
            work.ending = Ending(DEAD_LETTERED, reason, "ProcessEnded")

    def _has_few(self, organisation: str) -> bool:
        return bool(organisation) and self._running_of.get(organisation, 0) < self._reserve

    async def _run(self, partition: Partition, work: Work[M]) -> None:
        delivery = work.delivery
        structlog.contextvars.bind_contextvars(offset=delivery.offset)
        try:
            ledger = partition.ledger
            if ledger is not None and work.ending is None and ledger.watches(delivery.offset):
                later = await self._advance_noted(partition, ledger, work)
            else:
                later = await self._processor.advance(work)
        except TooManyDeadLetters:
            self._halt()
        except Exception as error:  # noqa: BLE001 -- fatal, or a fault of the runtime itself: both end the consumer
            self.failure = self.failure or error
            self.failed.set()
        else:
            if later is None:
                await self._end(partition, work)
            elif not partition.closed:
                self._park(partition, work, later)
        finally:
            self._running -= 1
            left = self._running_of.pop(work.organisation) - 1
            if left:
                self._running_of[work.organisation] = left
            del partition.running[work]
            if self._alone is work:
                self._alone = None
                _SUSPECTS.leave(self)
            self.fill(reserve=self._running >= self._concurrency)

    async def _advance_noted(self, partition: Partition, ledger: Ledger, work: Work[M]) -> Later | None:
        with ledger.starting(work.record.offset):
            try:
                await self._note(partition)
            except Retryable as error:
                return Later(_NOTE_AGAIN_SECONDS, held=str(error))
            return await self._processor.advance(work)

    async def _end(self, partition: Partition, work: Work[M]) -> None:
        suspect = partition.ledger is not None and partition.ledger.ends(work.record.offset) > 0
        self._finish(partition, work)
        if suspect:
            # Before anything else runs, so that what ends the process next is not counted against this one.
            with suppress(Retryable):
                await self._note(partition)

    def _finish(self, partition: Partition, work: Work[M]) -> None:
        was_held = bool(partition.held)
        wanted = partition.wants_more
        partition.finish(work)
        if was_held and not partition.held:
            _log.info("partition released")
            self._measure_held()
        if partition.wants_more and not wanted:
            self.room.set()
        if self._processor.in_a_row.full:
            self._halt()

    def _park(self, partition: Partition, work: Work[M], later: Later) -> None:
        if later.held is not None:
            if not partition.held:
                _log.error("partition held", reason=later.held, organisation=work.organisation)
            _, since = partition.held.get(work, ("", utc_now()))
            partition.held[work] = (later.held, since)
            self._measure_held()
        partition.parked[work] = asyncio.get_running_loop().call_later(
            later.delay_seconds, self._due, partition, work
        )

    def _due(self, partition: Partition, work: Work[Any]) -> None:
        partition.due(work)
        self.fill()

    def _halt(self) -> None:
        if self.halted is None:
            self.halted = (
                f"stopped after {self._dead_letters_in_a_row} dead letters in a row, since {rfc3339(utc_now())}"
                ": look at them, mend what is wrong, restart"
            )
            _log.error("consumer halted", reason=self.halted)

    def close(self) -> None:
        """Start nothing more."""
        if self._alone is None:
            _SUSPECTS.leave(self)
        for partition in self.partitions.values():
            partition.close()

    async def drain(self, partitions: Iterable[Partition], budget_seconds: float) -> None:
        """Start nothing more in these partitions, let running handlers finish within the budget, cancel the rest."""
        partitions = list(partitions)
        for partition in partitions:
            partition.close()
        running = [task for partition in partitions for task in partition.running.values()]
        if running and budget_seconds > 0:
            await asyncio.wait(running, timeout=budget_seconds)
        late = [task for task in running if not task.done()]
        if late:
            _log.warning("handlers cancelled", count=len(late), budget_seconds=budget_seconds)
            for task in late:
                task.cancel()
            await asyncio.wait(late, timeout=_CANCEL_SECONDS)

    def forget(self, partitions: Iterable[Partition]) -> None:
        """Give up partitions."""
        for partition in partitions:
            if self.partitions.get(partition.topic_partition) is partition:
                del self.partitions[partition.topic_partition]
                self._turn.remove(partition)
        self._measure_held()

    def _measure_held(self) -> None:
        self._held_metric.set(sum(1 for partition in self.partitions.values() if partition.held))

    @property
    def problem(self) -> str | None:
        """The reason why work does not continue: the consumer halted, or the oldest hold."""
        if self.halted is not None:
            return self.halted
        holds = [
            (
                since,
                partition.topic_partition.partition,
                "" if partition.stopped else work.organisation,
                reason,
            )
            for partition in self.partitions.values()
            for work, (reason, since) in partition.held.items()
        ]
        if not holds:
            return None
        since, number, organisation, reason = min(holds)
        whose = f" for organisation {organisation!r}" if organisation else ""
        return f"partition {number} held since {rfc3339(since)}{whose}: {reason}"
