"""Determines which offset may be committed. No I/O, so that it can be checked against a model."""

from collections import deque


class LogTruncated(Exception):
    """The partition went back: its log lost its end, or is a different one."""


class OffsetTracker:
    """The messages of one partition between taken and finished.

    Invariant: every message below `committable` that was taken is finished. Offsets may have gaps
    (compaction, transaction markers), so the next offset is known only from taken messages.
    """

    def __init__(self) -> None:
        self._open: deque[int] = deque()
        self._finished: set[int] = set()
        self._next: int | None = None

    def take(self, offset: int) -> None:
        """Add a message; offsets come in rising order.

        Raises `LogTruncated` if they do not.
        """
        if self._next is not None and offset < self._next:
            raise LogTruncated(f"offset {offset} came after {self._next - 1}")
        self._open.append(offset)
        self._next = offset + 1

    def finish(self, offset: int) -> None:
        """Mark a taken message as finished, because its effects are durable; in any order, once each."""
        self._finished.add(offset)
        while self._open and self._open[0] in self._finished:
            self._finished.remove(self._open.popleft())

    def skip_to(self, position: int) -> None:
        """Skip to ``position``, below which nothing needs to be handled; ignored unless idle."""
        if not self._open:
            self._next = max(position, self._next or 0)

    @property
    def idle(self) -> bool:
        """Whether everything taken is finished."""
        return not self._open

    @property
    def committable(self) -> int | None:
        """The offset to resume from: everything below is finished; None before anything was taken."""
        return self._open[0] if self._open else self._next
