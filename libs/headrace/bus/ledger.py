"""Which deliveries ended with their process: kept with the committed offset, as its metadata. Pure.

A handler may kill its process, or block it until the group puts it out; its message then comes again, for ever, and
what counts attempts is gone with the process. So a partition is marked as open from its first start to an orderly
end. Who finds it open is careful: what he starts, he first writes down. What was written down and never crossed out
was being handled when a process ended: it is a suspect, runs alone, and after so many ends is not handled again.
An ordinary delivery writes nothing.
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
    """One partition's, for as long as it is ours."""

    def __init__(self, metadata: str = "", *, absolved: frozenset[int] = frozenset()) -> None:
        """``metadata`` is what the owner before left; ``absolved`` are offsets with no part in its end."""
        was_open, ends = _read(metadata)
        self._ends = {offset: count - (offset in absolved) for offset, count in ends.items()}
        self._running: set[int] = set()
        self._careful = CAREFUL_STARTS if was_open else 0

    def ends(self, offset: int) -> int:
        """How many processes ended while this message was being handled."""
        return self._ends.get(offset, 0)

    @property
    def suspects_any(self) -> bool:
        """Whether any message is a suspect."""
        return bool(self._ends)

    def watches(self, offset: int) -> bool:
        """Whether this start is to be written down first."""
        return self._careful > 0 or self.ends(offset) > 0

    @contextmanager
    def starting(self, offset: int) -> Iterator[None]:
        """Written down while the block lasts."""
        self._careful = max(0, self._careful - 1)
        self._running.add(offset)
        try:
            yield
        finally:
            self._running.discard(offset)

    def ended(self, offset: int) -> None:
        """It ended on record: whatever its past, it is no suspect any more."""
        self._ends.pop(offset, None)

    @property
    def running(self) -> frozenset[int]:
        """What is written down as being handled."""
        return frozenset(self._running)

    def metadata(self, committed: int, *, closing: bool = False) -> str:
        """To commit with that offset; ``closing`` is the orderly end."""
        ends = {offset: count for offset, count in self._ends.items() if count > 0 and offset >= committed}
        if not closing:
            ends |= {offset: self.ends(offset) + 1 for offset in self._running}
        elif not ends:
            return ""
        worst = sorted(ends.items(), key=lambda entry: (-entry[1], entry[0]))[:_MAX_ENTRIES]
        told = {_OPEN: not closing, _ENDS: {str(offset): count for offset, count in sorted(worst)}}
        return orjson.dumps(told).decode()


def _read(metadata: str) -> tuple[bool, dict[int, int]]:
    """Whether it was left open, and the suspects; of metadata that is none of ours nothing."""
    try:
        told = orjson.loads(metadata or "{}")
        ends = {int(offset): int(count) for offset, count in told.get(_ENDS, {}).items()}
        return bool(told.get(_OPEN, False)), ends
    except (ValueError, TypeError, AttributeError):
        return False, {}
