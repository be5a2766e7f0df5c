"""Reads fetched batches in aiokafka's place: an unreadable record becomes a record that says so, and reading continues.

aiokafka raises if a header's name is not UTF-8, if a batch does not match its checksum, cannot be
decompressed, or is malformed; a consumer that meets such a record meets it again after every restart.
`Records` replaces aiokafka's class for every consumer of this process.
"""

import mmap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from struct import Struct
from typing import Any, Final, TypeAlias

import aiokafka.consumer.fetcher
import cramjam
from aiokafka.errors import CorruptRecordException
from aiokafka.record.control_record import ControlRecord
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.legacy_records import LegacyRecordBatch
from aiokafka.record.util import decode_varint
from aiokafka.structs import ConsumerRecord

Record: TypeAlias = ConsumerRecord[bytes | None, bytes | None]

# The broker bounds a batch as it is sent, not what it inflates to: 1 MiB of zstd may be 10 GiB.
MAX_INFLATED_BYTES: Final = 64 * 1024 * 1024

_FRAME: Final = Struct(">qi")
_MAGIC_AT: Final = 16
_FORMAT: Final = 2
# A batch that was hurt may claim any number of offsets.
_MAX_OFFSETS: Final = 1_000_000
# Offset, length, epoch, magic, checksum, attributes, last delta, first and last time, producer, its epoch,
# sequence, count.
_HEADER: Final = Struct(">qiibIhiqqqhii")
_ATTRIBUTES_AT: Final = 21
_CODEC_BITS: Final = 0x07
_APPEND_TIME_BIT: Final = 0x08
_XERIAL: Final = b"\x82SNAPPY\x00"
_XERIAL_HEADER_BYTES: Final = 16
# Its modules are there only at run time.
_CODECS_OF: Final[Any] = cramjam
_LENGTH: Final = Struct(">i")


class Unreadable(bytes):
    """A value that replaces an unreadable one: the raw bytes of a record or of a whole batch.

    ``once_more``: it may have been damaged in transit, so fetching it again may help.
    """

    reason: str
    once_more: bool

    @classmethod
    def of(cls, data: bytes, reason: str, *, once_more: bool = False) -> "Unreadable":
        """Return ``data`` with the reason why it cannot be read."""
        made = cls(data)
        made.reason, made.once_more = reason, once_more
        return made


@dataclass(slots=True)
class _Read:
    """A record in the form that aiokafka's consumer takes from a batch."""

    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    checksum: None = None


class Records:
    """The batches of one partition in the answer to a fetch."""

    def __init__(self, data: bytes) -> None:
        self._data = bytes(data)
        self._at = 0

    def size_in_bytes(self) -> int:
        """Return the size of the answer, including a truncated batch at its end."""
        return len(self._data)

    def has_next(self) -> bool:
        """Return whether another complete batch follows."""
        return self._end() is not None

    def _end(self) -> int | None:
        if len(self._data) - self._at < _FRAME.size:
            return None
        _, length = _FRAME.unpack_from(self._data, self._at)
        end = self._at + _FRAME.size + max(0, int(length))
        return end if end <= len(self._data) else None

    def next_batch(self) -> "Batch | None":
        """Return the next complete batch."""
        end = self._end()
        if end is None:
            return None
        data, self._at = self._data[self._at : end], end
        return Batch(data)


