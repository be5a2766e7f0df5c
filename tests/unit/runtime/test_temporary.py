import errno
import os
from pathlib import Path

import pytest

from headrace.runtime import temporary
from headrace.runtime.errors import Retryable
from tests.disks import small_disk


def write_a_megabyte() -> None:
    with temporary.disk(), temporary.temporary_file() as opened:
        opened.write(bytes(1 << 20))
        opened.flush()


def test_a_full_disk_passes(tmp_path: Path, monkeypatch):
    with small_disk(tmp_path) as disk:
        monkeypatch.setenv("TMPDIR", str(disk.path))
        disk.fill()
        with pytest.raises(Retryable, match=rf"^the disk of {disk.path} \(TMPDIR\) is full$"):
            write_a_megabyte()
        disk.free()
        write_a_megabyte()


def test_a_directory_that_is_not_there_is_said_and_no_other_taken(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "gone"))
    with pytest.raises(Retryable, match=r"gone \(TMPDIR\) cannot be used: No such file or directory"):
        temporary.temporary_file()


@pytest.mark.parametrize(
    ("number", "passes"),
    [
        (errno.ENOSPC, True),
        (errno.EDQUOT, True),
        (errno.EROFS, True),
        (errno.ENFILE, True),
        (errno.EMFILE, True),
        (errno.ENAMETOOLONG, False),
        (errno.ECONNRESET, False),
    ],
)
def test_what_passes(number: int, passes: bool):
    with pytest.raises(Retryable if passes else OSError), temporary.disk("/somewhere"):
        raise OSError(number, os.strerror(number))


def test_what_could_never_fit_is_known(tmp_path: Path):
    with small_disk(tmp_path, mebibytes=4) as disk:
        assert temporary.ever_fits(1 << 20, str(disk.path))
        assert temporary.ever_fits(3 << 20, str(disk.path)) is not disk.mounted
