"""An index of the dead letters that wait for a person: grouped by where, who and why, without their contents."""

import asyncio
import re
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, Self, TypeAlias

import orjson
from aiokafka import TopicPartition

from headrace.bus.dead_letters import DeadLetter, foreign, marks_of, parse
from headrace.bus.offsets import Snapshot
from headrace.bus.reading import groupless, partitions_of, records, translated
from headrace.bus.records import Record
from headrace.contracts.message import utc_now
from headrace.runtime.settings import EngineSettings

_MAX_REASON: Final = 500
_MAX_NAME: Final = 256
# Of a larger value no names are read.
_MAX_PARSED_BYTES: Final = 1 << 20
# What differs between two reasons that say the same: UUIDs, long hexadecimal ids, numbers.
_VARYING: Final = re.compile(
    r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b|\b(?=[0-9a-fA-F]*[0-9])[0-9a-fA-F]{12,}\b|[0-9]+"
)

Place: TypeAlias = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class LetterEntry:
    """A dead letter without its contents; ``topic`` is the dead-letter topic."""

    topic: str
    partition: int
    offset: int
    original_topic: str
    original_partition: int
    original_offset: int
    service: str
    error_class: str
    reason: str
    attempts: int
    first_seen: str
    dead_since: datetime
    request_id: str
    org_id: str
    size: int
    partial: str
    group_id: str

    @property
    def place(self) -> Place:
        """Return where it is."""
        return self.topic, self.partition, self.offset

    @classmethod
    def of(cls, letter: DeadLetter) -> Self:
        """Keep what a list shows."""
        request_id, org_id = _named(letter.value)
        reason = letter.reason[:_MAX_REASON]
        of = (letter.original_topic, letter.service[:_MAX_NAME], letter.error_class[:_MAX_NAME])
        return cls(
            topic=letter.topic,
            partition=letter.partition,
            offset=letter.offset,
            original_topic=of[0],
            original_partition=letter.original_partition,
            original_offset=letter.original_offset,
            service=of[1],
            error_class=of[2],
            reason=reason,
            attempts=letter.attempts,
            first_seen=letter.first_seen[:_MAX_NAME],
            dead_since=letter.dead_since,
            request_id=request_id,
            org_id=org_id,
            size=letter.size,
            partial=letter.partial[:_MAX_NAME],
            group_id=_group_id(*of, alike(reason)),
        )


@dataclass(frozen=True, slots=True)
class LetterGroup:
    """Dead letters of one topic, service, error class and reason, which has ``…`` for what varies.

    ``partial`` counts those that cannot be redriven.
    """

    id: str
    topic: str
    service: str
    error_class: str
    reason: str
    sample_reason: str
    count: int
    oldest: datetime
    newest: datetime
    partial: int


def alike(reason: str) -> str:
    """Return a reason without what varies between letters that died of the same."""
    return _VARYING.sub("…", reason)


