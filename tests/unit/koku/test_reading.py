from collections.abc import AsyncIterator

import pytest

from headrace.samples.cost_columns import POD_USAGE, ROS_CONTAINER, ROS_NAMESPACE
from services.koku.columns import HEADER_BYTES, ros_kind
from services.koku.peeking import first_line, peeked


async def stream(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\nrows,of,data"])
@pytest.mark.parametrize("quote", ["", '"'])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize(
    ("columns", "kind"), [(ROS_CONTAINER, "container"), (ROS_NAMESPACE, "namespace"), (POD_USAGE, None)]
)
def test_a_csv_is_known_by_its_header(
    columns: tuple[str, ...], kind: str | None, bom: bytes, quote: str, end: bytes
):
    line = ",".join(f"{quote}{column}{quote}" for column in reversed(columns))
    assert ros_kind(bom + line.encode() + end) == kind


@pytest.mark.parametrize(
    "head", [b"", b"\n" + ",".join(ROS_CONTAINER).encode(), b"x" * HEADER_BYTES, bytes(range(256))]
)
def test_whatever_else_is_no_ros_csv(head: bytes):
    assert ros_kind(head) is None


@pytest.mark.parametrize("size", [1, 3, 100])
async def test_what_was_looked_at_is_still_in_the_stream(size: int):
    text = b"first line\nsecond line\n"
    chunks = [text[at : at + size] for at in range(0, len(text), size)]
    head, whole = await peeked(stream(*chunks), first_line(1000))
    assert text.startswith(head)
    assert b"\n" in head
    assert b"".join([chunk async for chunk in whole]) == text


async def test_no_more_is_held_than_was_asked_for():
    taken = []

    async def endless() -> AsyncIterator[bytes]:
        while True:
            taken.append(1)
            yield b"x" * 10

    head, _ = await peeked(endless(), first_line(100))
    assert (len(head), len(taken)) == (100, 10)


async def test_an_empty_stream_begins_with_nothing():
    head, whole = await peeked(stream(), first_line(100))
    assert (head, [chunk async for chunk in whole]) == (b"", [])
