"""Making archives, good and bad, and reading them back as comparable values."""

import gzip
import io
import tarfile
import zlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

from headrace.archives import ArchiveEnd, ArchiveLimits, ArchiveParser, Data, MemberEnd, MemberStart

BLOCK = 512
END = bytes(2 * BLOCK)


def header(name: str | bytes = "a", size: int = 0, flag: bytes = b"0", **fields: bytes) -> bytes:
    """A ustar header block with a right checksum; fields named below replace the bytes at their place."""
    places = {
        "size_field": (124, 12),
        "magic": (257, 8),
        "link": (157, 100),
        "prefix": (345, 155),
        "checksum": (148, 8),
    }
    block = bytearray(BLOCK)
    raw = name.encode() if isinstance(name, str) else name
    block[0 : len(raw)] = raw
    block[100:108] = b"0000644\0"
    block[124:136] = b"%011o\0" % size
    block[136:148] = b"%011o\0" % 0
    block[156:157] = flag
    block[257:265] = b"ustar\x0000"
    for field, value in fields.items():
        start, length = places[field]
        block[start : start + length] = value.ljust(length, b"\0")
    if "checksum" not in fields:
        block[148:156] = b"%06o\0 " % (sum(block) - sum(block[148:156]) + 8 * 32)
    return bytes(block)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)


def file(name: str | bytes, data: bytes = b"", **fields: bytes) -> bytes:
    return header(name, len(data), **fields) + padded(data)


def pax(records: dict[str, str | bytes], flag: bytes = b"x") -> bytes:
    body = b"".join(pax_record(key, value) for key, value in records.items())
    return header("pax", len(body), flag) + padded(body)


def pax_record(key: str, value: str | bytes) -> bytes:
    text = b" " + key.encode() + b"=" + (value.encode() if isinstance(value, str) else value) + b"\n"
    length = len(text) + len(str(len(text)))
    length = len(text) + len(str(length))
    return str(length).encode() + text


def long_name(name: bytes) -> bytes:
    return header("././@LongLink", len(name) + 1, b"L", magic=b"ustar  \0") + padded(name + b"\0")


def packed(*blocks: bytes) -> bytes:
    return gzip.compress(b"".join(blocks) + END, mtime=0)


def tar_gz(members: Mapping[str, bytes]) -> bytes:
    return by_tarfile(members.items())


def gz(data: bytes, level: int = 9) -> bytes:
    deflate = zlib.compressobj(level, zlib.DEFLATED, 31)
    return deflate.compress(data) + deflate.flush()


def by_tarfile(files: Iterable[tuple[str, bytes]], tar_format: int = tarfile.DEFAULT_FORMAT) -> bytes:
    """Equal files give equal bytes, whenever they are packed."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tar_format) as archive:
        for name, data in files:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return gzip.compress(buffer.getvalue(), compresslevel=1, mtime=0)


def read_by_tarfile(archive: bytes) -> list[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as opened:
        return [(member.name, opened.extractfile(member).read()) for member in opened if member.isreg()]


def parse(chunks: Sequence[bytes], limits: ArchiveLimits | None = None) -> list[tuple[str, str, bytes]]:
    """Every member as (kind, name, data), after checking that the events are in a possible order."""
    parser = ArchiveParser(limits)
    members: list[tuple[str, str, bytes]] = []
    current: MemberStart | None = None
    data = b""
    for chunk in chunks:
        for events in parser.feed(chunk):
            for event in events:
                match event:
                    case MemberStart():
                        assert current is None
                        current, data = event, b""
                    case Data(piece):
                        assert current is not None
                        assert piece
                        data += piece
                    case MemberEnd():
                        assert current is not None
                        assert len(data) == current.size_bytes
                        members.append((str(current.kind), current.name, data))
                        current = None
                    case ArchiveEnd():
                        raise AssertionError("the end came before the last chunk")
    assert parser.finish().members >= len(members)
    return members


def files(archive: bytes, limits: ArchiveLimits | None = None) -> dict[str, bytes]:
    return {name: data for kind, name, data in parse([archive], limits) if kind == "file"}


async def stream(data: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]
