import asyncio
from collections.abc import Callable

import pytest
from aiokafka import TopicPartition

from headrace.bus.consumer import Delivery
from headrace.bus.dead_letters import list_dead_letters, redrive, show
from headrace.runtime.errors import Poison, Retryable
from tests.integration.bus.flow import Flow, Note
from tests.waiting import eventually


async def refuse(note: Note, _delivery: Delivery) -> None:
    if note.n < 0:
        raise Poison("no version of this can be read")


@pytest.mark.row(15)
async def test_poison_at_the_head_lets_its_siblings_pass_and_keeps_its_whole_story(
    flow: Flow, fresh: Callable
):
    poisoned = Note(request_id=fresh("r"), key="k", n=-1)
    await flow.send([poisoned], service="hccm")
    await flow.send([Note(request_id=f"r{n}", key="k", n=n) for n in range(5)], service="hccm")
    async with flow.running(flow.consumer(refuse, statuses=True)):
        await eventually(lambda: flow.counted("processed") == 5 and flow.counted("dead_lettered") == 1)
    assert await flow.committed() == 6
    (letter,) = await list_dead_letters(flow.settings, flow.topic.dead_letters)
    assert (letter.value, letter.key) == (poisoned.to_json(), b"k")
    assert letter.headers == (("service", b"hccm"),)
    assert (letter.original_topic, letter.original_offset) == (flow.topic.name, 0)
    assert (letter.service, letter.group) == (flow.service, flow.group)
    assert (letter.error_class, letter.reason) == ("Poison", "no version of this can be read")
    assert (letter.attempts, letter.redriven) == (1, False)
    last = (await flow.statuses(poisoned.request_id))[-1]
    assert (last.status, last.status_msg) == ("error", "dead-lettered: no version of this can be read")
    assert await show(flow.settings, flow.topic.dead_letters, letter.partition, letter.offset) == letter
    assert await show(flow.settings, flow.topic.dead_letters, 0, 99) is None


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"\xff not json", "Invalid JSON"),
        (b"[]", "message: Input should be an object"),
        (b'{"n": 1}', "request_id: Field required"),
        (b"", "the message is empty"),
    ],
)
@pytest.mark.row(23)
async def test_what_cannot_be_decoded_is_dead_lettered_byte_for_byte(flow: Flow, value: bytes, reason: str):
    await flow.send_bytes(value, key=b"\xfe", raw=b"\xfd")
    async with flow.running(flow.consumer(statuses=True)):
        await eventually(lambda: flow.counted("dead_lettered") == 1)
    (letter,) = await list_dead_letters(flow.settings, flow.topic.dead_letters)
    assert (letter.value, letter.key, letter.headers) == (value, b"\xfe", (("raw", b"\xfd"),))
    assert reason in letter.reason


@pytest.mark.row(23)
async def test_a_tombstone_comes_back_as_one(flow: Flow):
    await flow.send_bytes(None, key=b"gone")
    async with flow.running(flow.consumer()):
        await eventually(lambda: flow.counted("dead_lettered") == 1)
    await redrive(flow.settings, flow.topic.dead_letters)
    first, second = await flow.put_back(2)
    assert (second.key, second.value, second.headers) == (first.key, None, ())


async def test_an_invalid_message_that_names_its_request_is_reported(flow: Flow, fresh: Callable):
    request_id = fresh("r")
    await flow.send_bytes(b'{"request_id": "%s", "n": "many"}' % request_id.encode())
    async with flow.running(flow.consumer(statuses=True)):
        await eventually(lambda: flow.counted("dead_lettered") == 1)
    assert [each.status for each in await flow.statuses(request_id)] == ["received", "error"]


@pytest.mark.row(15)
async def test_redrive_puts_each_letter_back_once_however_often_it_runs(flow: Flow):
    bad = [Note(request_id=f"r{n}", key=f"k{n}", n=-1 - n) for n in range(7)]
    await flow.send(bad, service="hccm")
    async with flow.running(flow.consumer(refuse)):
        await eventually(lambda: flow.counted("dead_lettered") == 7)
    assert len(await redrive(flow.settings, flow.topic.dead_letters, limit=3)) == 3

    async def three_are_marked():
        letters = await list_dead_letters(flow.settings, flow.topic.dead_letters)
        assert [letter.redriven for letter in letters] == [True] * 3 + [False] * 4
        return True

    await eventually(three_are_marked)
    assert len(await redrive(flow.settings, flow.topic.dead_letters)) == 4
    assert await redrive(flow.settings, flow.topic.dead_letters) == []

    records = await flow.put_back(14)
    by_place = sorted((record.partition, record.key, record.value, record.headers) for record in records)
    assert by_place[::2] == by_place[1::2]
    assert len(by_place) == 14

    healed: list[int] = []

    async def handle(note: Note, _delivery: Delivery) -> None:
        healed.append(note.n)

    async with flow.running(flow.consumer(handle)):
        await eventually(lambda: len(healed) == 7)
    assert sorted(healed) == sorted(note.n for note in bad)


async def test_a_letter_can_be_put_back_by_name(flow: Flow):
    await flow.send([Note(request_id=f"r{n}", n=-1) for n in range(4)])
    async with flow.running(flow.consumer(refuse)):
        await eventually(lambda: flow.counted("dead_lettered") == 4)
    letters = await list_dead_letters(flow.settings, flow.topic.dead_letters)
    chosen = {(letters[2].partition, letters[2].offset)}
    (put_back,) = await redrive(flow.settings, flow.topic.dead_letters, only=chosen)
    assert put_back.value == letters[2].value
    assert await redrive(flow.settings, flow.topic.dead_letters, only=chosen) == []
    assert len(await redrive(flow.settings, flow.topic.dead_letters)) == 3
    values = sorted(record.value for record in await flow.put_back(8))
    assert values[::2] == values[1::2]
    assert len(values) == 8


async def test_two_redrives_at_once_put_each_letter_back_once(flow: Flow):
    await flow.send([Note(request_id=f"r{n}", n=-1) for n in range(20)])
    async with flow.running(flow.consumer(refuse)):
        await eventually(lambda: flow.counted("dead_lettered") == 20)
    await asyncio.gather(
        *(redrive(flow.settings, flow.topic.dead_letters) for _ in range(2)), return_exceptions=True
    )
    await redrive(flow.settings, flow.topic.dead_letters)
    assert len(await flow.put_back(40)) == 40


async def test_a_redrive_from_a_topic_that_is_not_there_says_so(flow: Flow, fresh: Callable):
    with pytest.raises(Retryable, match="cannot read"):
        await list_dead_letters(flow.settings, fresh("none"), timeout_seconds=20)


async def test_redriven_records_leave_no_lag_behind(flow: Flow):
    await flow.send([Note(request_id="r", key="k", n=-1)])
    async with flow.running(flow.consumer(refuse)):
        await eventually(lambda: flow.counted("dead_lettered") == 1)
    await redrive(flow.settings, flow.topic.dead_letters)
    (first, *_) = await flow.records(flow.topic.name)
    async with flow.running(flow.consumer()):
        await eventually(lambda: flow.counted("processed") == 1)
        # The record and, behind it, the marker that ends its transaction.
        await eventually(lambda: committed_at(flow, first.partition, 3))


async def committed_at(flow: Flow, partition: int, offset: int) -> bool:
    from headrace.bus.admin import admin_client

    async with admin_client(flow.settings) as client:
        offsets = await client.list_consumer_group_offsets(flow.group)
    return offsets[TopicPartition(flow.topic.name, partition)].offset == offset
