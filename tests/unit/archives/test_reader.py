import gzip
import random
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.archives import ArchiveLimits, ArchiveRejected
from headrace.archives.inflate import STEP_BYTES
from tests.unit.archives.tars import (
    BLOCK,
    END,
    by_tarfile,
    file,
    files,
    gz,
    header,
    long_name,
    packed,
    padded,
    parse,
    pax,
    read_by_tarfile,
)

segments = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\"), min_size=1, max_size=40
).filter(lambda segment: segment not in {".", ".."})
names = st.lists(segments, min_size=1, max_size=6).map("/".join).filter(lambda name: len(name.encode()) < 900)
contents = st.lists(st.tuples(names, st.binary(max_size=2000)), max_size=8, unique_by=lambda entry: entry[0])
formats = st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])


@given(contents, formats)
def test_it_reads_what_the_standard_library_reads(entries, tar_format):
    try:
        archive = by_tarfile(entries, tar_format)
    except ValueError:  # a name ustar cannot hold
        archive = by_tarfile(entries, tarfile.PAX_FORMAT)
    assert [(name, data) for _, name, data in parse([archive])] == read_by_tarfile(archive) == entries


@given(contents, formats, st.data())
def test_any_split_of_the_bytes_gives_the_same_members(entries, tar_format, data):
    try:
        archive = by_tarfile(entries, tar_format)
    except ValueError:
        archive = by_tarfile(entries, tarfile.GNU_FORMAT)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(archive)), max_size=12)))
    chunks = [archive[start:end] for start, end in zip([0, *cuts], [*cuts, len(archive)], strict=True)]
    assert parse(chunks) == parse([archive])


@pytest.mark.parametrize(
    "archive",
    [
        packed(file("ok", b"x" * 700), file("../up")),
        packed(file("ok"), header("gone", flag=b"2", link=b"/etc/passwd")),
        packed(
            pax({"path": "a" * 300}), file("short"), file("a" * 99, b"y"), pax({"size": "nine"}), file("b")
        ),
        gz(b"not a tar at all" * 100),
        b"PK\x03\x04 and the rest of a zip file",
        packed(file("cut", b"z" * 3000))[:-9],
        packed(file("whole")) + b"and then some",
    ],
)
def test_any_split_of_a_bad_archive_gives_the_same_reason(archive):
    def reason(chunks):
        with pytest.raises(ArchiveRejected) as rejected:
            parse(chunks)
        return str(rejected.value)

    whole = reason([archive])
    assert reason([archive[at : at + 1] for at in range(len(archive))]) == whole
    chooser = random.Random(7)
    for _ in range(30):
        cut = chooser.randrange(len(archive))
        assert reason([archive[:cut], archive[cut:]]) == whole


