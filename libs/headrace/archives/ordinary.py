"""A tar of nothing but ordinary files, held whole: its headers read in one pass, its names judged together.

Most Insights Operator archives are such tars. ``TarWalker`` does without the whole, and takes more than twice as long
for each member. It alone says what is wrong with a tar: whatever wants a closer look is none of this module's.
"""

import zlib
from struct import Struct

from headrace.archives.headers import BLOCK_BYTES
from headrace.archives.limits import ArchiveLimits

# Name, size and what ends it, checksum and what ends it, all from the kind to the magic with its version, prefix.
_FIELDS = Struct("100s24x11s1s12x6s2s109s80x155s12x")
_SIZE_ENDS = (b"\0", b" ")
_CHECKSUM_END = b"\0 "
_A_FILE = b"0" + bytes(100) + b"ustar\x0000"
_NULS = bytes(155)
_ZERO_BLOCK = bytes(BLOCK_BYTES)
_MAX_NAME_BYTES = 256
_ADLER_BASE = 65521
# What a checksum counts more than stands in the block beside its digits: blanks, in its own place.
_BLANKS_SUM = 8 * ord(" ") - sum(_CHECKSUM_END)
# Between two names stands a newline.
_PLAIN_CHARACTERS = bytes({*range(0x20, 0x7F), ord("\n")} - {ord("\\")})


def ordinary_files(tar: bytes, limits: ArchiveLimits) -> list[tuple[str, memoryview]] | None:
    """Return the files with views of their bytes, or None where ``TarWalker`` has to read the tar."""
    names: list[bytes] = []
    files: list[memoryview] = []
    whole = memoryview(tar)
    position = 0
    while (block := tar[position : position + BLOCK_BYTES]) and block != _ZERO_BLOCK:
        if len(block) < BLOCK_BYTES:
            return None
        field, size, size_end, checksum, checksum_end, kind_to_version, prefix = _FIELDS.unpack(block)
        if not (
            kind_to_version == _A_FILE
            and checksum_end == _CHECKSUM_END
            and size_end in _SIZE_ENDS
            and _holds(checksum, block)
            and size.isdigit()
        ):
            return None
        name, _, rest = field.partition(b"\0")
        if prefix != _NULS:
            head, _, more = prefix.partition(b"\0")
            name, rest = head + b"/" + name, max(rest, more)
        try:
            size_bytes = int(size, 8)
        except ValueError:
            return None
        if (
            not _NULS.startswith(rest)
            or name.count(b"/") >= limits.max_depth
            or size_bytes > limits.max_member_bytes
        ):
            return None
        begin = position + BLOCK_BYTES
        names.append(name)
        files.append(whole[begin : begin + size_bytes])
        position = begin + size_bytes + (-size_bytes % BLOCK_BYTES)
    if position > len(tar) or tar[position:] != bytes(len(tar) - position):
        return None
    texts = _ordinary(names, limits)
    return None if texts is None else list(zip(texts, files, strict=True))


def _holds(checksum: bytes, block: bytes) -> bool:
    """Sum by Adler-32, whose lower half is one more than the sum of the bytes, modulo its base; as ``headers`` does."""
    try:
        # isdigit: int() takes signs and underscores, too.
        stated = int(checksum, 8) if checksum.isdigit() else -1
    except ValueError:
        return False
    low = stated - _BLANKS_SUM + (zlib.adler32(checksum) & 0xFFFF)
    return stated >= 0 and low % _ADLER_BASE == zlib.adler32(block) & 0xFFFF


def _ordinary(names: list[bytes], limits: ArchiveLimits) -> list[str] | None:
    """Return the names as text when nothing in any of them needs a look."""
    if not 0 < len(names) <= limits.max_members or limits.max_path_bytes < _MAX_NAME_BYTES:
        return None
    joined = b"\n".join(names)
    if joined.translate(None, _PLAIN_CHARACTERS):
        return None
    text = joined.decode()
    parts = f"/{text}/".replace("\n", "/")
    if "//" in parts or "/." in parts:
        return None
    found = text.split("\n")
    return found if len(found) == len(names) == len(set(found)) else None
