"""One tar header at a time: ustar and pax (POSIX "pax"), GNU (tar manual, "Basic Tar Format")."""

import re
import zlib
from enum import StrEnum
from struct import Struct

from headrace.archives.errors import ArchiveRejected, shown
from headrace.archives.limits import ArchiveLimits

BLOCK_BYTES = 512

_PAX_RECORD = re.compile(rb"([1-9][0-9]{0,6}) ([^=\n]{1,256})=")
_DECIMAL = re.compile(rb"[0-9]{1,18}")
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\]")
_FORBIDDEN_IN_A_HOST = re.compile(r"[\x00-\x1f\x7f]")
# The fields: name, size, checksum, kind, target, magic, prefix.
_FIELDS = Struct("100s24x12s12x8sc100s8s80x155s12x")
_USTAR = b"ustar\x0000"
_NULS = bytes(155)
_BLANKS_SUM = 8 * ord(" ")
_ADLER_BASE = 65521


class Kind(StrEnum):
    """The accepted kinds of a member."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMBOLIC_LINK = "symbolic link"
    HARD_LINK = "hard link"
    DEVICE = "device"
    """A device or a FIFO."""


class Extension(StrEnum):
    """A header whose body describes the member after it."""

    PAX = "pax header"
    PAX_GLOBAL = "global pax header"
    GNU_LONG_NAME = "GNU long-name header"
    GNU_LONG_TARGET = "GNU long-link header"


_KINDS: dict[bytes, Kind | Extension] = {
    b"0": Kind.FILE,
    b"\0": Kind.FILE,
    b"7": Kind.FILE,
    b"5": Kind.DIRECTORY,
    b"x": Extension.PAX,
    b"g": Extension.PAX_GLOBAL,
    b"L": Extension.GNU_LONG_NAME,
}
_KINDS_OF_A_HOST: dict[bytes, Kind | Extension] = {
    **_KINDS,
    b"1": Kind.HARD_LINK,
    b"2": Kind.SYMBOLIC_LINK,
    b"3": Kind.DEVICE,
    b"4": Kind.DEVICE,
    b"6": Kind.DEVICE,
    b"K": Extension.GNU_LONG_TARGET,
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


Header = tuple[bytes, int, Kind | Extension, bytes]
"""The name, the size in bytes, the kind and the target of a link, as they are in one block.

