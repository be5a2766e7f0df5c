"""How a message may end, and when too many have ended as dead letters."""

from collections import Counter
from typing import Final

from pydantic import ValidationError

from headrace.bus.delivery import Ending
from headrace.runtime.errors import Poison, Retryable

PROCESSED: Final = "processed"
REJECTED: Final = "rejected"
DEAD_LETTERED: Final = "dead_lettered"
FILTERED: Final = "filtered"


class TooManyDeadLetters(Exception):
    """The allowed number of dead letters in a row is reached; the message is not dead-lettered."""


class InARow:
    """Counts dead letters in a row whose fault may be Headrace's.

    Faults of senders (`Poison`, undecodable records) never count. One organisation alone cannot fill the row:
    its messages count for at most half of it.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._of: Counter[str] = Counter()

    def add(self, organisation: str) -> None:
        """Count one more; a message without an organisation ("") always counts."""
        self._of[organisation] += 1

    def clear(self) -> None:
        """A message ended otherwise: start again at zero."""
        self._of.clear()

    @property
    def full(self) -> bool:
        """Whether the number means that something is wrong in Headrace."""
        if not self._of:
            return False
        half = self._limit // 2
        counted = (count if not name else min(count, half) for name, count in self._of.items())
        return sum(counted) >= self._limit


def dead(error: Exception, *, ours: bool = False) -> Ending:
    """Return the ending as a dead letter; ``ours`` says whether the fault may be Headrace's."""
    return Ending(DEAD_LETTERED, text_of(error), type(error).__name__, ours)


def text_of(error: Exception) -> str:
    """Return the text for a person, with the class name if the text alone is not clear."""
    text = str(error)
    if isinstance(error, (Retryable, Poison)) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def validation_text(error: ValidationError) -> str:
    """Return the field and the reason of each fault, without any value."""
    return "; ".join(
        f"{'.'.join(str(part) for part in item['loc']) or 'message'}: {item['msg']}"
        for item in error.errors(include_url=False, include_input=False, include_context=False)
    )
