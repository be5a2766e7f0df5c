"""What others write to a dead-letter topic is passed over and counted; a redrive leaves by no other door."""

from collections import Counter
from collections.abc import Callable

import pytest

from headrace.bus.admin import ensure_topics
from headrace.bus.dead_letters import list_dead_letters, redrive, show
from headrace.cli.dead_letters import put_back, show_all, show_one
from headrace.contracts.topics import Topic
from headrace.runtime.errors import Poison
from tests.integration.bus.flow import Flow, Note
from tests.raw_records import batch, produce, record
from tests.waiting import eventually


async def refuse(_note: object, _delivery: object) -> None:
    raise Poison("no version of this can be read")


async def one_dead_letter(flow: Flow) -> None:
    await flow.send([Note(request_id="real", n=-1)])
    async with flow.running(flow.consumer(refuse)):
        await eventually(lambda: flow.counted("dead_lettered") == 1)


def told(topic: str, **changed: bytes | None) -> list[tuple[bytes, bytes | None]]:
    """The headers of a dead letter of that topic, some of them otherwise."""
    headers = {"topic": topic.encode(), "partition": b"0", "offset": b"7", "attempts": b"1"} | changed
    return [(b"headrace." + name.encode(), value) for name, value in headers.items()]


async def lie_there(flow: Flow, *records: bytes, timestamp_ms: int = 1_790_000_000_000) -> None:
    batches = (batch(one, timestamp_ms=timestamp_ms) for one in records)
    assert set(await produce(flow.settings.kafka, flow.topic.dead_letters, *batches)) == {"NoError"}


async def test_foreign_records_kill_neither_list_nor_show_nor_redrive(
    flow: Flow, capsys: pytest.CaptureFixture[str]
):
    topic = flow.topic.name
    await lie_there(
        flow,
        record(b"no headers at all"),
        record(b"x", headers=told(topic, partition=b"many")),
        record(b"x", headers=told(topic, offset=b"\xff\xfe")),
        record(b"x", headers=told(topic, attempts=b"9" * 5000)),
        record(b"x", headers=told(topic, offset=None)),
        record(b"x", headers=told(topic, offset="٣".encode())),
        record(None, headers=[(b"headrace.redriven", b"\xff")]),
        record(b"", headers=[(b"headrace.redriven", b"no place")]),
        record(b"x", headers=[(b"gr\xfc\xdfe", b"y")]),
    )
    await lie_there(flow, record(b"x"), timestamp_ms=-(10**15))
    await one_dead_letter(flow)
    skipped: Counter[str] = Counter()
    (letter,) = await list_dead_letters(flow.settings, flow.topic.dead_letters, skipped=skipped)
    assert letter.value == Note(request_id="real", n=-1).to_json()
    assert skipped == {
        "the header headrace.partition is missing": 3,
        "the header headrace.partition is not a number": 1,
        "the header headrace.offset is not a number": 3,
        "the header headrace.attempts is not a number": 1,
    }
    assert await show(flow.settings, flow.topic.dead_letters, letter.partition, letter.offset) == letter

    await show_all(flow.settings, (), topic, as_json=False)
    await show_one(flow.settings, topic, letter.partition, letter.offset)
    await put_back(flow.settings, (), topic, None)
    said = capsys.readouterr()
    assert "no version of this can be read" in said.out
    assert f"{topic}.dlq: 1 redriven" in said.out
    # Whoever is shown one letter is told of no other record.
    assert said.err.count(f"{topic}.dlq: 3 skipped: the header headrace.partition is missing") == 2


async def test_a_redrive_goes_to_no_topic_that_a_header_names(flow: Flow, fresh: Callable[[str], str]):
    other = Topic(fresh("other"), Note, 1)
    await ensure_topics(flow.settings, [other])
    await lie_there(flow, record(b"forged", headers=told(other.name)))
    await one_dead_letter(flow)
    skipped: Counter[str] = Counter()
    (letter,) = await redrive(flow.settings, flow.topic.dead_letters, skipped=skipped)
    assert letter.original_topic == flow.topic.name
    assert skipped == {"the header headrace.topic names another topic": 1}
    assert await flow.records(other.name) == []
    assert len(await flow.put_back(2)) == 2


async def test_a_letter_larger_than_its_topic_allows_does_not_end_a_redrive(flow: Flow):
    await lie_there(flow, record(b"x" * 1_500_000, headers=told(flow.topic.name)))
    await one_dead_letter(flow)
    skipped: Counter[str] = Counter()
    (letter,) = await redrive(flow.settings, flow.topic.dead_letters, skipped=skipped)
    assert letter.value == Note(request_id="real", n=-1).to_json()
    assert skipped == {f"{flow.topic.name} does not accept records of this size": 1}


async def test_what_a_stranger_wrote_does_not_steer_the_terminal(
    flow: Flow, capsys: pytest.CaptureFixture[str]
):
    await lie_there(
        flow, record(b"x", headers=told(flow.topic.name, reason=b"\x1b[2J\x1b]0;title\x07\nnext"))
    )
    await show_all(flow.settings, (), flow.topic.name, as_json=False)
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "\x07" not in said
    assert len(said.splitlines()) == 2
