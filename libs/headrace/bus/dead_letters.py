"""Dead letters: the original record with its origin and reason in headers; listing and redriving them."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, ProducerFenced

from headrace.bus.connection import client_arguments
from headrace.bus.delivery import Delivery, written_at
from headrace.bus.producer import MAX_REQUEST_BYTES, Headers, close_client, encode_headers
from headrace.bus.reading import groupless, partitions_of, records, translated
from headrace.bus.records import Record, Unreadable
from headrace.contracts.message import rfc3339, utc_now
from headrace.contracts.topics import DEAD_LETTER_SUFFIX
from headrace.runtime.errors import Fatal, Retryable
from headrace.runtime.settings import EngineSettings

PREFIX: Final = "headrace."
# On a record beside the dead letters: the one at this partition and offset was put back.
_MARK: Final = "headrace.redriven"
_PLACE: Final = re.compile(r"[0-9]{1,9}:[0-9]{1,19}")
_NUMBER: Final = re.compile(r"[0-9]{1,19}")
# A reason may be a page of traceback; the record must stay within the topic's limit.
_MAX_REASON: Final = 2000
# Of a record too large for the dead-letter topic so much is kept: enough to see what it is.
_HEAD_BYTES: Final = 64 * 1024
_HEAD_KEY_BYTES: Final = 1024
_HEAD_HEADER_BYTES: Final = 16 * 1024


@dataclass(frozen=True)
class DeadLetter:
    """A dead-letter topic's record; ``original_*`` describe its origin, ``offset`` its place in that topic.

    ``partial`` is set if this is not the whole record, and says what it is instead; ``size`` and ``sha256``
    are then those of the whole value. Such a letter cannot be redriven; the original record is at its
    original place.
    """

    topic: str
    partition: int
    offset: int
    original_topic: str
    original_partition: int
    original_offset: int
    original_timestamp: str
    service: str
    group: str
    error_class: str
    reason: str
    attempts: int
    first_seen: str
    dead_since: datetime
    redriven: bool
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    partial: str = ""
    size: int = 0
    sha256: str = ""


def story(
    delivery: Delivery, *, service: str, group: str, error_class: str, reason: str, value: bytes | None
) -> list[tuple[str, bytes]]:
    """Return the headers that describe a dead letter's origin and reason."""
    told = {
        "topic": delivery.topic,
        "partition": str(delivery.partition),
        "offset": str(delivery.offset),
        "timestamp": rfc3339(delivery.timestamp),
        "service": service,
        "group": group,
        "error.class": error_class,
        "reason": reason[:_MAX_REASON],
        "attempts": str(delivery.attempt),
        "first-seen": rfc3339(delivery.first_seen),
    }
    if value is None:
        # aiokafka cannot send a record with neither key nor value, so that a tombstone is told in words.
        told["tombstone"] = "true"
    return _told(told)


def _told(told: dict[str, str]) -> list[tuple[str, bytes]]:
    return encode_headers((PREFIX + name, text) for name, text in told.items())


@dataclass(frozen=True)
class Letter:
    """A record for a dead-letter topic."""

    value: bytes
    key: bytes | None
    headers: Headers


def letters(record: Record, told: Headers) -> list[Letter]:
    """Yield the record as a dead letter, then smaller forms of it, in case the topic does not accept the size.

    A smaller form contains size and SHA-256 of the whole value.
    """
    value, headers = record.value or b"", original_headers(record.headers)
    whole = {"size": str(len(value)), "sha256": sha256(value).hexdigest()}
    if isinstance(record.value, Unreadable):
        # Bytes of a batch, which are no record's value.
        told = [*told, *_told({"partial": "unreadable", **whole})]
        return [Letter(value, None, told), Letter(value[:_HEAD_BYTES], None, told), Letter(b"", None, told)]
    cut = [*told, *_told({"partial": "head", **whole})]
    key, few = record.key, _within(headers, _HEAD_HEADER_BYTES)
    return [
        Letter(value, key, [*headers, *told]),
        Letter(value[:_HEAD_BYTES], None if key is None else key[:_HEAD_KEY_BYTES], [*few, *cut]),
        Letter(b"", None, cut),
    ]


def _within(headers: Headers, size_bytes: int) -> list[tuple[str, bytes]]:
    """Return the first headers, complete ones only, within a size."""
    kept = []
    for name, value in headers:
        size_bytes -= len(name.encode()) + len(value or b"")
        if size_bytes < 0:
            break
        kept.append((name, value))
    return kept


def original_headers(headers: Iterable[tuple[str, bytes]]) -> Headers:
    """Return the record's original headers; headers with our prefix are dropped, whoever wrote them."""
    return [(name, value) for name, value in headers if not name.startswith(PREFIX)]


def _story_of(record: Record) -> dict[str, str]:
    return {
        name.removeprefix(PREFIX): (value or b"").decode(errors="replace")
        for name, value in record.headers
        if name.startswith(PREFIX)
    }


