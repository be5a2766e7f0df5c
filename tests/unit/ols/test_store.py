"""Files: whole or not there, below their storage whatever an id says."""

import asyncio
import json
import os
import threading
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headrace_services.ols import store
from headrace_services.ols.olsconfig import UserDataCollection
from headrace_services.ols.store import UserData, safe_name, write_file


@given(st.text(st.characters(exclude_categories=["Cs"])) | st.text(["/", ".", "a", "\0"]))
@example("../../etc/passwd")
@example("")
@example("\U0001f600" * 300)
def test_any_id_is_one_name(text: str):
    name = safe_name(text)
    assert name not in {"", ".", ".."}
    assert "/" not in name
    assert "\0" not in name
    assert len(name.encode()) <= 255
    assert safe_name(text) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [("../x", "x"), ("a/../../b", "b"), ("/", "_"), ("a/b", "a_b"), ("user:7", "user:7"), ("uid-7", "uid-7")],
)
def test_plain_ids_stay_as_they_are(text: str, name: str):
    assert safe_name(text) == name


def test_long_ids_stay_apart():
    assert safe_name("x" * 300 + "a") != safe_name("x" * 300 + "b")


def test_a_file_is_there_with_its_content_and_nothing_else(tmp_path: Path):
    path = write_file(tmp_path / "a" / "b", b"{}")
    assert path.read_bytes() == b"{}"
    assert [item for item in tmp_path.rglob("*") if item.is_file()] == [path]


def test_what_could_not_be_written_leaves_nothing(tmp_path: Path, monkeypatch):
    def fails(*_):
        raise OSError(28, "No space left on device")

    for name in ("write", "fsync"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, fails)
            with pytest.raises(OSError, match="No space"):
                write_file(tmp_path, b"{}")
        assert list(tmp_path.iterdir()) == []


def test_its_final_name_is_never_seen_before_its_last_byte(tmp_path: Path, monkeypatch):
    seen, fsync = [], os.fsync

    def looks(descriptor):
        seen.append({path.suffix for path in tmp_path.iterdir()})
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", looks)
    write_file(tmp_path, b"{}")
    assert seen == [{".tmp"}, {".json"}]


def test_a_short_write_is_gone_on_with(tmp_path: Path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, bytes(data[:7])))
    assert write_file(tmp_path, bytes(range(100))).read_bytes() == bytes(range(100))


def test_a_collector_that_removes_empty_directories_is_no_matter(tmp_path: Path):
    """A directory goes between its making and its first file."""
    directory, done = tmp_path / "user" / "conversation", threading.Event()

    def collect():
        while not done.is_set():
            for path in (directory, directory.parent):
                try:
                    path.rmdir()
                except OSError:
                    continue

    collector = threading.Thread(target=collect)
    collector.start()
    try:
        for number in range(20):
            path = write_file(directory, b"%d" % number)
            assert path.read_bytes() == b"%d" % number
            path.unlink()
    finally:
        done.set()
        collector.join()


def test_a_directory_that_is_always_gone_is_an_error(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(Path, "mkdir", lambda *_, **__: None)
    with pytest.raises(FileNotFoundError):
        write_file(tmp_path / "never", b"{}")


def test_what_is_disabled_is_not_written(tmp_path: Path):
    asyncio.run(write_everything(tmp_path))
    assert list(tmp_path.iterdir()) == []


async def write_everything(tmp_path: Path) -> None:
    user_data = UserData(UserDataCollection(feedback_storage=tmp_path / "feedback"))
    assert not user_data.keeps_feedback
    await user_data.feedback({"a": 1})
    await user_data.transcript({"metadata": {"user_id": "u", "conversation_id": "c"}})
    await user_data.configuration({"a": 1})
    await user_data.status({"a": 1})


async def test_writing_does_not_hold_up_the_loop(tmp_path: Path, monkeypatch):
    proceed, create = threading.Event(), store._create

    def slow(path):
        assert proceed.wait(60)
        return create(path)

    monkeypatch.setattr(store, "_create", slow)
    user_data = UserData(UserDataCollection(feedback_disabled=False, feedback_storage=tmp_path / "feedback"))
    writing = asyncio.create_task(user_data.feedback({"a": 1}))
    await asyncio.sleep(0)
    proceed.set()
    await writing
    (path,) = (tmp_path / "feedback").iterdir()
    assert json.loads(path.read_bytes()) == {"a": 1}


async def test_only_what_is_old_is_swept(tmp_path: Path):
    root = tmp_path / "transcripts"
    directory = root / "user" / "conversation"
    kept = write_file(directory, b"{}")
    old, young = directory / ".old.tmp", directory / ".young.tmp"
    for path in (old, young):
        path.write_bytes(b"{")
    for path in (old, kept):
        os.utime(path, (0, 0))
    user_data = UserData(UserDataCollection(transcripts_disabled=False, transcripts_storage=root))
    assert await user_data.sweep() == 1
    assert sorted(directory.iterdir()) == sorted([kept, young])
