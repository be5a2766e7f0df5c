"""With `host_tree` an archive may hold what a host's file tree holds."""

import pytest

from headrace.archives import ArchiveLimits, ArchiveParser, ArchiveRejected, Kind, MemberStart
from tests.unit.archives.tars import file, header, long_name, packed, padded, pax

LIMITS = ArchiveLimits(host_tree=True)


def members(*blocks: bytes) -> list[tuple[str, Kind, str]]:
    parser = ArchiveParser(LIMITS)
    events = [event for events in parser.feed(packed(*blocks)) for event in events]
    assert parser.finish().members == sum(isinstance(event, MemberStart) for event in events)
    return [(event.name, event.kind, event.target) for event in events if isinstance(event, MemberStart)]


def long_target(target: bytes) -> bytes:
    return header("././@LongLink", len(target) + 1, b"K", magic=b"ustar  \0") + padded(target + b"\0")


def test_links_come_with_their_targets_wherever_these_lead():
    assert members(
        header("s", flag=b"2", link=b"../../etc/passwd"), header("h", flag=b"1", link=b"a"), file("a", b"x")
    ) == [("s", Kind.SYMBOLIC_LINK, "../../etc/passwd"), ("h", Kind.HARD_LINK, "a"), ("a", Kind.FILE, "")]


def test_long_targets_come_whole():
    target = "t/" * 200 + "t"
    link = header("l", flag=b"2", link=b"t/t")
    expected = [("l", Kind.SYMBOLIC_LINK, target)]
    assert members(pax({"linkpath": target}), link) == expected
    assert members(long_target(target.encode()), link) == expected
    both = members(long_target(target.encode()), long_name(b"n" * 200), link, file("after"))
    assert both == [("n" * 200, Kind.SYMBOLIC_LINK, target), ("after", Kind.FILE, "")]


@pytest.mark.parametrize("flag", [b"3", b"4", b"6"])
def test_devices_come_as_such(flag):
    assert members(header("dev/x", flag=flag), file("a")) == [
        ("dev/x", Kind.DEVICE, ""),
        ("a", Kind.FILE, ""),
    ]


def test_names_may_hold_a_backslash():
    assert members(file(r"systemd/a\x2db.slice")) == [(r"systemd/a\x2db.slice", Kind.FILE, "")]


def test_a_link_whose_name_ends_in_a_slash_stays_a_link():
    assert members(header("l/", flag=b"2", link=b"t")) == [("l", Kind.SYMBOLIC_LINK, "t")]


REFUSED = {
    "a link with data": (header("l", 5, b"2", link=b"t") + padded(b"12345"), "is a symbolic link with data"),
    "a link to nothing": (header("l", flag=b"2"), "link 'l' has a target of 0 bytes"),
    "a long target": (pax({"linkpath": "t" * 1025}) + header("l", flag=b"2"), "has a target of 1025 bytes"),
    "a target not UTF-8": (header("l", flag=b"2", link=b"\xc3\x28"), "has a target that is not UTF-8"),
    "a link over a file": (file("a") + header("a", flag=b"2", link=b"t"), "two members are named 'a'"),
    "a file over a link": (header("a", flag=b"2", link=b"t") + file("a"), "two members are named 'a'"),
    "a directory over a link": (
        header("a", flag=b"2", link=b"t") + header("a", flag=b"5"),
        "two members are",
    ),
    "a link as the root": (header("./", flag=b"2", link=b"t"), "a symbolic link has an empty name"),
    "two long targets": (
        long_target(b"a") + long_target(b"b") + file("n"),
        "more than one GNU long-link header",
    ),
    "a long target of nothing": (long_target(b"a"), "a header whose member is missing"),
    "a sparse file": (header("s", flag=b"S"), "is a sparse file"),
    "a newline": (file("a\nb"), "has a control character in its name"),
    "a parent": (file("a/../../b"), "has '..' in its name"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_still_refuses(case):
    blocks, reason = REFUSED[case]
    with pytest.raises(ArchiveRejected) as rejected:
        members(blocks)
    assert reason in str(rejected.value)
