"""The messages of one assigned partition: order per key, turns by organisation, the committable offset. No I/O."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from contextvars import copy_context
from datetime import datetime
from typing import Any, Final

from aiokafka import TopicPartition

from headrace.bus.delivery import Work
from headrace.bus.ledger import Ledger
from headrace.bus.tracker import OffsetTracker

# Deep enough that one organisation's flood does not hide the others' messages behind it.
HIGH_RECORDS: Final = 2048
LOW_RECORDS: Final = 1024
HIGH_BYTES: Final = 8 * 1024 * 1024
LOW_BYTES: Final = 4 * 1024 * 1024
# The messages of so many organisations waiting for an engine mean that it is away, not that theirs are at fault.
HOLDING_ORGANISATIONS: Final = 3

Allowed = Callable[[str], bool]


class Turns:
    """Messages that could start; organisations take turns, and messages of one organisation keep their order."""

    def __init__(self) -> None:
        self._queues: OrderedDict[str, deque[Work[Any]]] = OrderedDict()

    def add(self, work: Work[Any]) -> None:
        """Append behind the messages of its organisation."""
        queue = self._queues.get(work.organisation)
        if queue is None:
            self._queues[work.organisation] = deque((work,))
        else:
            queue.append(work)

    def next(self, allowed: Allowed) -> Work[Any] | None:
        """Return the next message among the organisations that may run one; None if there is none."""
        if not self._queues:
            return None
        for organisation, queue in self._queues.items():
            if allowed(organisation):
                work = queue.popleft()
                if queue:
                    self._queues.move_to_end(organisation)
                else:
                    del self._queues[organisation]
                return work
        return None

    def clear(self) -> None:
        """Forget all."""
        self._queues.clear()


class Partition:
    """The messages in hand, in lanes: one lane per key, one message of a lane at a time, lanes in parallel."""

    def __init__(self, topic_partition: TopicPartition) -> None:
        self.topic_partition = topic_partition
        # What its messages' tasks begin with: the names that their logs carry are bound once.
        self.context = copy_context()
        self.tracker = OffsetTracker()
        self.running: dict[Work[Any], asyncio.Task[None]] = {}
        self.parked: dict[Work[Any], asyncio.TimerHandle] = {}
        # Messages whose engine is away, with the reason and since when.
        self.held: dict[Work[Any], tuple[str, datetime]] = {}
        self.committed: int | None = None
        # Nothing starts before it is on record that the partition is open; what was, beside the offset.
        self.unopened = False
        self.ledger: Ledger | None = None
        self.written = ""
        # They run alone: what killed a process may do so again.
        self.suspects: deque[Work[Any]] = deque()
        self.closed = False
        self.count = 0
        self.bytes = 0
        self._lanes: dict[str, deque[Work[Any]]] = {}
        self._ready = Turns()
        self._due = Turns()
        # Whose retry was started last, until its turn is made up for.
        self._retried: str | None = None
        self.full = False

    def take(self, work: Work[Any]) -> None:
        """Add a record; it is ready if no earlier one of its key is unfinished."""
        self.tracker.take(work.record.offset)
        self._count(1, work.size_bytes)
        if work.lane is None:
            self._ready.add(work)
        elif (lane := self._lanes.get(work.lane)) is None:
            self._lanes[work.lane] = deque()
            self._ready.add(work)
        else:
            lane.append(work)

    def next(self, allowed: Allowed = lambda _organisation: True) -> Work[Any] | None:
        """Return the next message of the permitted organisations: a retry that is due, else a new one.

        After a retry, a new message of another organisation goes first, so that failing messages take at most
        half of the turns.
        """
        if self.closed or self.unopened:
            return None
        work = self._next(allowed)
        if self.ledger is not None and self.ledger.suspects_any:
            while work is not None and self.ledger.ends(work.record.offset):
                self.suspects.append(work)
                work = self._next(allowed)
        return work

    def _next(self, allowed: Allowed) -> Work[Any] | None:
        retried, self._retried = self._retried, None
        if retried is not None:
            work = self._fresh(lambda organisation: organisation != retried and allowed(organisation))
            if work is not None:
                return work
        work = self._due.next(allowed)
        if work is None:
            return self._fresh(allowed)
        self._retried = work.organisation
        return work

    def open(self, ledger: Ledger) -> None:
        """Note that the start of the partition is recorded."""
        self.ledger, self.unopened = ledger, False

    def _fresh(self, allowed: Allowed) -> Work[Any] | None:
        if not self.held:
            return self._ready.next(allowed)
        if self.stopped:
            return None
        holding = self._holding
        return self._ready.next(lambda organisation: organisation not in holding and allowed(organisation))

    @property
    def _holding(self) -> set[str]:
        return {work.organisation for work in self.held}

    @property
    def stopped(self) -> bool:
        """Whether held messages stop everything: an engine is away, or the organisation of a held message is unknown.

        Held messages of one or two organisations stop only messages of the same organisations.
        """
        holding = self._holding
        return "" in holding or len(holding) >= HOLDING_ORGANISATIONS

    def due(self, work: Work[Any]) -> None:
        """Note that a parked message's delay is over."""
        self.parked.pop(work, None)
        self._due.add(work)

    def finish(self, work: Work[Any]) -> None:
        """End a message: the next one of its key becomes ready."""
        self.tracker.finish(work.record.offset)
        self.held.pop(work, None)
        if self.ledger is not None:
            self.ledger.ended(work.record.offset)
        self._count(-1, -work.size_bytes)
        if work.lane is None or self.closed:
            return
        lane = self._lanes[work.lane]
        if lane:
            self._ready.add(lane.popleft())
        else:
            del self._lanes[work.lane]

    def close(self) -> None:
        """Start nothing more; messages that do not run are returned by not being committed."""
        self.closed = True
        for timer in self.parked.values():
            timer.cancel()
        self.parked.clear()
        self.held.clear()
        self._lanes.clear()
        self._ready.clear()
        self._due.clear()
        self.suspects.clear()

    def _count(self, records: int, size_bytes: int) -> None:
        """Update the counters; there is a gap between full and not full, so that fetches stay large."""
        self.count += records
        self.bytes += size_bytes
        if self.full:
            self.full = self.count > LOW_RECORDS or self.bytes > LOW_BYTES
        else:
            self.full = self.count >= HIGH_RECORDS or self.bytes >= HIGH_BYTES

    @property
    def wants_more(self) -> bool:
        """Whether to fetch more."""
        return not (self.full or self.stopped or self.closed)
