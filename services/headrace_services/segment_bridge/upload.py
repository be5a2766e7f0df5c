"""``segment-mass-uploader``: sends events to Segment in parallel batches, and accounts for each event.

Every event ends as one of: accepted by Segment, known to the ledger, buried (the event is at fault), unsent (Segment or
the network is at fault). A batch that Segment refuses as faulty is halved until the faulty events are alone.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from headrace.runtime.cancellation import end
from headrace.runtime.errors import Permanent, Rejected, Retryable
from headrace_services.segment_bridge.batches import Batcher, Sendable, payload
from headrace_services.segment_bridge.client import Segment
from headrace_services.segment_bridge.dead_letters import Graveyard
from headrace_services.segment_bridge.ledger import ALREADY_SENT, DUPLICATE, Keys, Ledger, keys_of
from headrace_services.segment_bridge.transform import Event

REFUSED: Final = "refused by Segment"
UNSENT: Final = "not sent"

# The most requests for halving one batch; the remaining events are buried together.
_HALVINGS: Final = 64
_KEPT_REASONS: Final = 10


@dataclass
class Uploaded:
    """Counts of events, except for ``batches`` and ``requests``."""

    given: int = 0
    sent: int = 0
    unsent: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    batches: int = 0
    failed_batches: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def failed(self, reason: str, events: int) -> None:
        """Whether some events were not accepted."""
        self.unsent += events
        if reason in self.reasons or len(self.reasons) < _KEPT_REASONS:
            self.reasons[reason] += 1


class Uploader:
    """Takes events by `add`, then `finish`. At most ``concurrency`` batches are in memory beside the current one."""

    def __init__(
        self,
        segment: Segment,
        graveyard: Graveyard,
        *,
        max_batch_bytes: int,
        concurrency: int,
        ledger: Ledger | None = None,
        resend: bool = False,
        bury_unsent: bool = False,
    ) -> None:
        self.uploaded = Uploaded()
        self._segment = segment
        self._graveyard = graveyard
        self._ledger = ledger
        self._resend = resend
        self._bury_unsent = bury_unsent
        self._batcher = Batcher(graveyard.bury, max_bytes=max_batch_bytes)
        self._free = asyncio.Semaphore(concurrency)
        self._tasks: set[asyncio.Task[None]] = set()
        self._error: BaseException | None = None
        # The keys of events that are being sent, which the ledger does not contain yet.
        self._on_the_way: dict[bytes, bytes] = {}

    async def add(self, events: Sequence[Event]) -> None:
        """Add events; wait while too many batches are being sent. Raises what the ledger raised."""
        self.uploaded.given += len(events)
        for batch in self._batcher.add(await self._unknown(events)):
            await self._start(batch)

    async def finish(self) -> Uploaded:
        """Send the remaining events and wait for every batch."""
        if batch := self._batcher.rest():
            await self._start(batch)
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._graveyard.flush()
        if self._error is not None:
            raise self._error
        return self.uploaded

    async def cancel(self) -> None:
        """Abandon the batches that are being sent; they are not in the ledger, so they will be sent again."""
        await end(*self._tasks)

    async def _unknown(self, events: Sequence[Event]) -> Sequence[Sendable]:
        """Return the events that are neither being sent nor in the ledger, with their keys."""
        if self._ledger is None or not events:
            return events
        keys = [keys_of(event) for event in events]
        sent = set() if self._resend else await self._ledger.sent([message for message, _ in keys])
        onces = [once for _, once in keys if once]
        reported = await self._ledger.first_reports(onces) if onces else {}
        unknown: list[Sendable] = []
        for event, (message, once) in zip(events, keys, strict=True):
            if message in sent or message in self._on_the_way:
                self.uploaded.skipped[ALREADY_SENT] += 1
            elif once and self._first(message, once, reported) != message:
                self.uploaded.skipped[DUPLICATE] += 1
            else:
                self._on_the_way[message] = message
                if once:
                    self._on_the_way[once] = message
                unknown.append((message, once, event[2]))
        return unknown

    def _first(self, message: bytes, once: bytes, reported: dict[bytes, bytes]) -> bytes:
        return reported.get(once) or self._on_the_way.get(once) or message

    async def _start(self, batch: list[Sendable]) -> None:
        await self._free.acquire()
        if self._error is not None:
            self._free.release()
            raise self._error
        task = asyncio.create_task(self._deliver_and_release(batch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver_and_release(self, batch: list[Sendable]) -> None:
        self.uploaded.batches += 1
        unsent = self.uploaded.unsent
        try:
            await self._deliver(batch, [_HALVINGS])
            await self._graveyard.flush()
        except Exception as error:  # noqa: BLE001 -- raised again by add or finish
            self._error = error
        finally:
            self.uploaded.failed_batches += self.uploaded.unsent > unsent
            self._free.release()

    async def _deliver(self, batch: list[Sendable], halvings: list[int]) -> None:
        try:
            await self._segment.post(payload(batch))
        except Rejected as error:
            halvings[0] -= 2
            if len(batch) > 1 and halvings[0] >= 0:
                middle = len(batch) // 2
                await self._deliver(batch[:middle], halvings)
                await self._deliver(batch[middle:], halvings)
                return
            for event in batch:
                self._graveyard.bury(event[2], str(error), REFUSED)
        except (Permanent, Retryable) as error:
            self.uploaded.failed(str(error), len(batch))
            if self._bury_unsent:
                for event in batch:
                    self._graveyard.bury(event[2], str(error), UNSENT)
        else:
            self.uploaded.sent += len(batch)
            if self._ledger is not None:
                await self._ledger.record([_keys(event) for event in batch])
        self._forget(batch)

    def _forget(self, batch: list[Sendable]) -> None:
        if self._ledger is None:
            return
        for event in batch:
            for key in _keys(event):
                self._on_the_way.pop(key, None)


def _keys(event: Sendable) -> Keys:
    message, once, _ = event
    if isinstance(message, str) or isinstance(once, str):
        raise TypeError("the event has no keys: it has not been looked up in the ledger")
    return message, once