Preceding pax and long-name headers may override all but the kind. A tuple is the cheapest form, and each member has
one.
"""


def parse_header(block: bytes, limits: ArchiveLimits) -> Header:
    """Parse one non-zero block.

    Raises:
        ArchiveRejected: a wrong checksum or number, or a kind that is not accepted (links, devices ...).
    """
    raw_name, raw_size, checksum, flag, target, magic, raw_prefix = _FIELDS.unpack(block)
    if not _checksum_holds(block, checksum):
        raise ArchiveRejected("a tar header has a wrong checksum, or this is not a tar")
    name = _text_field(raw_name)
    if magic == _USTAR and raw_prefix != _NULS and (prefix := _text_field(raw_prefix)):
        name = prefix + b"/" + name
    if (kind := (_KINDS_OF_A_HOST if limits.host_tree else _KINDS).get(flag)) is None:
        what = _REFUSED.get(flag, f"of the unknown kind {shown(flag)}")
        raise ArchiveRejected(f"member {shown(name)} is {what}; only files and directories are accepted")
    return name, _number(raw_size, name), kind, target.partition(b"\0")[0]


def _checksum_holds(block: bytes, field: bytes) -> bool:
    stated = _octal(field)
    if stated is None:
        return False
    # The lower half of Adler-32 is one more than the sum of the bytes, modulo a prime near 2**16, so zlib sums in C.
    # The checksum field itself counts as blanks.
    unblanked = (zlib.adler32(field) & 0xFFFF) - 1 - _BLANKS_SUM
    if (stated + unblanked + 1) % _ADLER_BASE == zlib.adler32(block) & 0xFFFF:
        return True
    actual = sum(block) - unblanked
    # Some old writers summed signed bytes.
    high = sum(byte > 0x7F for byte in block) - sum(byte > 0x7F for byte in field)
    return stated == actual - 256 * high


def _text_field(field: bytes) -> bytes:
    text, _, rest = field.partition(b"\0")
    if not _NULS.startswith(rest):
        raise ArchiveRejected(f"member {shown(text)} has a NUL in its name")
    return text


def _number(field: bytes, name: bytes) -> int:
    if (number := _octal(field)) is not None:
        return number
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    if not field.strip(b" \0"):
        return 0
    raise ArchiveRejected(f"member {shown(name)} has a size that is not a number")


def _octal(field: bytes) -> int | None:
    """Return the number, or None. Writers end numbers with spaces or NULs, and some begin with them."""
    digits = field.strip(b" \0")
    try:
        # int() also accepts signs and underscores.
        return int(digits, 8) if digits.isdigit() else None
    except ValueError:
        return None


def parse_pax(body: bytes, limits: ArchiveLimits) -> tuple[dict[bytes, bytes], int]:
    """Return the keywords ``path``, ``linkpath`` and ``size`` of a pax header, and the number of all its keywords.

    Raises:
        ArchiveRejected: malformed records, too many of them, or a sparse file announced.
    """
    keywords: dict[bytes, bytes] = {}
    position = 0
    for records in range(limits.max_extension_records):
        if position == len(body):
            return keywords, records
        match = _PAX_RECORD.match(body, position)
        end = position + int(match[1]) if match else 0
        if match is None or end <= match.end() - 1 or body[end - 1 : end] != b"\n":
            raise ArchiveRejected("a pax header is malformed")
        if match[2].startswith(b"GNU.sparse."):
            raise ArchiveRejected("a member is a sparse file; only files and directories are accepted")
        if match[2] in (b"path", b"linkpath", b"size"):
            keywords[match[2]] = body[match.end() : end - 1]
        position = end
    if position == len(body):
        return keywords, limits.max_extension_records
    raise ArchiveRejected(f"a pax header has more than {limits.max_extension_records} records")


def parse_pax_size(value: bytes) -> int:
    """Parse the ``size`` keyword, a decimal number of bytes."""
    if not _DECIMAL.fullmatch(value):
        raise ArchiveRejected("a pax header has a size that is not a number")
    return int(value)


def checked_name(raw: bytes, limits: ArchiveLimits) -> str:
    """Return the member's relative path without ``.`` and empty parts ("." for the root itself).

    Raises:
        ArchiveRejected: the name could leave the root, or is too long, too deep or not clean text.
    """
    if len(raw) > limits.max_path_bytes:
        most = limits.max_path_bytes
        raise ArchiveRejected(f"member {shown(raw)} has a name longer than {most} bytes")
    try:
        name = raw.decode()
    except UnicodeDecodeError as error:
        raise ArchiveRejected(f"member {shown(raw)} has a name that is not UTF-8") from error
    if _is_ordinary(name) and name.count("/") < limits.max_depth:
        return name
    where = f"member {shown(raw)}"
    if not name:
        raise ArchiveRejected("a member has an empty name")
    if (_FORBIDDEN_IN_A_HOST if limits.host_tree else _FORBIDDEN).search(name):
        what = "a control character" if limits.host_tree else "a backslash or a control character"
        raise ArchiveRejected(f"{where} has {what} in its name")
    if name.startswith("/"):
        raise ArchiveRejected(f"{where} has an absolute name")
    parts = [part for part in name.split("/") if part not in {"", "."}]
    if ".." in parts:
        raise ArchiveRejected(f"{where} has '..' in its name")
    if len(parts) > limits.max_depth:
        raise ArchiveRejected(f"{where} is deeper than {limits.max_depth} directories")
    return "/".join(parts) or "."


def _is_ordinary(name: str) -> bool:
    """Return whether only the depth of a name needs to be checked, which is true for most names; this check is fast."""
    return (
        name.isprintable()
        and name[:1] not in "./"
        and "/." not in name
        and "//" not in name
        and "\\" not in name
        and name[-1] != "/"
    )


def checked_target(raw: bytes, name: str, limits: ArchiveLimits) -> str:
    """Return a link's target unchanged: it may point anywhere.

    Raises:
        ArchiveRejected: it is empty, too long or not UTF-8.
    """
    if not 0 < len(raw) <= limits.max_path_bytes:
        raise ArchiveRejected(f"link {shown(name)} has a target of {len(raw)} bytes")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise ArchiveRejected(f"link {shown(name)} has a target that is not UTF-8") from error
