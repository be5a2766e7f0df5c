import io
import tarfile
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.archives import Entry, write_archive
from headrace.archives.writer import _Headers
from tests.unit.archives.tars import files
from tests.unit.archives.test_reader import contents

WHEN = datetime(2026, 8, 1, 10, tzinfo=UTC)


@given(contents)
def test_what_it_writes_is_what_the_reader_reads(entries):
    archive = b"".join(write_archive((Entry.of(*entry) for entry in entries), modified=WHEN))
    assert files(archive) == dict(entries)


def test_equal_entries_give_equal_bytes():
    first, second = (
        b"".join(write_archive([Entry.of("a", b"1"), Entry("b", 4, iter([b"22", b"22"]))], modified=WHEN))
        for _ in range(2)
    )
    assert first == second


def test_members_have_the_given_time_mode_0644_and_no_owner():
    archive = b"".join(write_archive([Entry.of("a/é", b"1")], modified=WHEN))
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        (member,) = opened
    assert (member.name, member.mode, member.mtime) == ("a/é", 0o644, WHEN.timestamp())
    assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "", "")


@pytest.mark.parametrize("size_bytes", [1, 3])
def test_a_wrong_size_is_an_error(size_bytes):
    with pytest.raises(ValueError, match="'a' was announced with"):
        list(write_archive([Entry("a", size_bytes, [b"12"])], modified=WHEN))


def test_a_large_entry_is_never_held():
    def chunks() -> Iterator[bytes]:
        for number in range(200):
            yield bytes([number]) * 65_536

    tracemalloc.start()
    try:
        written_bytes = sum(map(len, write_archive([Entry("a", 200 * 65_536, chunks())], modified=WHEN)))
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert written_bytes > 0
    assert peak_bytes < 2_000_000


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=120),
    st.integers(0, 2**35),
    st.sampled_from([0, 1, 1_785_578_400, 0o77777777777, 0o77777777777 + 1, -1]),
)
def test_its_headers_are_those_of_the_standard_library(name, size_bytes, modified_seconds):
    expected = tarfile.TarInfo(name)
    expected.size, expected.mode, expected.mtime = size_bytes, 0o644, modified_seconds
    made = _Headers(modified_seconds).of(name, size_bytes)
    assert made == expected.tobuf(tarfile.PAX_FORMAT)
