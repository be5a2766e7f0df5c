"""Records which messages were being handled when their process ended, in the metadata of the committed offset. No I/O.

A handler may kill its process, or block it until the group removes it; then its message is delivered again,
for ever, because the count of attempts ends with the process. Therefore a partition is marked as open from
its first start to an orderly end. A consumer that finds a partition open records each start before it makes
it. A message that was recorded and not cleared was being handled when a process ended: it is a suspect, runs
alone, and is not handled again after too many such ends. An ordinary delivery writes nothing.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import orjson

_OPEN: Final = "open"
_ENDS: Final = "ends"
# Enough for what a process started since its last commit. Where it was more, each careful start commits what has ended
# before it, so that the next owner begins nearer to what ended the last one.
CAREFUL_STARTS: Final = 2048
# The broker's bound of 4 KiB holds so many.
_MAX_ENTRIES: Final = 120


class Ledger:
    """The ledger of one partition, while this member owns it."""

    def __init__(self, metadata: str = "", *, absolved: frozenset[int] = frozenset()) -> None:
        """``metadata`` was left by the previous owner; ``absolved`` are offsets that did not cause its end."""
        was_open, ends = _read(metadata)
        self._ends = {offset: count - (offset in absolved) for offset, count in ends.items()}
        self._running: set[int] = set()
        self._careful = CAREFUL_STARTS if was_open else 0

    def ends(self, offset: int) -> int:
        """Return how many processes ended while this message was being handled."""
        return self._ends.get(offset, 0)

    @property
    def suspects_any(self) -> bool:
        """Whether any message is a suspect."""
        return bool(self._ends)

    def watches(self, offset: int) -> bool:
        """Return whether this start must be recorded first."""
        return self._careful > 0 or self.ends(offset) > 0

    @contextmanager
    def starting(self, offset: int) -> Iterator[None]:
        """Record a start for the duration of the block."""
        self._careful = max(0, self._careful - 1)
        self._running.add(offset)
        try:
            yield
        finally:
            self._running.discard(offset)

    def ended(self, offset: int) -> None:
        """Clear a message that ended on record: it is no longer a suspect."""
        self._ends.pop(offset, None)

    @property
    def running(self) -> frozenset[int]:
        """The messages that are recorded as being handled."""
        return frozenset(self._running)

    def metadata(self, committed: int, *, closing: bool = False) -> str:
        """Return the metadata to commit with that offset; ``closing`` marks an orderly end."""
        ends = {offset: count for offset, count in self._ends.items() if count > 0 and offset >= committed}
        if not closing:
            ends |= {offset: self.ends(offset) + 1 for offset in self._running}
        elif not ends:
            return ""
        worst = sorted(ends.items(), key=lambda entry: (-entry[1], entry[0]))[:_MAX_ENTRIES]
        told = {_OPEN: not closing, _ENDS: {str(offset): count for offset, count in sorted(worst)}}
        return orjson.dumps(told).decode()


def _read(metadata: str) -> tuple[bool, dict[int, int]]:
    """Return whether the partition was left open, and its suspects; nothing if the metadata is not ours."""
    try:
        told = orjson.loads(metadata or "{}")
        ends = {int(offset): int(count) for offset, count in told.get(_ENDS, {}).items()}
        return bool(told.get(_OPEN, False)), ends
    except (ValueError, TypeError, AttributeError):
        return False, {}