class Batch:
    """One batch whose offsets can all be passed: it yields records, and `Unreadable` for unreadable ones."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._records: Iterator[Any] | None = None
        self.producer_id: int | None = None
        self.is_control_batch = self.is_transactional = False
        self.base_offset, _ = _FRAME.unpack_from(data)
        self.next_offset: int = self.base_offset + 1
        self._inner: Any = None
        self._fault: str | None = None
        self._once_more = False
        try:
            self._open()
        except Exception as error:  # noqa: BLE001 -- whatever it is, it lies in the bytes
            self._fault = f"not a record batch: {_text(error)}"

    def _open(self) -> None:
        magic = self._data[_MAGIC_AT]
        if magic < _FORMAT:
            # As before Kafka 0.11; an old log may still hold some.
            self._inner = LegacyRecordBatch(self._data, magic)
            self.next_offset = self._inner.next_offset
        else:
            fields = _HEADER.unpack_from(self._data)
            self.next_offset = self.base_offset + min(max(0, fields[6]), _MAX_OFFSETS) + 1
            self._inner = DefaultRecordBatch(self._data)
        if magic > _FORMAT:
            raise CorruptRecordException(f"format {magic}")
        if not self._inner.validate_crc():
            self._once_more = True
            raise CorruptRecordException("the checksum does not match")
        if magic < _FORMAT:
            return
        if self._inner.is_control_batch:
            # Read by aiokafka with no thought of what else it might be.
            ControlRecord.parse(next(iter(DefaultRecordBatch(self._data))).key or b"")
        self.producer_id = self._inner.producer_id
        self.is_control_batch = self._inner.is_control_batch
        self.is_transactional = self._inner.is_transactional

    def validate_crc(self) -> bool:
        """Accept every batch; a damaged batch yields `Unreadable` instead of ending all reading."""
        return True

    def __iter__(self) -> Iterator[Any]:
        return self._read()

    def __next__(self) -> Any:
        """Return the first record of a control batch; only this one is needed."""
        self._records = self._records or self._read()
        return next(self._records)

    def _read(self) -> Iterator[Any]:
        if self._fault is None and self._data[_MAGIC_AT] == _FORMAT:
            try:
                self._data = inflated(self._data)
                self._inner = DefaultRecordBatch(self._data)
            except Exception as error:  # noqa: BLE001 -- whatever it is, it lies in the bytes
                self._fault = f"the batch cannot be decompressed: {_text(error)}"
        if self._fault is not None:
            yield self._unreadable(self._fault)
            return
        passed = self.base_offset
        try:
            for record in self._inner:
                passed = record.offset + 1
                yield record
        except Exception as error:  # noqa: BLE001 -- whatever it is, it lies in the bytes
            for record in self._one_by_one(_text(error)):
                if record.offset >= passed:
                    yield record

    def _unreadable(self, reason: str) -> _Read:
        """Return the whole batch as one record at its last offset, so that a commit passes the batch."""
        value = Unreadable.of(self._data, reason, once_more=self._once_more)
        return _Read(self.next_offset - 1, -1, 0, None, value, [])

    def _one_by_one(self, reason: str) -> Iterator[_Read]:
        """Read the batch again, each record within its own length, with header names in any encoding."""
        if self._data[_MAGIC_AT] != _FORMAT:
            yield self._unreadable(reason)
            return
        fields, data = _HEADER.unpack_from(self._data), bytearray(self._data)
        at, following = _HEADER.size, self.base_offset
        for number in range(fields[12]):
            try:
                length, start = decode_varint(data, at)
                at = start + length
                if not 0 < length <= len(data) - start:
                    raise CorruptRecordException(f"record {number} claims {length} bytes")
            except Exception as error:  # noqa: BLE001 -- where the next record begins is lost
                yield self._unreadable(f"{reason}; {_text(error)}")
                return
            body = data[start:at]
            try:
                record = _parse(body, fields)
            except Exception as error:  # noqa: BLE001 -- this record alone
                record = _Read(following, -1, 0, None, Unreadable.of(bytes(body), _text(error)), [])
            following = max(following, record.offset) + 1
            yield record


def _parse(body: bytearray, batch: tuple[Any, ...]) -> _Read:
    at = 1  # its attributes say nothing
    delta_ms, at = decode_varint(body, at)
    delta, at = decode_varint(body, at)
    key, at = _take(body, at)
    value, at = _take(body, at)
    count, at = decode_varint(body, at)
    headers = []
    for _ in range(count):
        name, at = _take(body, at)
        content, at = _take(body, at)
        headers.append(((name or b"").decode(errors="backslashreplace"), content))
    if at != len(body):
        raise CorruptRecordException(f"{len(body) - at} bytes after its headers")
    by_broker = bool(batch[5] & _APPEND_TIME_BIT)
    timestamp = batch[8] if by_broker else batch[7] + delta_ms
    return _Read(batch[0] + delta, timestamp, int(by_broker), key, value, headers)


def _take(body: bytearray, at: int) -> tuple[bytes | None, int]:
    length, at = decode_varint(body, at)
    if length < 0:
        return None, at
    if at + length > len(body):
        raise CorruptRecordException(f"a field of {length} bytes in {len(body) - at}")
    return bytes(body[at : at + length]), at + length


def inflated(data: bytes) -> bytes:
    """Return the decompressed batch; raises the codec's errors, and `CorruptRecordException` beyond the limit."""
    fields = list(_HEADER.unpack_from(data))
    codec = fields[5] & _CODEC_BITS
    if codec == 0:
        return data
    if codec not in _CODECS:
        raise CorruptRecordException(f"codec {codec}")
    body = _CODECS[codec](data[_HEADER.size :])
    fields[5] &= ~_CODEC_BITS
    fields[1] = _HEADER.size - _FRAME.size + len(body)
    return _HEADER.pack(*fields) + body


def _bounded(decompress_into: Callable[[Any, Any], int]) -> Callable[[bytes], bytes]:
    def inflate(data: bytes) -> bytes:
        # Pages that are not written to cost nothing.
        with mmap.mmap(-1, MAX_INFLATED_BYTES) as room:
            return room[: decompress_into(data, room)]

    return inflate


def _snappy(data: bytes) -> bytes:
    """Decompress Java's framing, or unframed data from other senders."""
    if not data.startswith(_XERIAL):
        return _snappy_block(data, MAX_INFLATED_BYTES)
    blocks, at, room = [], _XERIAL_HEADER_BYTES, MAX_INFLATED_BYTES
    while at < len(data):
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        if not 0 <= length <= len(data) - at:
            raise CorruptRecordException(f"a block of {length} bytes in {len(data) - at}")
        blocks.append(_snappy_block(data[at : at + length], room))
        room -= len(blocks[-1])
        at += length
    return b"".join(blocks)


def _snappy_block(data: bytes, room: int) -> bytes:
    size = _CODECS_OF.snappy.decompress_raw_len(data)
    if size > room:
        raise CorruptRecordException(f"the batch decompresses to more than {MAX_INFLATED_BYTES} bytes")
    return bytes(_CODECS_OF.snappy.decompress_raw(data))


_CODECS: Final[dict[int, Callable[[bytes], bytes]]] = {
    1: _bounded(_CODECS_OF.gzip.decompress_into),
    2: _snappy,
    3: _bounded(_CODECS_OF.lz4.decompress_into),
    4: _bounded(_CODECS_OF.zstd.decompress_into),
}


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


# aiokafka leaves no other place to say so: from here on every consumer of this process reads with these.
aiokafka.consumer.fetcher.MemoryRecords = Records  # type: ignore[assignment,attr-defined]
