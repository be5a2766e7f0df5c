"""What is read at once is what the walker reads member by member; what is not ordinary is left to it."""

import gzip
import tarfile
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.archives import (
    ArchiveLimits,
    ArchiveRejected,
    Data,
    Entry,
    MemberEnd,
    MemberStart,
    write_archive,
)
from headrace.archives.headers import Kind
from headrace.archives.ordinary import ordinary_files
from headrace.archives.tar import TarWalker
from tests.unit.archives.tars import BLOCK, END, by_tarfile, file, header, long_name, padded, pax

LIMITS = ArchiveLimits()
HOST = ArchiveLimits(host_tree=True)
TAR = file("config/id", b"1") + file("b.json", b"x" * 600, prefix=b"a/long/way") + file("empty") + END
BYTES = (0, 1, ord("0"), ord("1"), ord("8"), ord(" "), ord("+"), ord("/"), ord("."), ord("\n"), 0x80, 0xFF)


def walked(tar, limits=LIMITS):
    """The files as the walker has them; raises as it does, or AssertionError at what is no file."""
    walker, events = TarWalker(limits), []
    walker.walk(tar, events)
    walker.finish()
    files = []
    for event in events:
        match event:
            case MemberStart(name, _, kind):
                assert kind is Kind.FILE
                pieces = []
            case Data(piece):
                pieces.append(piece)
            case MemberEnd():
                files.append((name, b"".join(pieces)))
    return files


def at_once(tar, limits=LIMITS):
    found = ordinary_files(tar, limits)
    return None if found is None else [(name, bytes(data)) for name, data in found]


@pytest.mark.parametrize(
    "tar",
    [
        TAR,
        TAR[: -len(END)],
        TAR + bytes(10_000),
        file("a.b/c-d_e:f@g", b"1", size_field=b"00000000001 ") + END,
        header("a", flag=b"\0") + END,
        file("a", b"1", magic=b"ustar  \0") + END,
        header("a", 5, size_field=b"\x80" + bytes(10) + b"\x05") + padded(b"12345") + END,
        header("a", 5, size_field=b"000000000005") + padded(b"12345") + END,
        gzip.decompress(by_tarfile([("a/" + "b" * 90, b"1"), ("a/c", b"2")])),
        gzip.decompress(by_tarfile([("x" * 60 + "/" + "y" * 90, b"1")], tarfile.USTAR_FORMAT)),
        gzip.decompress(
            b"".join(
                write_archive(
                    [Entry.of("config/id", b"1"), Entry.of("p/" * 20 + "n" * 50, b"2")],
                    modified=datetime(2026, 1, 1, tzinfo=UTC),
                )
            )
        ),
    ],
    ids=[
        "two blocks of zeros",
        "none",
        "many",
        "a blank after the size",
        "the old kind of a file",
        "GNU",
        "a size in base 256",
        "a size of twelve digits",
        "pax",
        "ustar",
        "our own",
    ],
)
def test_ordinary_files_are_read_at_once(tar):
    assert at_once(tar) == walked(tar)
    assert at_once(tar, HOST) == walked(tar, HOST)


@pytest.mark.parametrize(
    "tar",
    [
        END,
        b"",
        header("d/", flag=b"5") + END,
        header("l", flag=b"2", link=b"a") + END,
        header("l", flag=b"1", link=b"a") + END,
        pax({"path": "é"}) + file("a", b"1") + END,
        long_name(b"a" * 120) + file("a", b"1") + END,
        file("é", b"1") + END,
        file(".hidden", b"1") + END,
        file("./a", b"1") + END,
        file("/a", b"1") + END,
        file("../a", b"1") + END,
        file("a/../b", b"1") + END,
        file("a//b", b"1") + END,
        file("a/", b"") + END,
        file("a\nb", b"1") + END,
        file("a\\b", b"1") + END,
        file("a\x7f", b"1") + END,
        file(b"a\0b", b"1") + END,
        file("", b"1") + END,
        file("", b"1", prefix=b"a") + END,
        file("a", b"1") * 2 + END,
        file("/".join("a" * 40), b"1") + END,
        header("a", 5, size_field=b"-0000000001") + END,
        header("a", 5, size_field=b"00000000009") + END,
        file("a", b"1", checksum=b"000000\0 ") + END,
        file("a", b"1")[:-1],
        file("a", b"1")[: BLOCK + 1],
        file("a")[:100],
        file("a", b"1") + END + b"x",
        file("a", b"1") + bytes(BLOCK) + b"x" * BLOCK,
    ],
    ids=lambda _tar: "tar",
)
def test_the_rest_is_left_to_the_walker(tar):
    assert at_once(tar) is None


@pytest.mark.parametrize(
    "limits",
    [
        replace(LIMITS, max_members=2),
        replace(LIMITS, max_member_bytes=599),
        replace(LIMITS, max_depth=3),
        replace(LIMITS, max_path_bytes=8),
    ],
)
def test_limits_are_left_to_the_walker_as_well(limits):
    assert at_once(TAR, limits) is None
    with pytest.raises(ArchiveRejected):
        walked(TAR, limits)


def test_whatever_one_byte_is_changed_to_both_read_the_same():
    read = 0
    for at in range(len(TAR)):
        for byte in BYTES:
            changed = TAR[:at] + bytes([byte]) + TAR[at + 1 :]
            for tar in (changed, resigned(changed, at)):
                found = at_once(tar)
                if found is not None:
                    read += 1
                    assert found == walked(tar), (at, byte)
    assert read > len(TAR)


def resigned(tar, at):
    """With the right checksum for the header block that holds the place, if one does."""
    start = at // BLOCK * BLOCK
    block = bytearray(tar[start : start + BLOCK])
    if block[257:262] != b"ustar" or 148 <= at - start < 156:
        return tar
    block[148:156] = b"%06o\0 " % (sum(block) - sum(block[148:156]) + 8 * 32)
    return tar[:start] + bytes(block) + tar[start + BLOCK :]


NAMES = st.text(st.sampled_from("ab./\\\n é0"), max_size=12)


@given(st.lists(st.tuples(NAMES, NAMES, st.binary(max_size=20)), max_size=4))
@settings(max_examples=300, deadline=None)
def test_whatever_the_names_are_both_read_the_same(members):
    tar = b"".join(file(name, data, prefix=prefix.encode()) for name, prefix, data in members) + END
    for limits in (LIMITS, HOST):
        found = at_once(tar, limits)
        assert found is None or found == walked(tar, limits)
