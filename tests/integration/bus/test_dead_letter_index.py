from collections.abc import Callable
from typing import Any

import pytest

from headrace.bus.dead_letter_index import DeadLetterIndex, alike
from headrace.bus.dead_letters import list_dead_letters, redrive, show
from headrace.bus.offsets import OffsetReader
from headrace.runtime.errors import Permanent, Poison
from tests.integration.bus.flow import Flow, Note
from tests.integration.bus.test_foreign_dead_letters import lie_there
from tests.raw_records import record
from tests.waiting import eventually


async def refuse(note: Note, _delivery: Any) -> None:
    if note.n % 2:
        raise Permanent(f"the archive {note.request_id} has {note.n} members")
    raise Poison("no version of this can be read")


async def die(flow: Flow, count: int, *, first: int = 0) -> None:
    dead = flow.counted("dead_lettered")
    await flow.send(
        [Note(request_id=f"r{n}", key="k", n=n, org_id="1001") for n in range(first, first + count)]
    )
    async with flow.running(flow.consumer(refuse)):
        await eventually(lambda: flow.counted("dead_lettered") == dead + count)


async def test_letters_are_grouped_by_why_they_died_and_redriven_ones_are_gone(flow: Flow):
    await die(flow, 5)
    topic = flow.topic.dead_letters
    index = DeadLetterIndex(flow.settings, [topic])
    await index.refresh()
    poison, permanent = index.groups()
    assert (poison.count, poison.topic, poison.service, poison.error_class, poison.reason) == (
        3, flow.topic.name, flow.service, "Poison", "no version of this can be read",
    )  # fmt: skip
    assert (permanent.count, permanent.reason) == (2, "Permanent: the archive r… has … members")
    assert permanent.sample_reason == "Permanent: the archive r3 has 3 members"
    assert permanent.oldest <= permanent.newest
    letters = index.letters(permanent.id)
    assert [(letter.request_id, letter.org_id) for letter in letters] == [("r3", "1001"), ("r1", "1001")]
    assert index.letters(permanent.id, limit=1) == letters[:1]
    assert index.letters(permanent.id, after=letters[0].place) == letters[1:]
    assert len(index.letters()) == index.count == 5

    shown = await show(flow.settings, topic, letters[0].partition, letters[0].offset)
    assert shown is not None
    assert shown.reason == letters[0].reason
    await redrive(flow.settings, topic, only={(letter.partition, letter.offset) for letter in letters})

    async def gone() -> bool:
        await index.refresh()
        return [group.error_class for group in index.groups()] == ["Poison"]

    await eventually(gone)
    listed = await list_dead_letters(flow.settings, topic)
    assert [letter.redriven for letter in listed] == [False, True, False, True, False]


async def test_only_what_is_new_is_read_and_no_more_is_kept_than_the_bound(flow: Flow):
    topic = flow.topic.dead_letters
    index = DeadLetterIndex(flow.settings, [topic], max_letters=4)
    await die(flow, 3)
    await index.refresh()
    assert (index.count, index.left_out) == (3, 0)
    async with OffsetReader(flow.settings) as reader:
        snapshot = await reader.read(topics=[topic])
        await index.refresh(snapshot)
        assert index.read_at == snapshot.taken_at
        await die(flow, 3, first=10)
        await index.refresh(await reader.read(topics=[topic]))
    assert (index.count, index.left_out) == (4, 2)
    assert [letter.request_id for letter in index.letters()] == ["r12", "r11", "r10", "r2"]


async def test_foreign_records_and_topics_that_are_not_there_yet_are_passed_over(
    flow: Flow, fresh: Callable[[str], str]
):
    await lie_there(flow, record(b"no letter"))
    index = DeadLetterIndex(flow.settings, [flow.topic.dead_letters, fresh("none.dlq")])
    await index.refresh()
    assert (index.count, sum(index.foreign.values())) == (0, 1)


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("got 17 bytes, expected at most 4096", "got … bytes, expected at most …"),
        ("cluster 0d8b2a4e-1111-2222-3333-444455556666 belongs to another", "cluster … belongs to another"),
        ("no object 9f86d081884c7d65", "no object …"),
        ("the deadbeef facade is added", "the deadbeef facade is added"),
    ],
)
def test_what_varies_between_letters_is_left_out_of_their_common_reason(reason: str, expected: str):
    assert alike(reason) == expected
