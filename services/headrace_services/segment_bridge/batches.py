"""Packs events into batches that Segment accepts: at most 2500 events, 500,000 bytes, 32 KiB an event."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from headrace_services.segment_bridge.dead_letters import Bury

# An event: its keys in the ledger (of the message, and of what is reported once) and its bytes.
Sendable: TypeAlias = tuple[str | bytes, str | bytes, bytes]

MAX_EVENTS: Final = 2500
MAX_BATCH_BYTES: Final = 500_000
MAX_EVENT_BYTES: Final = 32_768
TOO_LARGE: Final = "too large"

_BEGIN: Final = b'{"batch":['
_END: Final = b"]}"
_ENVELOPE_BYTES: Final = len(_BEGIN) + len(_END)


def payload(events: Sequence[Sendable]) -> bytes:
    """Return the body of a batch request; it contains each event's bytes unchanged."""
    return b"%b%b%b" % (_BEGIN, b",".join([event[2] for event in events]), _END)


class Batcher:
    """Fills batches greedily, in order. ``bury`` gets each event that fits into none, with the reason."""

    def __init__(self, bury: Bury, *, max_bytes: int = MAX_BATCH_BYTES) -> None:
        self._bury = bury
        self._max_bytes = min(max_bytes, MAX_BATCH_BYTES)
        self._event_bytes = min(MAX_EVENT_BYTES, self._max_bytes - _ENVELOPE_BYTES)
        self._waiting: list[Sendable] = []
        self._size = _ENVELOPE_BYTES - 1  # the first event needs no comma

    def add(self, events: Iterable[Sendable]) -> Iterator[list[Sendable]]:
        """Yield each full batch; the remaining events wait for more."""
        for event in events:
            size = len(event[2])
            if size > self._event_bytes:
                self._bury(
                    event[2], f"the event has {size} bytes; the limit is {self._event_bytes}", TOO_LARGE
                )
                continue
            if self._size + 1 + size > self._max_bytes or len(self._waiting) == MAX_EVENTS:
                yield self.rest()
            self._waiting.append(event)
            self._size += 1 + size

    def rest(self) -> list[Sendable]:
        """Return the waiting events, possibly none."""
        batch, self._waiting, self._size = self._waiting, [], _ENVELOPE_BYTES - 1
        return batch
