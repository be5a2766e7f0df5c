"""All groups of a file: in memory while they fit, else read back from disk in partitions."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from headrace_services.ros_processor.columns import Reduction
from headrace_services.ros_processor.groups import Room, Rows, Sorted
from headrace_services.ros_processor.order import Order
from headrace_services.ros_processor.spill import Spill

# Groups may take this share of the memory; the rest is for further rows.
_GROUPS_SHARE: Final = 0.75
_PARTITION_SHARE: Final = 0.25
# Most files are small, so memory is allocated as needed.
_FIRST_ROWS: Final = 4096


class Partitions:
    """Takes rows in the file's order and yields complete groups in the order of their workloads.

    When groups no longer fit they go to disk, and so do all later rows, because the numbers of a group must be added in
    the file's order.
    """

    def __init__(self, reductions: Sequence[Reduction], order: Callable[[], Order], max_bytes: int) -> None:
        """``order`` returns the order of all rows so far."""
        self._reductions = reductions
        self._order = order
        self._capacity = max(4, max_bytes // (8 * (len(reductions) + 2)))
        self._room = Room(reductions, min(self._capacity, _FIRST_ROWS))
        self._spill: Spill | None = None

    @property
    def spilled(self) -> bool:
        """Whether rows are on disk."""
        return self._spill is not None

    def add(self, rows: Rows) -> None:
        """Add rows; write them to disk if they do not fit."""
        taken = 0
        while taken < len(rows):
            taken += self._room.add(rows.take(slice(taken, None)))
            if self._room.full:
                self._make_room()

    def finish(self) -> None:
        """End the input."""
        if self._spill is None:
            self._room.fold()
            return
        self._spill.write(self._room.rows, self._order())
        self._room = Room(self._reductions, 0)

    def close(self) -> None:
        """Delete the temporary file."""
        if self._spill:
            self._spill.close()

    def __iter__(self) -> Iterator[Sorted]:
        """Yield the groups, a partition at a time, each in the order of `Order.sorted`; may be repeated."""
        order = self._order()
        if self._spill is None:
            yield self._sorted(self._room, order)
            return
        for start, end in self._spill.partitions(order, int(self._capacity * _PARTITION_SHARE)):
            yield self._sorted(self._read(self._spill.read(order, start, end)), order)

    def _sorted(self, room: Room, order: Order) -> Sorted:
        return Sorted(room.rows, order.sorted(room.rows.keys), self._reductions)

    def _make_room(self) -> None:
        if self._room.capacity < self._capacity:
            self._room.grow(self._capacity)
            return
        if self._spill is None:
            self._room.fold()
            if len(self._room) <= self._capacity * _GROUPS_SHARE:
                return
            self._spill = Spill()
        self._spill.write(self._room.rows, self._order())
        self._room.clear()

    def _read(self, pieces: Iterator[Rows]) -> Room:
        capacity = max(4, int(self._capacity * _PARTITION_SHARE * 2))
        room = Room(self._reductions, capacity)
        for rows in pieces:
            taken = 0
            while taken < len(rows):
                taken += room.add(rows.take(slice(taken, None)))
                if room.full:
                    room.fold()
                    if room.full:
                        room.grow(2 * room.capacity)
        room.fold()
        return room
