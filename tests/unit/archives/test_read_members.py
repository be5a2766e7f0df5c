import asyncio
import random
from contextlib import aclosing
from typing import Any, cast

import pytest

from headrace.archives import ArchiveRejected, read_members
from tests.unit.archives.tars import file, header, packed, stream

ARCHIVE = packed(file("a", b"1" * 5000), header("d", flag=b"5"), file("b", b"2" * 700_000), file("c", b"3"))


async def test_members_come_in_order_with_their_data():
    seen = [
        (member.name, member.is_file, await member.read(10**6))
        async for member in read_members(stream(ARCHIVE))
    ]
    assert seen == [
        ("a", True, b"1" * 5000),
        ("d", False, b""),
        ("b", True, b"2" * 700_000),
        ("c", True, b"3"),
    ]


async def test_unread_data_is_skipped():
    read = {}
    async for member in read_members(stream(ARCHIVE)):
        if member.name == "b":
            async with aclosing(cast("Any", aiter(member))) as pieces:
                await anext(pieces)
        if member.name == "c":
            read[member.name] = await member.read(1)
    assert read == {"c": b"3"}


async def test_data_can_be_streamed():
    sizes = {
        member.name: sum([len(piece) async for piece in member])
        async for member in read_members(stream(ARCHIVE))
    }
    assert sizes == {"a": 5000, "d": 0, "b": 700_000, "c": 1}


async def test_a_member_larger_than_asked_for_is_refused():
    async with aclosing(read_members(stream(ARCHIVE))) as members:
        member = await anext(members)
        with pytest.raises(ArchiveRejected, match="member 'a' has 5000 bytes; the limit is 4999"):
            await member.read(4999)


async def test_leaving_early_asks_for_no_more_chunks():
    asked = 0

    async def counted():
        nonlocal asked
        async for chunk in stream(
            packed(file("first", b"id"), file("rest", random.Random(1).randbytes(10**6)))
        ):
            asked += 1
            yield chunk

    async with aclosing(read_members(counted())) as members:
        async for member in members:
            assert await member.read(10) == b"id"
            break
    assert asked <= 2


async def test_the_members_before_a_fault_are_yielded():
    members = read_members(stream(packed(file("config/id", b"x"), header("l", flag=b"2"))))
    member = await anext(members)
    assert (member.name, await member.read(9)) == ("config/id", b"x")
    with pytest.raises(ArchiveRejected, match="symbolic link"):
        await anext(members)


async def test_a_cut_archive_is_refused_at_its_end():
    with pytest.raises(ArchiveRejected, match="truncated"):
        assert [member async for member in read_members(stream(ARCHIVE[:-4]))]


async def test_others_run_while_an_archive_is_read():
    archive = packed(
        *(file(f"m{number}", b"{}") for number in range(5000)),
        file("large", random.Random(2).randbytes(15 << 20)),
    )
    turns = 0

    async def take_turns():
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    taking = asyncio.create_task(take_turns())
    async for _ in read_members(stream(archive, len(archive))):
        pass
    taking.cancel()
    # The archive came in one piece, and is read in steps of a few milliseconds.
    assert turns > 50
