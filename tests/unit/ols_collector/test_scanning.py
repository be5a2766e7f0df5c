import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace_services.ols_collector.generations import GENERATIONS
from headrace_services.ols_collector.scanning import PARSED_BYTES, Scanner, remove_idle_directories
from headrace_services.ols_collector.snapshot import DataFile, Snapshot, Stamp, chunks
from tests.unit.ols_collector.data import names, write

PLACES = (
    "feedback/f.json",
    "feedback/deeper/f.json",
    "transcripts/t.json",
    "transcripts/user/t.json",
    "transcripts/user/conversation/t.json",
    "transcripts/user/conversation/deeper/t.json",
    "config/c.json",
    "config_status/s.json",
    "root.json",
    "feedback/text.txt",
    "feedback/.hidden.json",
)


def scan(root, generation=2, *subdirs, **terms):
    return Scanner(root, GENERATIONS[generation], subdirs).scan(**terms)


def found(root, generation=2, *subdirs):
    return [file.name for file in scan(root, generation, *subdirs).complete]


@pytest.mark.parametrize("generation", [1, 2])
def test_files_are_found_at_their_exact_depth_kind_by_kind(tmp_path, generation):
    for place in reversed(PLACES):
        write(tmp_path, place)
    assert found(tmp_path, generation) == [
        "feedback/f.json",
        "transcripts/user/conversation/t.json",
        "config/c.json",
    ]


def test_the_exporter_takes_every_depth(tmp_path):
    for place in PLACES:
        write(tmp_path, place)
    expected = {place for place in PLACES if place.endswith(".json") and "hidden" not in place}
    assert set(found(tmp_path, 3)) == expected


def test_allowed_subdirs_are_first_components(tmp_path):
    for place in PLACES:
        write(tmp_path, place)
    allowed = ("feedback", "config")
    assert set(found(tmp_path, 3, *allowed)) == {"feedback/f.json", "feedback/deeper/f.json", "config/c.json"}


def test_within_a_kind_the_oldest_comes_first(tmp_path):
    for number in range(5):
        write(tmp_path, f"feedback/{number}.json", age_seconds=number + 1)
        write(tmp_path, f"config/{number}.json", age_seconds=100 + number)
    assert found(tmp_path) == [f"{kind}/{n}.json" for kind in ("feedback", "config") for n in (4, 3, 2, 1, 0)]


@pytest.mark.parametrize("generation", [2, 3])
def test_links_are_never_followed(tmp_path, generation):
    outside = tmp_path / "outside"
    secret = write(outside, "user/conversation/secret.json")
    root = tmp_path / "root"
    write(root, "feedback/f.json")
    (root / "feedback" / "link.json").symlink_to(secret)
    (root / "transcripts").symlink_to(outside)
    (root / "config").mkdir()
    (root / "config" / "deeper").symlink_to(outside)
    assert found(root, generation) == ["feedback/f.json"]


def test_what_is_no_file_is_passed_over(tmp_path):
    write(tmp_path, "feedback/f.json")
    os.mkfifo(tmp_path / "feedback" / "pipe.json")
    (tmp_path / "feedback" / "directory.json").mkdir()
    assert found(tmp_path) == ["feedback/f.json"]


@pytest.mark.parametrize("text", ["", "{", '{"a":1', '{"a":"x', "[1,2", '{"a":1}}', "no json", "[" * 100_000])
def test_half_written_files_are_left(tmp_path, text):
    write(tmp_path, "feedback/half.json", text)
    result = scan(tmp_path)
    assert (len(result.complete), list(result.incomplete)) == (0, ["feedback/half.json"])


@pytest.mark.parametrize("text", ["{}", "[]", '{"a":NaN}', '{"a":"\\ud800"}', ' {"a":1}\n', "1"])
def test_whatever_pythons_writer_writes_is_complete(tmp_path, text):
    write(tmp_path, "feedback/whole.json", text)
    assert found(tmp_path) == ["feedback/whole.json"]


