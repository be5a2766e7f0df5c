"""The installation's dead letters: what is there, read no more often than needed, and the redrive."""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final

from headrace.bus import dead_letters
from headrace.bus.dead_letter_index import DeadLetterIndex
from headrace.bus.dead_letters import DeadLetter
from headrace.runtime.errors import HeadraceError
from headrace.runtime.settings import EngineSettings

_FRESH_SECONDS: Final = 2.0


@dataclass(frozen=True)
class Redriven:
    """What became of a redrive: how many were put back, why others were not, and what went wrong."""

    count: int
    skipped: Counter[str] = field(default_factory=Counter)
    problem: str = ""


class Letters:
    """Dead letters of every topic that a service of the table consumes."""

    def __init__(self, settings: EngineSettings, topics: Iterable[str]) -> None:
        self.topics = frozenset(topics)
        self._settings = settings
        self._index = DeadLetterIndex(settings, sorted(self.topics))
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    async def index(self) -> DeadLetterIndex:
        """Return the index as of now; raises `Retryable` if Kafka does not answer."""
        loop = asyncio.get_running_loop()
        async with self._reading:
            if loop.time() - self._read_at > _FRESH_SECONDS:
                await self._index.refresh()
                self._read_at = loop.time()
        return self._index

    async def count(self) -> int:
        """Return how many wait for somebody."""
        return (await self.index()).count

    async def show(self, topic: str, partition: int, offset: int) -> DeadLetter | None:
        """Return one dead letter, whole."""
        return await dead_letters.show(self._settings, topic, partition, offset)

    async def redrive(self, chosen: Collection[tuple[str, int, int]]) -> Redriven:
        """Put letters back (topic, partition, offset), each exactly once; a topic that fails leaves the others."""
        count, skipped = 0, Counter[str]()
        problem = ""
        for topic in sorted({name for name, _, _ in chosen}):
            only = {(partition, offset) for name, partition, offset in chosen if name == topic}
            try:
                count += len(await dead_letters.redrive(self._settings, topic, only=only, skipped=skipped))
            except HeadraceError as error:
                problem = str(error)
        self._read_at = float("-inf")
        return Redriven(count, skipped, problem)
