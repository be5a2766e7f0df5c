import io
import json
import tarfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.archives import ArchiveRejected, Entry, write_archive
from headrace.archives.assisted import IndentedArray, compact_entry, read_metadata

A, B = "11111111-2222-4333-8444-555555555555", "22222222-2222-4333-8444-555555555555"


def archive(*entries: Entry) -> bytes:
    return b"".join(write_archive(entries, modified=datetime(2026, 1, 1, tzinfo=UTC)))


async def metadata(content: bytes) -> dict[str, dict[str, str]]:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 100):
            yield content[start : start + 100]

    return await read_metadata(chunks())


async def test_an_archive_may_hold_several_clusters() -> None:
    found = await metadata(
        archive(
            compact_entry(A, "metadata.json", {"git-ref": "a"}),
            compact_entry(B, "events.json", None),
            compact_entry(B, "metadata.json", {"git-ref": "b"}),
            compact_entry(A, "metadata.json.more", {"git-ref": "x"}),
        )
    )
    assert found == {A: {"git-ref": "a"}, B: {"git-ref": "b"}}


async def test_nothing_is_no_events() -> None:
    assert await metadata(b"") == {}
    assert await metadata(archive()) == {}


async def test_the_same_metadata_twice_is_fine_and_different_ones_are_not() -> None:
    one = compact_entry(A, "metadata.json", {"git-ref": "a"})
    other = compact_entry(A, "old/metadata.json", {"git-ref": "a"})
    assert await metadata(archive(one, other)) == {A: {"git-ref": "a"}}
    with pytest.raises(ArchiveRejected, match="two different metadata objects for cluster"):
        await metadata(archive(one, compact_entry(A, "old/metadata.json", {"git-ref": "b"})))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"no gzip" * 100, "not gzip"),
        (archive(Entry.of("metadata.json", b"{}")), "outside the clusters' directories"),
        (archive(Entry.of(f"{A}/metadata.json", b"{")), "is not JSON"),
        (archive(Entry.of(f"{A}/metadata.json", b"[]")), "is not a JSON object"),
        (archive(compact_entry(A, "metadata.json", {}))[:-20], "truncated"),
    ],
)
async def test_what_is_no_such_archive_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(ArchiveRejected, match=reason):
        await metadata(content)


async def test_a_folder_of_its_own_is_no_member() -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        folder = tarfile.TarInfo(A)
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        tar.addfile(tarfile.TarInfo(f"{A}/events.json"))
    assert await metadata(buffer.getvalue()) == {A: {}}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.lists(st.lists(st.dictionaries(st.text("abc", max_size=3), JSON, max_size=4), max_size=3), max_size=3)
)
def test_an_array_made_in_pieces_is_the_whole_arrays_text(batches: list[list[dict[str, object]]]) -> None:
    array = IndentedArray()
    text = b"".join([*(array.add(batch) for batch in batches), array.end()]).decode()
    items = [item for batch in batches for item in batch]
    assert text == (json.dumps(items, indent=1, ensure_ascii=False) if items else "null")