def foreign(record: Record) -> str | None:
    """Return why a record of a dead-letter topic is not one of our dead letters; None if it is one."""
    if isinstance(record.value, Unreadable):
        return f"the record cannot be read: {record.value.reason}"
    told = _story_of(record)
    for name in ("partition", "offset", "attempts"):
        if _NUMBER.fullmatch(told.get(name, "")) is None:
            return (
                f"the header {PREFIX}{name} is not a number"
                if name in told
                else f"the header {PREFIX}{name} is missing"
            )
    if told.get("topic", "") + DEAD_LETTER_SUFFIX != record.topic:
        return f"the header {PREFIX}topic names another topic"
    return None


def parse(record: Record, *, redriven: bool = False) -> DeadLetter:
    """Parse a record of a dead-letter topic; values that are missing or not numbers (in a foreign record) are empty.

    The original topic is the one to which the dead-letter topic belongs, whatever the record says.
    """
    told = _story_of(record)
    value = None if "tombstone" in told else record.value
    return DeadLetter(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        original_topic=record.topic.removesuffix(DEAD_LETTER_SUFFIX),
        original_partition=_number(told, "partition", -1),
        original_offset=_number(told, "offset", -1),
        original_timestamp=told.get("timestamp", ""),
        service=told.get("service", ""),
        group=told.get("group", ""),
        error_class=told.get("error.class", ""),
        reason=told.get("reason", ""),
        attempts=_number(told, "attempts", 0),
        first_seen=told.get("first-seen", ""),
        dead_since=written_at(record, utc_now()),
        redriven=redriven,
        key=record.key,
        value=value,
        headers=tuple(original_headers(record.headers)),
        partial=told.get("partial", ""),
        size=_number(told, "size", len(value or b"")),
        sha256=told.get("sha256", ""),
    )


def _number(told: dict[str, str], name: str, otherwise: int) -> int:
    text = told.get(name, "")
    return int(text) if _NUMBER.fullmatch(text) else otherwise


def marks_of(record: Record) -> list[tuple[int, int]] | None:
    """Return which letters of its topic this record marks as redriven, by partition and offset; None: it is no mark.

    A malformed place marks none.
    """
    told_places = [value for name, value in record.headers if name == _MARK]
    if not told_places:
        return None
    places = ((value or b"").decode(errors="replace") for value in told_places)
    found = (place.split(":") for place in places if _PLACE.fullmatch(place))
    return [(int(partition), int(offset)) for partition, offset in found]


@dataclass
class _Topic:
    """A dead-letter topic that is read, from some offsets up to its end at the time of opening."""

    consumer: AIOKafkaConsumer
    begin: dict[TopicPartition, int]
    ends: dict[TopicPartition, int]
    # Foreign records, by reason.
    skipped: Counter[str]

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        settings: EngineSettings,
        name: str,
        skipped: Counter[str],
        only: Collection[tuple[int, int]] | None = None,
    ) -> AsyncIterator[Self]:
        """``only`` names letters by partition and offset; nothing before them is read then."""
        async with groupless(settings, "headrace-dead-letters") as consumer:
            partitions = await partitions_of(consumer, [name])
            if not partitions:
                raise Retryable(f"cannot read {name}: the topic does not exist")
            consumer.assign(partitions)
            begin = await consumer.beginning_offsets(partitions)
            if only is not None:
                first: dict[int, int] = {}
                for partition, offset in only:
                    first[partition] = min(offset, first.get(partition, offset))
                begin = {
                    item: max(start, first[item.partition])
                    for item, start in begin.items()
                    if item.partition in first
                }
            yield cls(consumer, begin, await consumer.end_offsets(partitions), skipped)

    def records(self) -> AsyncGenerator[Record, None]:
        """Read all records once."""
        return records(self.consumer, self.begin, self.ends)

    async def marks(self) -> set[tuple[int, int]]:
        """Return the letters that were redriven, by partition and offset."""
        found: set[tuple[int, int]] = set()
        async with aclosing(self.records()) as every:
            async for record in every:
                found.update(marks_of(record) or ())
        return found

    def is_letter(self, record: Record) -> bool:
        """Return whether a record is a dead letter; a foreign record is counted."""
        if marks_of(record) is not None:
            return False
        reason = foreign(record)
        if reason is not None:
            self.skipped[reason] += 1
        return reason is None


