import os
import tracemalloc

import pytest

from headrace_services.ols_collector.generations import GENERATIONS, MARKER, MIB
from headrace_services.ols_collector.guard import Guard
from headrace_services.ols_collector.packing import Archive, Changed
from headrace_services.ols_collector.scanning import Scanner
from headrace_services.ols_collector.snapshot import chunks
from tests.unit.ols_collector.data import members, names, write


def archive_of(root, generation=2):
    snapshot = Scanner(root, GENERATIONS[generation]).scan().complete
    (chunk,) = chunks(snapshot, 100 * MIB)
    return Archive(root, snapshot, chunk, marker=GENERATIONS[generation].marker)


def packed(archive):
    return b"".join(archive.pieces())


@pytest.fixture
def three(tmp_path):
    write(tmp_path, "feedback/f.json", '{"f":1}')
    write(tmp_path, "transcripts/user/conversation/t.json", '{"t":1}')
    write(tmp_path, "config/c.json", '{"c":1}')
    return tmp_path


def test_members_are_named_as_below_the_root(three):
    assert members(packed(archive_of(three))) == {
        "feedback/f.json": b'{"f":1}',
        "transcripts/user/conversation/t.json": b'{"t":1}',
        "config/c.json": b'{"c":1}',
    }


def test_the_first_generation_ends_with_an_empty_marker(three):
    found = members(packed(archive_of(three, 1)))
    assert list(found)[-1] == MARKER
    assert found[MARKER] == b""


def test_equal_files_give_equal_bytes_and_an_equal_request_id(three):
    first, second = archive_of(three), archive_of(three)
    assert packed(first) == packed(first) == packed(second)
    assert first.request_id("cluster") == second.request_id("cluster")
    assert first.request_id("cluster") != first.request_id("another")
    assert len(bytes.fromhex(first.request_id("cluster"))) == 16


def test_a_changed_file_gives_another_request_id(three):
    before = archive_of(three).request_id("cluster")
    write(three, "feedback/f.json", '{"f":2,"longer":1}')
    assert archive_of(three).request_id("cluster") != before


def test_a_file_that_changed_since_the_scan_is_neither_packed_nor_removed(three):
    archive = archive_of(three)
    write(three, "feedback/f.json", '{"f":"another"}')
    assert "feedback/f.json" not in members(packed(archive))
    assert len(list(archive.remove_packed())) == 2
    assert names(three) == {"feedback/f.json"}


def test_a_file_that_changed_since_it_was_packed_stays(three):
    archive = archive_of(three)
    packed(archive)
    write(three, "feedback/f.json", '{"f":"another"}')
    assert {gone for _, gone in archive.remove_packed()} == {True}
    assert names(three) == {"feedback/f.json"}


def test_a_file_that_became_a_link_is_not_followed(three, tmp_path_factory):
    archive = archive_of(three)
    secret = write(tmp_path_factory.mktemp("outside"), "secret.json", '{"s":1}')
    (three / "feedback/f.json").unlink()
    (three / "feedback/f.json").symlink_to(secret)
    assert "feedback/f.json" not in members(packed(archive))
    list(archive.remove_packed())
    assert (three / "feedback/f.json").is_symlink()


def test_when_nothing_is_left_there_is_no_archive(three):
    archive = archive_of(three, 1)
    for name in names(three):
        (three / name).unlink()
    assert packed(archive) == b""


def test_a_file_that_is_cut_while_it_is_read_ends_the_archive(tmp_path):
    path = write(tmp_path, "feedback/f.json", f'{{"f":"{os.urandom(MIB // 4).hex()}"}}')
    archive = archive_of(tmp_path)
    pieces = archive.pieces()
    next(pieces)
    os.truncate(path, 1)
    with pytest.raises(Changed, match=r"feedback/f\.json"):
        list(pieces)


def test_memory_does_not_grow_with_the_chunk(tmp_path, record_property):
    """Weak point: tar, copy and multipart copy were three times the chunk."""
    for number in range(8):
        write(tmp_path, f"feedback/{number}.json", f'{{"f":"{os.urandom(MIB // 2).hex()}"}}', age_seconds=60)
    archive = archive_of(tmp_path)
    tracemalloc.start()
    try:
        size = sum(map(len, archive.pieces()))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    record_property("figures", f"packing 8 MiB into {size / MIB:.1f} MiB held {peak / MIB:.2f} MiB at most")
    assert peak < MIB


def guard(root, limit_bytes):
    return Guard(Scanner(root, GENERATIONS[2]), limit_bytes)


def test_the_guard_deletes_the_oldest_first_whatever_their_kind(tmp_path):
    """Weak point: upstream's deleted arbitrary files."""
    for number, kind in enumerate(("config", "feedback", "config", "feedback")):
        write(tmp_path, f"{kind}/{number}.json", "1" * 10, age_seconds=100 - number)
    assert guard(tmp_path, 25).enforce() == 2
    assert names(tmp_path) == {"config/2.json", "feedback/3.json"}


def test_the_guard_leaves_less_than_the_limit(tmp_path):
    for number in range(4):
        write(tmp_path, f"feedback/{number}.json", "1" * 10, age_seconds=100 - number)
    assert guard(tmp_path, 40).enforce() == 0
    assert guard(tmp_path, 20).enforce() == 3


def test_the_guard_counts_half_written_files_too(tmp_path):
    write(tmp_path, "feedback/half.json", "{" * 10, age_seconds=100)
    write(tmp_path, "feedback/whole.json", "1" * 10)
    assert guard(tmp_path, 15).enforce() == 1
    assert names(tmp_path) == {"feedback/whole.json"}
