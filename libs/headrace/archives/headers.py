"""One tar header at a time: ustar and pax (POSIX "pax"), GNU (tar manual, "Basic Tar Format")."""

import re
from dataclasses import dataclass
from enum import StrEnum

from headrace.archives.errors import ArchiveRejected, shown
from headrace.archives.limits import ArchiveLimits

BLOCK_BYTES = 512

_OCTAL = re.compile(rb" *([0-7]*)[ \0]*")
_PAX_RECORD = re.compile(rb"([1-9][0-9]{0,6}) ([^=\n]{1,256})=")
_DECIMAL = re.compile(rb"[0-9]{1,18}")
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\]")
_CHECKSUM = slice(148, 156)


class Kind(StrEnum):
    """What a member may be."""

    FILE = "file"
    DIRECTORY = "directory"


class Extension(StrEnum):
    """A header whose body speaks of the member after it."""

    PAX = "pax header"
    PAX_GLOBAL = "global pax header"
    GNU_LONG_NAME = "GNU long-name header"


_KINDS: dict[bytes, Kind | Extension] = {
    b"0": Kind.FILE,
    b"\0": Kind.FILE,
    b"7": Kind.FILE,
    b"5": Kind.DIRECTORY,
    b"x": Extension.PAX,
    b"g": Extension.PAX_GLOBAL,
    b"L": Extension.GNU_LONG_NAME,
}
_REFUSED = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a character device",
    b"4": "a block device",
    b"6": "a FIFO",
    b"K": "a link with a long target",
    b"S": "a sparse file",
    b"M": "a part of a multi-volume archive",
}


@dataclass(frozen=True, slots=True)
class Header:
    """A header as it stands in its block; pax and long-name headers before it may overrule name and size."""

    raw_name: bytes
    size_bytes: int
    kind: Kind | Extension


def parse_header(block: bytes) -> Header:
    """Parse one non-zero block.

    Raises:
        ArchiveRejected: a wrong checksum or number, or a kind that is not taken (links, devices ...).
    """
    if not _checksum_holds(block):
        raise ArchiveRejected("a tar header has a wrong checksum, or this is not a tar")
    name = _text_field(block[0:100])
    if block[257:265] == b"ustar\x0000" and (prefix := _text_field(block[345:500])):
        name = prefix + b"/" + name
    flag = block[156:157]
    if (kind := _KINDS.get(flag)) is None:
        what = _REFUSED.get(flag, f"of the unknown kind {shown(flag)}")
        raise ArchiveRejected(f"member {shown(name)} is {what}; only files and directories are taken")
    size_bytes = _number(block[124:136], name)
    return Header(name, size_bytes, kind)


def _checksum_holds(block: bytes) -> bool:
    field = block[_CHECKSUM]
    match = _OCTAL.fullmatch(field)
    if match is None or not match[1]:
        return False
    stated = int(match[1], 8)
    actual = sum(block) - sum(field) + len(field) * ord(" ")
    if stated == actual:
        return True
    # Some old writers summed signed bytes.
    high = sum(byte > 0x7F for byte in block) - sum(byte > 0x7F for byte in field)
    return stated == actual - 256 * high


def _text_field(field: bytes) -> bytes:
    text, _, rest = field.partition(b"\0")
    if rest.strip(b"\0"):
        raise ArchiveRejected(f"member {shown(text)} has a name with a NUL inside")
    return text


def _number(field: bytes, name: bytes) -> int:
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    match = _OCTAL.fullmatch(field)
    if match is None:
        raise ArchiveRejected(f"member {shown(name)} has a size that is no number")
    return int(match[1] or b"0", 8)


def parse_pax(body: bytes, limits: ArchiveLimits) -> dict[bytes, bytes]:
    """Return the keywords of a pax header that matter here, ``path`` and ``size``.

    Raises:
        ArchiveRejected: malformed records, too many of them, or a sparse file announced.
    """
    keywords: dict[bytes, bytes] = {}
    position = 0
    for _ in range(limits.max_extension_records):
        if position == len(body):
            return keywords
        match = _PAX_RECORD.match(body, position)
        end = position + int(match[1]) if match else 0
        if match is None or end <= match.end() - 1 or body[end - 1 : end] != b"\n":
            raise ArchiveRejected("a pax header is malformed")
        if match[2].startswith(b"GNU.sparse."):
            raise ArchiveRejected("a member is a sparse file; only files and directories are taken")
        if match[2] in (b"path", b"size"):
            keywords[match[2]] = body[match.end() : end - 1]
        position = end
    if position == len(body):
        return keywords
    raise ArchiveRejected(f"a pax header has more than {limits.max_extension_records} records")


def parse_pax_size(value: bytes) -> int:
    """Parse the ``size`` keyword, a decimal number of bytes."""
    if not _DECIMAL.fullmatch(value):
        raise ArchiveRejected("a pax header gives a size that is no number")
    return int(value)


def checked_name(raw: bytes, limits: ArchiveLimits) -> str:
    """Return the member's path, relative, with ``.`` and empty parts taken out ("." for the root itself).

    Raises:
        ArchiveRejected: the name could lead outside, or is too long, too deep or not clean text.
    """
    where = f"member {shown(raw)}"
    if len(raw) > limits.max_path_bytes:
        raise ArchiveRejected(f"{where} has a name longer than {limits.max_path_bytes} bytes")
    try:
        name = raw.decode()
    except UnicodeDecodeError as error:
        raise ArchiveRejected(f"{where} has a name that is not UTF-8") from error
    if not name:
        raise ArchiveRejected("a member has an empty name")
    if _FORBIDDEN.search(name):
        raise ArchiveRejected(f"{where} has a backslash or a control character in its name")
    if name.startswith("/"):
        raise ArchiveRejected(f"{where} has an absolute name")
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if ".." in parts:
        raise ArchiveRejected(f"{where} has '..' in its name")
    if len(parts) > limits.max_depth:
        raise ArchiveRejected(f"{where} lies deeper than {limits.max_depth} directories")
    return "/".join(parts) or "."
