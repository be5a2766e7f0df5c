import tarfile
import zipfile
from collections.abc import AsyncIterator
from io import BytesIO

import pytest

from headrace.samples.cost_columns import POD_USAGE, ROS_CONTAINER, ROS_NAMESPACE
from headrace_services.koku.columns import HEADER_BYTES, ros_kind
from headrace_services.koku.peeking import first_line, peeked


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


def packed(kind: str) -> bytes:
    """A ROS CSV in something that is no CSV, and is not compressed."""
    text = ",".join(ROS_CONTAINER).encode() + b"\nrow\n"
    made = BytesIO()
    if kind == "tar":
        with tarfile.open(fileobj=made, mode="w") as archive:
            member = tarfile.TarInfo("a.csv")
            member.size = len(text)
            archive.addfile(member, BytesIO(text))
    elif kind == "tar whose first name ends its line":
        with tarfile.open(fileobj=made, mode="w") as archive:
            archive.addfile(tarfile.TarInfo(f",{','.join(ROS_CONTAINER[:20])}\n"))
    elif kind == "zip":
        with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr("a.csv", b"\n" + text)
    else:
        made.write(text.decode().encode(kind))
    return made.getvalue()


@pytest.mark.parametrize(
    "kind", ["tar", "tar whose first name ends its line", "zip", "utf-16", "utf-16-le", "utf-32"]
)
def test_a_csv_packed_in_something_binary_is_no_csv(kind: str):
    assert ros_kind(packed(kind)) is None


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
