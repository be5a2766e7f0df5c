"""Whatever lies on a topic, its consumer comes past it: each record ends, and what follows is handled."""

import asyncio
import hashlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import NewTopic

from headrace.bus.admin import admin_client
from headrace.bus.consumer import Delivery
from headrace.bus.dead_letters import list_dead_letters, redrive
from headrace.contracts.message import utc_now
from headrace.contracts.topics import Topic
from headrace.local.supervisor import EngineStatus
from headrace.local.tools import write_tools
from headrace.runtime.errors import Poison
from tests.integration.bus.flow import Flow, Note
from tests.raw_records import CODECS, batch, bomb, produce, record
from tests.waiting import eventually

GOOD = Note(request_id="good", n=1).to_json()


async def past(
    flow: Flow, *batches: bytes, statuses: bool = True, **ended: int
) -> list[tuple[Note, Delivery]]:
    """Send the batches and one good message behind them; what the handler saw until all had ended."""
    seen: list[tuple[Note, Delivery]] = []

    async def handle(note: Note, delivery: Delivery) -> None:
        seen.append((note, delivery))

    said = await produce(flow.settings.kafka, flow.topic.name, *batches, batch(record(GOOD)))
    assert said == ["NoError"] * len(said)
    async with flow.running(flow.consumer(handle, statuses=statuses)) as (task,):
        await eventually(lambda: task.done() or (seen and seen[-1][0].request_id == "good"))
        assert not task.done(), task
        for outcome, count in ended.items():
            await eventually(lambda outcome=outcome, count=count: flow.counted(outcome) == count)

        async def committed() -> bool:
            return await flow.committed() == len(seen) + ended.get("dead_lettered", 0)

        await eventually(committed)
    return seen