@pytest.mark.parametrize(
    ("text", "age_seconds", "whole"),
    [
        ('{"a":"%s"}\n', 3600, True),
        ('{"a":"%s"}', 0, False),
        ('{"a":"%s"', 3600, False),
        ("[%s]", 3600, True),
    ],
)
def test_a_large_file_is_judged_by_its_ends_and_its_age(tmp_path, text, age_seconds, whole):
    write(tmp_path, "feedback/large.json", text % ("1" * PARSED_BYTES), age_seconds=age_seconds)
    assert found(tmp_path) == (["feedback/large.json"] if whole else [])


def test_a_time_in_the_future_holds_nothing_for_ever(tmp_path):
    write(tmp_path, "feedback/large.json", "[%s]" % ("1" * PARSED_BYTES), age_seconds=-86400)
    assert found(tmp_path) == ["feedback/large.json"]
    (tmp_path / "empty").mkdir()
    tomorrow = time.time() + 86400
    os.utime(tmp_path / "empty", (tomorrow, tomorrow))
    assert remove_idle_directories(tmp_path, ["empty"]) == 1


def test_directories_are_removed_only_after_they_were_empty_for_a_while(tmp_path):
    write(tmp_path, "a/kept.json")
    for name in ("a/idle", "a/fresh", "b/idle"):
        (tmp_path / name).mkdir(parents=True)
    hour_ago = time.time() - 3600
    for name in ("a/idle", "b/idle"):
        os.utime(tmp_path / name, (hour_ago, hour_ago))
    empty = scan(tmp_path, 3).empty_directories
    assert set(empty) == {"a/idle", "a/fresh", "b/idle"}
    # A file that came meanwhile: the system refuses.
    write(tmp_path, "b/idle/new.json")
    os.utime(tmp_path / "b/idle", (hour_ago, hour_ago))
    assert remove_idle_directories(tmp_path, empty) == 1
    assert not (tmp_path / "a/idle").exists()
    assert (tmp_path / "a/fresh").exists()
    assert names(tmp_path) == {"a/kept.json", "b/idle/new.json"}


def test_earlier_generations_leave_directories(tmp_path):
    (tmp_path / "transcripts/user/conversation").mkdir(parents=True)
    assert scan(tmp_path).empty_directories == []


sizes = st.lists(st.integers(0, 30), max_size=30)


@given(sizes, st.integers(1, 40))
def test_chunks_are_greedy_whole_and_within_the_limit(given_sizes, limit):
    snapshot = Snapshot()
    number = snapshot.directory("feedback")
    for position, size in enumerate(given_sizes):
        snapshot.add(number, f"{position}.json", Stamp(size, position, position))
    split = chunks(snapshot, limit)
    assert [at for chunk in split for at in range(chunk.start, chunk.stop)] == list(range(len(given_sizes)))
    for chunk, following in zip(split, [*split, None][1:], strict=True):
        assert chunk.size_bytes == sum(given_sizes[chunk.start : chunk.stop])
        assert chunk.size_bytes <= limit or len(chunk) == 1
        if following:
            assert chunk.size_bytes + given_sizes[following.start] > limit


@given(st.lists(st.tuples(st.text(min_size=1), st.integers(0, 2**62), st.integers(0, 2**62)), max_size=20))
def test_a_snapshot_gives_back_what_it_took_in_by_age(rows):
    snapshot, expected = Snapshot(), []
    for name, size, mtime in rows:
        number = snapshot.directory("a/b")
        snapshot.add(number, name, Stamp(size, mtime, 7))
        expected.append(DataFile(f"a/b/{name}", Stamp(size, mtime, 7)))
    snapshot.oldest_first()
    assert list(snapshot) == sorted(expected, key=lambda file: file.stamp.mtime_ns)
    assert snapshot.total_bytes == sum(size for _, size, _ in rows)
    rest = snapshot.without({file.name for file in list(snapshot)[:1]})
    assert [file for file in snapshot if file.name in {kept.name for kept in rest}] == list(rest)