async def list_dead_letters(
    settings: EngineSettings,
    dead_letter_topic: str,
    *,
    only: Collection[tuple[int, int]] | None = None,
    limit: int | None = None,
    timeout_seconds: float = 60.0,
    skipped: Counter[str] | None = None,
) -> list[DeadLetter]:
    """Return the topic's dead letters, oldest first in each partition; raises `Retryable` if it cannot be read.

    ``only`` names them by partition and offset. Foreign records are skipped and counted in ``skipped``, by reason.
    """
    found: list[Record] = []
    marked: set[tuple[int, int]] = set()
    skipped = Counter() if skipped is None else skipped
    with translated(f"read {dead_letter_topic}"):
        async with (
            asyncio.timeout(timeout_seconds),
            _Topic.open(settings, dead_letter_topic, skipped, only) as topic,
            aclosing(topic.records()) as every,
        ):
            async for record in every:
                # A mark comes after its letter.
                marked.update(marks_of(record) or ())
                wanted = only is None or (record.partition, record.offset) in only
                if wanted and topic.is_letter(record) and (limit is None or len(found) < limit):
                    found.append(record)
    return [parse(record, redriven=(record.partition, record.offset) in marked) for record in found]


async def show(
    settings: EngineSettings,
    dead_letter_topic: str,
    partition: int,
    offset: int,
    *,
    skipped: Counter[str] | None = None,
) -> DeadLetter | None:
    """Return the dead letter at a partition and offset, or None; what is before it is not read."""
    place = (partition, offset)
    found = await list_dead_letters(settings, dead_letter_topic, only={place}, skipped=skipped)
    return found[0] if found else None


async def redrive(
    settings: EngineSettings,
    dead_letter_topic: str,
    *,
    only: Collection[tuple[int, int]] | None = None,
    limit: int | None = None,
    timeout_seconds: float = 300.0,
    skipped: Counter[str] | None = None,
) -> list[DeadLetter]:
    """Write dead letters back to their topic, each exactly once; ``only`` names them by partition and offset.

    They are written only to the topic to which the dead-letter topic belongs. Foreign records and partial
    letters are skipped and counted in ``skipped``, by reason.

    The record and a mark that the letter was redriven are written in one transaction; the transactional id
    fences a concurrent redrive of the same topic. After a crash each letter is therefore either redriven or
    not, never twice.
    """
    # The mark is no consumer offset, since the broker forgets those of an idle group after a week.
    producer = _fencing_producer(settings, dead_letter_topic)
    put_back: list[DeadLetter] = []
    skipped = Counter() if skipped is None else skipped
    try:
        async with asyncio.timeout(timeout_seconds):
            # Starting it ends whatever a redrive that died left open, so that the marks read below are final.
            await producer.start()
            async with (
                _Topic.open(settings, dead_letter_topic, skipped, only) as topic,
                aclosing(topic.records()) as every,
            ):
                # Read before the letters, so that no more than a few of these are in memory.
                redriven = await topic.marks()
                async for record in every:
                    place = (record.partition, record.offset)
                    if limit is not None and len(put_back) >= limit:
                        break
                    wanted = place not in redriven and (only is None or place in only)
                    if not (wanted and topic.is_letter(record)):
                        continue
                    letter = parse(record)
                    if letter.partial:
                        skipped[
                            (
                                "the dead letter is only a part of the record; the whole record is at its "
                                "original position"
                            )
                        ] += 1
                        continue
                    try:
                        await _put_back(producer, record, letter)
                    except MessageSizeTooLargeError:
                        skipped[f"{letter.original_topic} does not accept records of this size"] += 1
                        # The broker has not counted the record that it refused, the client has: begin a new epoch.
                        await close_client(producer, 1.0)
                        producer = _fencing_producer(settings, dead_letter_topic)
                        await producer.start()
                    else:
                        put_back.append(letter)
    except ProducerFenced:
        raise Fatal(f"{dead_letter_topic}: another redrive took over") from None
    except (TimeoutError, KafkaError) as error:
        raise Retryable(f"{dead_letter_topic}: {type(error).__name__} {error}") from error
    finally:
        await close_client(producer, 1.0)
    return put_back


def _fencing_producer(settings: EngineSettings, dead_letter_topic: str) -> AIOKafkaProducer:
    return AIOKafkaProducer(
        **client_arguments(settings, client_id="headrace-redrive"),
        transactional_id=f"headrace-redrive.{dead_letter_topic}",
        max_request_size=MAX_REQUEST_BYTES,
    )


async def _put_back(producer: AIOKafkaProducer, record: Record, letter: DeadLetter) -> None:
    restored: dict[str, Any] = {"key": letter.key, "headers": list(letter.headers)}
    # A tombstone without a key cannot be sent; an empty value says as little.
    restored["value"] = b"" if letter.value is None and letter.key is None else letter.value
    if letter.original_partition in await producer.partitions_for(letter.original_topic):
        restored["partition"] = letter.original_partition
    mark = (_MARK, f"{record.partition}:{record.offset}".encode())
    async with producer.transaction():
        # Awaited, since a batch that fails does not abort its transaction by itself.
        await producer.send_and_wait(letter.original_topic, **restored)
        await producer.send_and_wait(record.topic, b"", partition=record.partition, headers=[mark])
