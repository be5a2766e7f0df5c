import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from headrace.bus.peeking import peek, read_at, tail
from headrace.runtime.errors import Retryable
from tests.integration.bus.flow import Flow
from tests.raw_records import batch, produce, record
from tests.waiting import eventually

HOUR_MS = 3_600_000
BEGAN_MS = 1_790_000_000_000


async def send(flow: Flow, values: list[bytes], key: bytes = b"k", **headers: bytes) -> None:
    for value in values:
        await flow.send_bytes(value, key, **headers)


async def test_the_last_records_are_shown_newest_first_and_cut(flow: Flow):
    await send(flow, [b"%d" % n for n in range(9)] + [b"x" * 5000], name=b"value")
    found = await peek(flow.settings, flow.topic.name, last=3, max_value_bytes=1000)
    assert [(item.value, item.value_bytes, item.is_cut) for item in found] == [
        (b"x" * 1000, 5000, True), (b"8", 1, False), (b"7", 1, False),
    ]  # fmt: skip
    assert (found[1].key, found[1].headers, found[1].unreadable) == (b"k", (("name", b"value"),), "")
    assert len(await peek(flow.settings, flow.topic.name, last=500)) == 10
    assert await peek(flow.settings, flow.topic.name, partition=99) == []
    newest = found[0]
    whole = await read_at(flow.settings, flow.topic.name, newest.partition, newest.offset)
    assert whole is not None
    assert (whole.value, whole.is_cut) == (b"x" * 5000, False)
    assert await read_at(flow.settings, flow.topic.name, newest.partition, 99) is None
    assert await read_at(flow.settings, flow.topic.name, 99, 0) is None


async def test_large_records_leave_room_for_the_newest_only(flow: Flow):
    await send(flow, [b"%d" % n + b"x" * 100_000 for n in range(20)])
    found = await peek(flow.settings, flow.topic.name, last=20, max_bytes=300_000, max_value_bytes=2)
    assert 1 <= len(found) <= 3
    assert found[0].value == b"19"


async def test_from_a_time_on_the_first_records_are_shown(flow: Flow):
    for number in range(3):
        at = BEGAN_MS + number * HOUR_MS
        await produce(flow.settings.kafka, flow.topic.name, batch(record(b"%d" % number), timestamp_ms=at))
    since = datetime.fromtimestamp(BEGAN_MS / 1000, UTC) + timedelta(minutes=30)
    found = await peek(flow.settings, flow.topic.name, since=since)
    assert [item.value for item in found] == [b"1", b"2"]
    assert found[0].timestamp == datetime.fromtimestamp((BEGAN_MS + HOUR_MS) / 1000, UTC)
    assert await peek(flow.settings, flow.topic.name, since=since + timedelta(days=9)) == []


async def test_a_tail_shows_what_arrives_and_counts_what_it_left_out(flow: Flow):
    await send(flow, [b"before"])
    async with tail(flow.settings, [flow.topic.name], max_queue=4) as stream:
        await send(flow, [b"0"])
        first = await anext(stream)
        assert (first.value, stream.dropped) == (b"0", 0)
        await send(flow, [b"%d" % n for n in range(1, 10)])
        await eventually(lambda: stream.dropped == 5)
        assert [(await anext(stream)).value for _ in range(4)] == [b"6", b"7", b"8", b"9"]
        positions = dict(stream.positions)
    await send(flow, [b"10"])
    # Nothing is lost between two of them.
    async with asyncio.timeout(20), tail(flow.settings, [flow.topic.name], start=positions) as stream:
        assert (await anext(stream)).value == b"10"


async def test_a_topic_that_is_not_there_is_said_to_be(flow: Flow, fresh: Callable[[str], str]):
    with pytest.raises(Retryable, match="the topic does not exist"):
        await peek(flow.settings, fresh("none"))
    with pytest.raises(Retryable, match="the topic does not exist"):
        async with tail(flow.settings, [fresh("none")]):
            pass