@pytest.mark.parametrize("codec", CODECS)
async def test_kafkas_own_producer_may_compress_as_it_likes(flow: Flow, tmp_path: Path, codec: str):
    kafka = flow.settings.kafka
    urls: dict[Any, str] = {
        "kafka": kafka,
        "postgres": "postgresql://u:p@127.0.0.1:1/p",
        "s3": "http://u:p@127.0.0.1:1",
    }
    engines = [
        EngineStatus(name=name, product="", version="", url=url, address=url, credentials={}, state="ready")
        for name, url in urls.items()
    ]
    tools = await write_tools(tmp_path, engines, print)
    process = await asyncio.create_subprocess_exec(
        tools / "kafka-console-producer",
        "--bootstrap-server",
        flow.settings.kafka,
        "--topic",
        flow.topic.name,
        "--compression-codec",
        codec,
        stdin=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, complained = await asyncio.wait_for(process.communicate(GOOD + b"\n"), 60)
    assert process.returncode == 0, complained.decode()
    async with flow.running(flow.consumer()):
        await eventually(lambda: flow.counted("processed") == 1)


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_a_topic_may_compress_as_it_likes(flow: Flow, fresh: Callable[[str], str], codec: str):
    flow.topic = Topic(fresh("notes"), Note, 1)
    async with admin_client(flow.settings) as client:
        await client.create_topics(
            [NewTopic(flow.topic.name, 1, 1, topic_configs={"compression.type": codec})]
        )
    await flow.send([Note(request_id=f"r{n}", n=n) for n in range(20)])
    async with flow.running(flow.consumer()):
        await eventually(lambda: flow.counted("processed") == 20)


DEEP = b"[" * 1000 + b"]" * 1000
NINES = b"9" * 5000


@pytest.mark.parametrize(
    "value",
    [
        DEEP,
        b'{"a":' * 1000 + b"1" + b"}" * 1000,
        b'{"request_id": %s}' % DEEP,
        b'{"request_id": "r", "account": %s}' % DEEP,
        b'{"request_id": "r", "n": %s}' % NINES,
        b'{"request_id": "r", "n": NaN}',
        b'{"request_id": "\\ud800", "n": 1}',
        b'{"request_id": "r\\u0000", "n": "x\\u0000"}',
        b'{"request_id": "%s", "n": "x"}' % (b"r" * 900_000),
        b'{"request_id": "r", "n": "x", "org_id": "%s"}' % (b"o" * 900_000),
        b'{"request_id": "r", "request_id": 5, "n": 1}',
        b"\0" * 100,
    ],
    ids=range(12),
)
async def test_what_is_no_message_is_dead_lettered_and_the_next_is_handled(flow: Flow, value: bytes):
    await past(flow, batch(record(value)), dead_lettered=1)
    (letter,) = await list_dead_letters(flow.settings, flow.topic.dead_letters)
    assert letter.value == value


@pytest.mark.parametrize(
    "timestamp_ms", [-(10**15), -(2**63) + 1, -1, 0, 1, 1_700_000_000, 10**15, 253_402_300_800_000, 2**62]
)
async def test_a_time_that_cannot_be_is_the_time_of_reading(
    flow: Flow, fresh: Callable[[str], str], timestamp_ms: int
):
    async with admin_client(flow.settings) as client:
        flow.topic = Topic(fresh("notes"), Note, 1)
        anything = {"message.timestamp.after.max.ms": str(2**63 - 1)}
        await client.create_topics([NewTopic(flow.topic.name, 1, 1, topic_configs=anything)])
    began = utc_now()
    ((_, delivery), _) = await past(
        flow, batch(record(GOOD.replace(b"good", b"timed")), timestamp_ms=timestamp_ms)
    )
    assert began <= delivery.timestamp <= utc_now()
    assert delivery.timestamp - began < timedelta(seconds=60)


async def test_a_time_that_can_be_is_kept(flow: Flow):
    ((_, delivery), _) = await past(
        flow, batch(record(GOOD.replace(b"good", b"timed")), timestamp_ms=1_500_000_000_123)
    )
    assert delivery.timestamp.isoformat() == "2017-07-14T02:40:00.123000+00:00"


async def test_a_header_whose_name_is_no_text_stops_nobody(flow: Flow):
    headers = [(b"gr\xfc\xdfe", b"\xff"), (b"", None), (b"\0", b"")]
    sent = GOOD.replace(b"good", b"latin")
    ((note, delivery), _) = await past(flow, batch(record(sent, headers=headers)))
    assert note.request_id == "latin"
    assert delivery.headers == {"gr\\xfc\\xdfe": "\ufffd", "": "", "\0": ""}


async def test_a_dead_letter_keeps_such_headers_escaped(flow: Flow):
    await past(
        flow,
        batch(record(b"no", key=b"\xff", headers=[(b"gr\xfc\xdfe", b"\xff"), (b"n", None)])),
        dead_lettered=1,
    )
    (letter,) = await list_dead_letters(flow.settings, flow.topic.dead_letters)
    assert (letter.key, letter.value) == (b"\xff", b"no")
    assert letter.headers == (("gr\\xfc\\xdfe", b"\xff"), ("n", None))


async def test_a_batch_that_inflates_without_end_is_dead_lettered(flow: Flow):
    body = bomb(200 * 1024 * 1024)
    await past(flow, batch(codec="zstd", compressed=body, count=1), dead_lettered=1)
    (letter,) = await list_dead_letters(flow.settings, flow.topic.dead_letters)
    assert (letter.error_class, letter.partial) == ("UnreadableRecord", "unreadable")
    assert "cannot be decompressed" in letter.reason
    assert await redrive(flow.settings, flow.topic.dead_letters) == []


async def test_what_is_larger_than_a_dead_letter_leaves_its_head_its_size_and_its_digest(
    flow: Flow, fresh: Callable[[str], str]
):
    async with admin_client(flow.settings) as client:
        large = {"max.message.bytes": str(20 * 1024 * 1024)}
        flow.topic = Topic(fresh("notes"), Note, 1)
        await client.create_topics([NewTopic(flow.topic.name, 1, 1, topic_configs=large)])
        await client.create_topics([NewTopic(flow.topic.dead_letters, 1, 1)])
    values = [b"\xff" + bytes([n]) * 5_000_000 for n in range(2)]
    headers = [(b"service", b"hccm"), (b"large", b"x" * 1_500_000)]
    await past(
        flow, *(batch(record(value, key=b"k" * 5000, headers=headers)) for value in values), dead_lettered=2
    )
    found = await list_dead_letters(flow.settings, flow.topic.dead_letters)
    assert [letter.partial for letter in found] == ["head"] * 2
    for letter, value in zip(found, values, strict=True):
        assert value.startswith(letter.value)
        assert len(letter.value) == 64 * 1024
        assert (letter.size, letter.sha256) == (len(value), hashlib.sha256(value).hexdigest())
        assert letter.headers == (("service", b"hccm"),)
    assert [(letter.original_partition, letter.original_offset) for letter in found] == [(0, 0), (0, 1)]
    # Half a record is nothing to put back.
    assert await redrive(flow.settings, flow.topic.dead_letters) == []


async def test_a_topic_that_takes_but_little_gets_the_story_alone(flow: Flow, fresh: Callable[[str], str]):
    async with admin_client(flow.settings) as client:
        flow.topic = Topic(fresh("notes"), Note, 1)
        await client.create_topics([NewTopic(flow.topic.name, 1, 1)])
        small = {"max.message.bytes": "4096"}
        await client.create_topics([NewTopic(flow.topic.dead_letters, 1, 1, topic_configs=small)])
    await past(flow, batch(record(b"\xff" * 100_000)), dead_lettered=1)
    (letter,) = await list_dead_letters(flow.settings, flow.topic.dead_letters)
    assert (letter.value, letter.size) == (b"", 100_000)


async def test_our_own_headers_from_a_stranger_do_not_hide_his_dead_letter(flow: Flow):
    forged = [(b"headrace.redriven", b"0:0"), (b"headrace.tombstone", b"true"), (b"headrace.topic", b"other")]
    await past(flow, batch(record(b"no", headers=forged)), dead_lettered=1)
    (letter,) = await list_dead_letters(flow.settings, flow.topic.dead_letters)
    assert (letter.original_topic, letter.value, letter.headers) == (flow.topic.name, b"no", ())


async def test_a_reason_that_no_encoder_takes_is_still_told(flow: Flow, fresh: Callable[[str], str]):
    async def refuse(note: Note, _delivery: Delivery) -> None:
        raise Poison("half a character \ud83d and \0 in it")

    note = Note(request_id=fresh("r"))
    await flow.send([note])
    async with flow.running(flow.consumer(refuse, statuses=True)):
        await eventually(lambda: flow.counted("dead_lettered") == 1)
    last = (await flow.statuses(note.request_id))[-1]
    assert last.status_msg == "dead-lettered: half a character \\ud83d and \\0 in it"
