"""What one assigned partition has in hand: order per key, waiting retries, what may be committed. No I/O."""

import asyncio
from collections import deque
from datetime import datetime
from typing import Any, Final

from aiokafka import TopicPartition

from headrace.bus.delivery import Work
from headrace.bus.tracker import OffsetTracker

# Enough to keep every handler busy between two polls, little enough to hand back on a rebalance.
HIGH_RECORDS: Final = 512
LOW_RECORDS: Final = 256
HIGH_BYTES: Final = 8 * 1024 * 1024
LOW_BYTES: Final = 4 * 1024 * 1024


class Partition:
    """Taken messages in lanes: one lane a key, one message of a lane at a time, lanes side by side."""

    def __init__(self, topic_partition: TopicPartition) -> None:
        self.topic_partition = topic_partition
        self.tracker = OffsetTracker()
        self.running: dict[Work[Any], asyncio.Task[None]] = {}
        self.parked: dict[Work[Any], asyncio.TimerHandle] = {}
        # Messages whose engine is away, with the reason and since when.
        self.held: dict[Work[Any], tuple[str, datetime]] = {}
        self.committed: int | None = None
        self.closed = False
        self.count = 0
        self.bytes = 0
        self._lanes: dict[str, deque[Work[Any]]] = {}
        self._ready: deque[Work[Any]] = deque()
        self._due: deque[Work[Any]] = deque()
        self.full = False

    def take(self, work: Work[Any]) -> None:
        """A record enters; it is ready when no earlier one of its key is unfinished."""
        self.tracker.take(work.record.offset)
        self._count(1, work.size_bytes)
        if work.lane is None:
            self._ready.append(work)
        elif (lane := self._lanes.get(work.lane)) is None:
            self._lanes[work.lane] = deque()
            self._ready.append(work)
        else:
            lane.append(work)

    def next(self) -> Work[Any] | None:
        """The next message to run: a retry that is due, else a fresh one unless the partition is held."""
        if self.closed:
            return None
        if self._due:
            return self._due.popleft()
        return self._ready.popleft() if self._ready and not self.held else None

    def due(self, work: Work[Any]) -> None:
        """A parked message's delay is over."""
        self.parked.pop(work, None)
        self._due.append(work)

    def finish(self, work: Work[Any]) -> None:
        """A message ended: the next of its key becomes ready."""
        self.tracker.finish(work.record.offset)
        self.held.pop(work, None)
        self._count(-1, -work.size_bytes)
        if work.lane is None or self.closed:
            return
        lane = self._lanes[work.lane]
        if lane:
            self._ready.append(lane.popleft())
        else:
            del self._lanes[work.lane]

    def close(self) -> None:
        """Start nothing more; what is not running is handed back by never being committed."""
        self.closed = True
        for timer in self.parked.values():
            timer.cancel()
        self.parked.clear()
        self.held.clear()
        self._lanes.clear()
        self._ready.clear()
        self._due.clear()

    def _count(self, records: int, size_bytes: int) -> None:
        """Keep the books; between full and not full lies a gap, so that fetches stay large."""
        self.count += records
        self.bytes += size_bytes
        if self.full:
            self.full = self.count > LOW_RECORDS or self.bytes > LOW_BYTES
        else:
            self.full = self.count >= HIGH_RECORDS or self.bytes >= HIGH_BYTES

    @property
    def wants_more(self) -> bool:
        """Whether to fetch on."""
        return not (self.full or self.held or self.closed)