class DeadLetterIndex:
    """The newest dead letters of some topics that were not redriven; ``left_out`` counts those beyond the bound."""

    def __init__(
        self, settings: EngineSettings, dead_letter_topics: Collection[str], *, max_letters: int = 20_000
    ) -> None:
        self._settings = settings
        self._topics = frozenset(dead_letter_topics)
        self._max_letters = max_letters
        self._entries: OrderedDict[Place, LetterEntry] = OrderedDict()
        self._next: dict[TopicPartition, int] = {}
        self._turn = asyncio.Lock()
        self.left_out = 0
        self.foreign: Counter[str] = Counter()
        self.read_at: datetime | None = None

    @property
    def count(self) -> int:
        """Return how many letters are in the index."""
        return len(self._entries)

    async def refresh(self, snapshot: Snapshot | None = None, *, timeout_seconds: float = 60.0) -> None:
        """Read what is new; a ``snapshot`` of the topics' offsets saves the connection where nothing is.

        Raises `Retryable`; the next time continues where this one stopped.
        """
        async with self._turn:
            if snapshot is not None and not self._has_news(snapshot):
                self.read_at = snapshot.taken_at
                return
            with translated("read the dead letters"):
                async with asyncio.timeout(timeout_seconds):
                    await self._read()
            self.read_at = utc_now()

    def groups(self) -> list[LetterGroup]:
        """Return the groups, the biggest first."""
        found: dict[str, list[LetterEntry]] = {}
        for entry in self._entries.values():
            found.setdefault(entry.group_id, []).append(entry)
        groups = [_group(entries) for entries in found.values()]
        return sorted(groups, key=lambda group: (-group.count, group.topic, group.id))

    def letters(
        self, group_id: str | None = None, *, limit: int = 100, after: Place | None = None
    ) -> list[LetterEntry]:
        """Return letters of a group, or of all, newest first; ``after`` is the place of the last one seen."""
        chosen = sorted(
            (entry for entry in self._entries.values() if group_id in {None, entry.group_id}),
            key=_age,
            reverse=True,
        )
        if after is not None:
            # It may be gone by now, redriven: what is older follows.
            last = self._entries.get(after)
            chosen = [entry for entry in chosen if last is None or _age(entry) < _age(last)]
        return chosen[:limit]

    def _has_news(self, snapshot: Snapshot) -> bool:
        known = {item for item in self._next if item.topic in self._topics}
        there = {
            TopicPartition(topic, bounds.partition): bounds.end
            for topic in self._topics & snapshot.topics.keys()
            for bounds in snapshot.topics[topic].partitions
        }
        return known != there.keys() or any(self._next[item] != end for item, end in there.items())

    async def _read(self) -> None:
        async with groupless(self._settings, "headrace-dead-letter-index") as consumer:
            partitions = await partitions_of(consumer, self._topics)
            if not partitions:
                return
            starts = await consumer.beginning_offsets(partitions)
            ends = await consumer.end_offsets(partitions)
            self._forget(starts, ends)
            begin = {item: max(starts[item], self._next.get(item, starts[item])) for item in partitions}
            self._next = dict(begin)
            consumer.assign(partitions)
            async with aclosing(records(consumer, begin, ends)) as every:
                async for record in every:
                    self._add(record)
                    self._next[TopicPartition(record.topic, record.partition)] = record.offset + 1
            self._next = dict(ends)

    def _forget(self, starts: dict[TopicPartition, int], ends: dict[TopicPartition, int]) -> None:
        """Drop what Kafka has deleted, and all of a topic that began again."""
        for item, end in ends.items():
            if self._next.get(item, 0) > end:
                del self._next[item]
        for place in [*self._entries]:
            item = TopicPartition(place[0], place[1])
            if item not in self._next or place[2] < starts.get(item, 0):
                del self._entries[place]

    def _add(self, record: Record) -> None:
        marks = marks_of(record)
        if marks is not None:
            for partition, offset in marks:
                self._entries.pop((record.topic, partition, offset), None)
            return
        if reason := foreign(record):
            self.foreign[reason] += 1
            return
        entry = LetterEntry.of(parse(record))
        self._entries[entry.place] = entry
        if len(self._entries) > self._max_letters:
            self._entries.popitem(last=False)
            self.left_out += 1


def _group(entries: Iterable[LetterEntry]) -> LetterGroup:
    every = sorted(entries, key=_age)
    oldest, newest = every[0], every[-1]
    return LetterGroup(
        id=newest.group_id,
        topic=newest.original_topic,
        service=newest.service,
        error_class=newest.error_class,
        reason=alike(newest.reason),
        sample_reason=newest.reason,
        count=len(every),
        oldest=oldest.dead_since,
        newest=newest.dead_since,
        partial=sum(bool(entry.partial) for entry in every),
    )


def _age(entry: LetterEntry) -> tuple[datetime, Place]:
    return entry.dead_since, entry.place


def _group_id(*parts: str) -> str:
    return sha256("\0".join(parts).encode(errors="replace")).hexdigest()[:16]


def _named(value: bytes | None) -> tuple[str, str]:
    """Return the request id and the organisation that a message names, in whatever form its topic has them."""
    if value is None or len(value) > _MAX_PARSED_BYTES:
        return "", ""
    try:
        fields = orjson.loads(value)
    except (orjson.JSONDecodeError, RecursionError):
        return "", ""
    if not isinstance(fields, dict):
        return "", ""
    folded = _folded(fields)
    metadata = folded.get("metadata")
    inner = _folded(metadata) if isinstance(metadata, dict) else {}
    request_id = folded.get("requestid")
    org_id = folded.get("orgid") or inner.get("orgid")
    return _text(request_id), _text(org_id)


def _folded(fields: dict[str, Any]) -> dict[str, Any]:
    return {name.replace("_", "").lower(): value for name, value in fields.items()}


def _text(value: Any) -> str:
    if type(value) is int:
        value = str(value)
    return value if isinstance(value, str) and len(value) <= _MAX_NAME else ""
