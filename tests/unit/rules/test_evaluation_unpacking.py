import bz2
import gzip
import io
import lzma
import random
import zipfile
from collections.abc import Callable

import pytest

from headrace.archives import ArchiveLimits, ArchiveRejected
from headrace.rules.evaluation.rules import DEFAULT_LIMITS
from headrace.rules.evaluation.tree import Tree
from headrace.rules.evaluation.unpacking import HELD_BYTES, unpack
from tests.unit.archives.tars import END, file, header, packed

MIB = 1024 * 1024
TAR = file("config/id", b"1") + header("empty/", flag=b"5") + file("a/b/c", b"2") + END
PACKED = {
    "gzip": gzip.compress(TAR),
    "plain": TAR,
    "bzip2": bz2.compress(TAR),
    "xz": lzma.compress(TAR),
    "several bzip2 streams": bz2.compress(TAR[:700]) + bz2.compress(TAR[700:]),
    "several xz streams": lzma.compress(TAR[:700]) + bytes(8) + lzma.compress(TAR[700:]),
}


def contents(tree: Tree) -> dict[str, bytes]:
    return {path: tree.read(path) for path in tree.files}


@pytest.mark.parametrize("how", PACKED)
def test_the_usual_compressions_are_read(how):
    tree = unpack(PACKED[how], DEFAULT_LIMITS)
    assert contents(tree) == {"config/id": b"1", "a/b/c": b"2"}
    assert tree.list_directory("") == ["config", "empty", "a"]


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("config/id", b"1")
    return buffer.getvalue()


# Made when they are needed: a collection has no use for them, and some cost seconds.
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "zip": (zipped, "not gzip but a zip file"),
    "nothing": (lambda: b"", "the upload is empty"),
    "no members": (packed, "contains no files"),
    "only links": (lambda: packed(header("l", flag=b"2", link=b"t")), "contains no files"),
    "bzip2 cut short": (lambda: bz2.compress(TAR)[:-5], "the bzip2 stream is truncated"),
    "xz cut short": (lambda: lzma.compress(TAR)[:-5], "the xz stream is truncated"),
    "plain cut short": (lambda: TAR[:600], "ends inside member"),
    "bzip2 damaged": (lambda: bz2.compress(TAR)[:50] + b"x" * 40, "the bzip2 stream is damaged"),
    "xz damaged": (lambda: lzma.compress(TAR)[:60] + b"x" * 40, "the xz stream is damaged"),
    "xz with a huge dictionary": (
        lambda: lzma.compress(TAR, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 512 * MIB}]),
        "needs too much memory",
    ),
    "noise after bzip2": (lambda: bz2.compress(TAR) + b"noise", "the bzip2 stream is damaged"),
    "bzip2 bomb": (lambda: bz2.compress(bytes(64 * MIB)), "200 times its size"),
    "xz bomb": (lambda: lzma.compress(bytes(64 * MIB)), "200 times its size"),
    "below a file": (lambda: packed(file("a"), file("a/b")), "is below a member that is not a directory"),
    "below a link": (
        lambda: packed(header("l", flag=b"2", link=b"/etc"), file("l/x", b"1")),
        "is below a member",
    ),
    "a link over a directory": (
        lambda: packed(file("l/x", b"1"), header("l", flag=b"2", link=b"/")),
        "named 'l'",
    ),
    "a hard link out": (
        lambda: packed(file("a"), header("l", flag=b"1", link=b"../../x")),
        "which is not an earlier file",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_refuses(case):
    make, reason = REFUSED[case]
    archive = make()
    with pytest.raises(ArchiveRejected) as rejected:
        unpack(archive, DEFAULT_LIMITS)
    assert reason in str(rejected.value)


def test_streams_without_end_are_refused():
    archive = bz2.compress(TAR) + bz2.compress(b"") * 300
    with pytest.raises(ArchiveRejected, match="more than 200 bzip2 streams"):
        unpack(archive, ArchiveLimits(max_gzip_members=200))


def test_an_archive_larger_than_what_is_held_at_first_is_read_whole():
    noise = random.Random(1).randbytes(MIB)
    count = HELD_BYTES // MIB + 3
    tree = unpack(b"".join(file(f"m{number}", noise) for number in range(count)) + END, DEFAULT_LIMITS)
    assert len(tree.files) == count
    assert set(contents(tree).values()) == {noise}


def test_a_plain_tar_has_a_limit_too():
    with pytest.raises(ArchiveRejected, match="more than 1000 bytes"):
        unpack(TAR, ArchiveLimits(max_total_bytes=1000))


def test_hard_links_are_the_file_they_name():
    archive = packed(file("./a/b", b"1"), header("c", flag=b"1", link=b"./a/b"))
    assert contents(unpack(archive, DEFAULT_LIMITS)) == {"a/b": b"1", "c": b"1"}


def test_devices_and_what_stands_among_them_are_left_out():
    archive = packed(header("x/null", flag=b"3"), header("p", flag=b"6"), file("x/dev/log", b"1"), file("a"))
    assert contents(unpack(archive, DEFAULT_LIMITS)) == {"a": b""}


@pytest.mark.parametrize("more", [b"", header("d/", flag=b"5")], ids=["read at once", "walked"])
def test_what_stands_among_devices_is_left_out(more):
    tree = unpack(packed(file("config/id", b"1"), file("host/dev/x", b"2"), more), DEFAULT_LIMITS)
    assert contents(tree) == {"config/id": b"1"}


def test_an_archive_of_more_pieces_than_are_read_at_once_is_whole():
    files = {f"f/{number}": bytes([number]) * MIB for number in range(5)}
    tree = unpack(packed(*(file(name, data) for name, data in files.items())), DEFAULT_LIMITS)
    assert contents(tree) == files
