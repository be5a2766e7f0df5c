"""What aiokafka would raise on becomes a record that says so, and every offset of a batch is passed."""

from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.record.util import calc_crc32c
from hypothesis import given
from hypothesis import strategies as st

from headrace.bus import records
from headrace.bus.records import Records, Unreadable
from tests.raw_records import CODECS, NOW_MS, batch, bomb, record


def read(data: bytes, at: int = 0) -> tuple[list, int]:
    """Through aiokafka's own reader of an answer: the records, and where it would fetch next."""
    reading = PartitionRecords(TopicPartition("t", 0), Records(data), [], at, None, None, True, 1)
    return list(reading), reading.next_fetch_offset


def plain(number: int, **terms: Any) -> bytes:
    return record(b"v%d" % number, key=b"k", number=number, **terms)


@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_is_read(codec: str):
    found, following = read(batch(*(plain(n, headers=[(b"h", b"x")]) for n in range(3)), codec=codec, base=7))
    assert [(one.offset, one.key, one.value) for one in found] == [
        (7 + n, b"k", b"v%d" % n) for n in range(3)
    ]
    assert (found[0].timestamp, found[0].headers, following) == (NOW_MS, (("h", b"x"),), 10)


def test_a_header_whose_name_is_no_text_keeps_its_record_and_the_others():
    latin = record(b"v1", key=b"k", number=1, headers=[(b"gr\xfc\xdfe", b"x"), (b"n", None)])
    found, following = read(batch(plain(0), latin, plain(2)))
    assert [one.value for one in found] == [b"v0", b"v1", b"v2"]
    assert found[1].headers == (("gr\\xfc\\xdfe", b"x"), ("n", None))
    assert (found[1].offset, found[1].timestamp, following) == (1, NOW_MS, 3)


def test_one_record_that_is_none_costs_no_other():
    broken = b"\x0a" + b"\xff" * 5
    found, following = read(batch(plain(0), broken, plain(2)))
    assert [one.offset for one in found] == [0, 1, 2]
    assert isinstance(found[1].value, Unreadable)
    assert (found[1].value, found[2].value, following) == (b"\xff" * 5, b"v2", 3)


@pytest.mark.parametrize(
    ("data", "reason", "once_more"),
    [
        (batch(plain(0), plain(1), checksum=1), "checksum", True),
        (batch(plain(0), plain(1), magic=3), "format 3", False),
        (batch(compressed=b"garbage", codec="zstd", count=2), "cannot be decompressed", False),
        (batch(compressed=b"garbage", codec="gzip", count=2), "cannot be decompressed", False),
        (batch(compressed=b"garbage", codec="lz4", count=2), "cannot be decompressed", False),
        (batch(compressed=b"garbage", codec="snappy", count=2), "cannot be decompressed", False),
        (batch(plain(0), plain(1), attributes=7), "codec 7", False),
        (batch(compressed=b"\xff" * 9, count=2), "record 0 claims", False),
    ],
)
def test_a_batch_that_cannot_be_read_is_one_record_at_its_last_offset(
    data: bytes, reason: str, once_more: bool
):
    found, following = read(data + batch(plain(0), base=2))
    assert [one.offset for one in found] == [1, 2]
    assert isinstance(found[0].value, Unreadable)
    assert reason in found[0].value.reason
    assert found[0].value.once_more is once_more
    assert (found[0].value, found[1].value, following) == (data, b"v0", 3)


def test_a_bomb_is_one_record_at_its_last_offset():
    data = batch(compressed=bomb(records.MAX_INFLATED_BYTES + 1), codec="zstd", count=2)
    test_a_batch_that_cannot_be_read_is_one_record_at_its_last_offset(data, "decompressed", once_more=False)


def test_a_batch_cut_off_at_the_end_of_an_answer_is_left_for_the_next():
    whole, more = batch(plain(0)), batch(plain(0), base=1)
    found, following = read(whole + more[:-1])
    assert ([one.value for one in found], following) == ([b"v0"], 1)
    assert not Records(more[:-1]).has_next()
    assert Records(more[:-1]).size_in_bytes() == len(more) - 1


@given(at=st.integers(12, 300), to=st.binary(min_size=1, max_size=8), fix=st.booleans())
def test_any_bytes_changed_anywhere_raise_nothing_and_never_stand_still(at: int, to: bytes, fix: bool):
    good = batch(*(plain(n, headers=[(b"name", b"x" * 20)]) for n in range(5)), base=100)
    at %= len(good) - len(to)
    hurt = bytearray(good)
    hurt[max(at, 12) : max(at, 12) + len(to)] = to
    hurt = hurt[: len(good)]
    if fix:
        hurt[17:21] = calc_crc32c(bytes(hurt[21:])).to_bytes(4, "big")
    found, following = read(bytes(hurt) + batch(plain(0), base=2_000_000), 100)
    assert following > 2_000_000
    assert found[-1].value == b"v0"
    offsets = [one.offset for one in found]
    assert offsets == sorted(set(offsets))
