"""One run: rows in, events out. Everything is counted and parsed once, and memory is bounded."""

from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final

from headrace_services.segment_bridge.dead_letters import Graveyard
from headrace_services.segment_bridge.map_files import Maps
from headrace_services.segment_bridge.transform import MALFORMED, Transform
from headrace_services.segment_bridge.upload import Uploaded, Uploader

# The limits of a block; the first that is reached counts.
_BLOCK_ROWS: Final = 1000
_BLOCK_BYTES: Final = 1 << 20


@dataclass
class RunOutcome:
    """The counts of a run's rows; ``problems`` are the reasons why the run did not succeed."""

    rows: int = 0
    events: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    buried: dict[str, int] = field(default_factory=dict)
    sent: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    unsent: int = 0
    batches: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def succeeded(self) -> bool:
        """Whether no row is lost: buried rows are kept, dropped rows are meant to be dropped."""
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """Return the outcome for the log and the table of runs."""
        return {"succeeded": self.succeeded} | vars(self)

    def records(self) -> dict[str, int]:
        """Return the rows by outcome; the sum is ``rows``."""
        ended = {"sent": self.sent, "not sent": self.unsent}
        dropped = {reason: count for reason, count in self.dropped.items() if reason != MALFORMED}
        return ended | dropped | self.skipped | self.buried


def transform_of(maps: Maps, graveyard: Graveyard) -> Transform:
    """Return the transformation of one run; its malformed rows are buried."""

    def reject(line: bytes, reason: str) -> None:
        graveyard.bury(line, reason, MALFORMED)

    return Transform(maps.ids, maps.workspaces, reject)


async def carry(
    pieces: AsyncIterable[list[bytes]],
    transform: Transform,
    uploader: Uploader,
    graveyard: Graveyard,
    outcome: RunOutcome,
) -> None:
    """Send the events of the rows; fill the outcome, even on failure."""
    try:
        async for block in blocks(pieces):
            await uploader.add(transform.events(block))
            await graveyard.flush()
        await uploader.finish()
    except BaseException:
        await uploader.cancel()
        raise
    finally:
        _fill(outcome, transform, uploader.uploaded, graveyard)


async def blocks(pieces: AsyncIterable[list[bytes]]) -> AsyncIterator[list[bytes]]:
    """Join pieces into blocks, because the ledger is queried once per block."""
    block: list[bytes] = []
    size = 0
    async for piece in pieces:
        block += piece
        size += sum(map(len, piece))
        if len(block) >= _BLOCK_ROWS or size >= _BLOCK_BYTES:
            yield block
            block, size = [], 0
    if block:
        yield block


def _fill(outcome: RunOutcome, transform: Transform, uploaded: Uploaded, graveyard: Graveyard) -> None:
    outcome.rows = transform.rows
    outcome.events = transform.made
    outcome.dropped = dict(transform.dropped)
    outcome.buried = dict(graveyard.counts)
    outcome.sent = uploaded.sent
    outcome.skipped = dict(uploaded.skipped)
    outcome.unsent = uploaded.unsent
    outcome.batches = uploaded.batches
    outcome.problems += [
        f"{count} batches not sent: {reason}" if count > 1 else f"a batch was not sent: {reason}"
        for reason, count in uploaded.reasons.items()
    ]