def test_large_members_come_in_bounded_pieces():
    content = random.Random(1).randbytes(STEP_BYTES // 2) * 11
    assert files(packed(file("large", content))) == {"large": content}


def test_several_gzip_members_are_one_stream_and_zeros_may_follow():
    tar = file("a", b"1" * 1000) + file("b", b"2") + END
    archive = b"".join(gzip.compress(tar[at : at + 300]) for at in range(0, len(tar), 300))
    assert files(archive + bytes(5000)) == {"a": b"1" * 1000, "b": b"2"}


def test_an_archive_without_its_closing_blocks_is_whole_when_its_gzip_stream_is():
    assert files(gz(file("a", b"1"))) == {"a": b"1"}


def test_an_archive_of_no_members_is_whole():
    assert files(gz(END)) == {}


def test_names_lose_their_dots_and_empty_parts():
    archive = packed(header("./", flag=b"5"), header("./x//", flag=b"5"), file("./x//y/./z", b"1"))
    assert parse([archive]) == [("directory", ".", b""), ("directory", "x", b""), ("file", "x/y/z", b"1")]


def test_a_directory_may_be_listed_again():
    assert [name for _, name, _ in parse([packed(header("d", flag=b"5"), header("d/", flag=b"5"))])] == [
        "d",
        "d",
    ]


def test_a_cut_name_ending_in_a_slash_makes_no_directory_of_a_file_with_a_long_name():
    assert files(packed(long_name(b"d/" * 20 + b"n"), file("d/", b"1"))) == {"d/" * 20 + "n": b"1"}


def test_an_old_header_marks_a_directory_by_its_slash():
    assert parse([packed(header("d/", flag=b"\0", magic=b""))]) == [("directory", "d", b"")]


def test_the_ustar_prefix_belongs_to_the_name_and_the_gnu_one_does_not():
    assert list(files(packed(file("n", prefix=b"some/where")))) == ["some/where/n"]
    assert list(files(packed(file("n", magic=b"ustar  \0", prefix=b"00000000001")))) == ["n"]


def test_sizes_may_be_base_256():
    block = header("n", size_field=b"\x80" + (5).to_bytes(11, "big"))
    assert files(packed(block, padded(b"12345"))) == {"n": b"12345"}


def test_checksums_of_signed_bytes_are_accepted():
    block = bytearray(header("é"))
    signed = sum(byte - 256 if byte > 127 else byte for byte in block) - sum(block[148:156]) + 8 * 32
    block[148:156] = b"%06o\0 " % signed
    assert list(files(packed(bytes(block)))) == ["é"]


def test_a_pax_path_and_size_overrule_the_header():
    archive = packed(pax({"mtime": "1.5", "path": "long/é", "size": "3"}), header("n", 0), padded(b"abc"))
    assert files(archive) == {"long/é": b"abc"}


def test_a_global_pax_header_counts_until_a_member_says_otherwise():
    archive = packed(
        pax({"comment": "x", "size": "3"}, b"g"),
        header("a", 0),
        padded(b"abc"),
        pax({"size": ""}),
        file("b", b"12"),
    )
    assert files(archive) == {"a": b"abc", "b": b"12"}


def test_a_gnu_long_name_overrules_the_header():
    name = "d/" + "n" * 400
    assert files(packed(long_name(name.encode()), file("cut", b"1"))) == {name: b"1"}


REFUSED = {
    "a symbolic link": (header("l", flag=b"2", link=b"t"), "member 'l' is a symbolic link"),
    "a hard link": (header("l", flag=b"1", link=b"t"), "is a hard link"),
    "a character device": (header("l", flag=b"3"), "is a character device"),
    "a block device": (header("l", flag=b"4"), "is a block device"),
    "a FIFO": (header("l", flag=b"6"), "is a FIFO"),
    "a GNU sparse file": (header("l", flag=b"S"), "is a sparse file"),
    "a pax sparse file": (pax({"GNU.sparse.major": "1"}) + file("l"), "is a sparse file"),
    "a long link": (header("l", flag=b"K"), "a link with a long target"),
    "an unknown kind": (header("l", flag=b"Z"), "of the unknown kind 'Z'"),
    "an absolute name": (file("/etc/passwd"), "member '/etc/passwd' has an absolute name"),
    "a parent": (file("a/../../b"), "member 'a/../../b' has '..' in its name"),
    "a NUL": (file(b"a\0b"), "has a NUL in its name"),
    "a NUL in pax": (pax({"path": b"a\0b"}) + file("n"), "backslash or a control character"),
    "a NUL in a long name": (long_name(b"a\0b") + file("n"), "backslash or a control character"),
    "a newline": (file("a\nb"), r"member 'a\nb' has a backslash or a control character"),
    "a backslash": (file("a\\b"), "backslash or a control character"),
    "a name that is not UTF-8": (file(b"\xff\xfe"), r"member '\\xff\\xfe' has a name that is not UTF-8"),
    "an empty name": (file(""), "a member has an empty name"),
    "a file named as the root": (file("."), "a file has an empty name"),
    "a duplicate": (file("a", b"1") + file("./a", b"2"), "two members are named 'a'"),
    "a file over a directory": (header("a", flag=b"5") + file("a"), "two members are named 'a'"),
    "a directory with data": (header("d", 5, b"5") + padded(b"12345"), "is a directory with data"),
    "a wrong checksum": (header("a", checksum=b"0001234\0"), "wrong checksum"),
    "a size that is no number": (header("a", size_field=b"12x"), "a size that is not a number"),
    "a negative size": (header("a", size_field=b"\xff" * 12), "a size that is not a number"),
    "a huge base-256 size": (header("a", size_field=b"\x80" + b"\x7f" * 11), "the limit is 268435456"),
    "a malformed pax header": (header("p", 8, b"x") + padded(b"99 a=b\n "), "a pax header is malformed"),
    "two pax headers": (pax({"path": "a"}) + pax({"path": "b"}) + file("n"), "more than one pax header"),
    "two long names": (long_name(b"a") + long_name(b"b") + file("n"), "more than one GNU long-name header"),
    "a pax header of nothing": (pax({"path": "a"}), "a header whose member is missing"),
    "data after the end": (file("a") + END + file("b"), "the archive is followed by more data"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_refuses(case):
    blocks, reason = REFUSED[case]
    with pytest.raises(ArchiveRejected) as rejected:
        parse([packed(file("before"), blocks)])
    assert reason in str(rejected.value)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the upload is empty"),
        (b"\x1f", "starts with 1f"),
        (b"PK\x03\x04", "a zip file"),
        (b"\xfd7zXZ\0", "xz"),
        (file("a") + END, "a plain tar"),
        (b"\0" * 2000, "starts with 00 00 00 00"),
        (gz(b""), "the archive is empty"),
        (gz(b"hello"), "inside a tar header"),
        (gz(b"x" * BLOCK), "this is not a tar"),
        (packed(file("a"))[:-1], "truncated"),
        (packed(file("a"))[:-8] + bytes(8), "damaged"),
        (packed(file("a")) + b"junk", "followed by bytes that are not gzip"),
        (gz(file("a", b"x" * 1000)[:900]), "the archive ends inside member 'a'"),
    ],
)
def test_it_names_what_is_not_a_whole_archive(data, reason):
    with pytest.raises(ArchiveRejected, match=reason):
        parse([data])


@pytest.mark.parametrize(
    ("limits", "blocks", "reason"),
    [
        (ArchiveLimits(max_members=2), [file("a"), file("b"), file("c")], "more than 2 members"),
        (ArchiveLimits(max_total_bytes=2000), [file("a", b"x" * 3000)], "more than 2000 bytes"),
        (
            ArchiveLimits(max_member_bytes=9),
            [file("a", b"x" * 10)],
            "member 'a' has 10 bytes; the limit is 9",
        ),
        (ArchiveLimits(max_depth=2), [file("a/b/c")], "deeper than 2 directories"),
        (ArchiveLimits(max_path_bytes=5), [file("éé/é")], "longer than 5 bytes"),
        (ArchiveLimits(max_ratio=10, ratio_floor_bytes=999), [file("a", bytes(99999))], "10 times its size"),
        (ArchiveLimits(max_extension_bytes=99), [long_name(b"n" * 99)], "has 100 bytes; expected 1 to 99"),
        (ArchiveLimits(max_extension_records=1), [pax({"a": "b", "c": "d"})], "more than 1 records"),
        (
            ArchiveLimits(max_pax_records=3),
            [pax({"a": "b", "c": "d"}), file("a"), pax({"e": "f"}, b"g"), pax({"g": "h"}), file("b")],
            "more than 3 pax records",
        ),
    ],
)
def test_each_limit_is_held(limits, blocks, reason):
    with pytest.raises(ArchiveRejected, match=reason):
        parse([packed(*blocks)], limits)


def test_the_events_before_a_fault_are_delivered():
    with pytest.raises(ArchiveRejected, match="absolute"):
        parse([packed(file("a"), file("/b"))], ArchiveLimits())


def test_a_long_hostile_name_is_shortened_and_escaped_in_the_reason():
    with pytest.raises(ArchiveRejected) as rejected:
        parse([packed(pax({"path": "\x1b[31m" + "é" * 3000}), file("n"))])
    assert len(str(rejected.value)) < 600
    assert str(rejected.value).isprintable()
    assert str(rejected.value).isascii()
