"""Parses a tar stream: decompressed pieces in, events out; keeps at most one header in memory."""

from dataclasses import dataclass
from typing import cast

from headrace.archives.errors import ArchiveRejected, shown
from headrace.archives.headers import (
    BLOCK_BYTES,
    Extension,
    Header,
    Kind,
    checked_name,
    checked_target,
    parse_header,
    parse_pax,
    parse_pax_size,
)
from headrace.archives.limits import ArchiveLimits

_ZERO_BLOCK = bytes(BLOCK_BYTES)
# A global is faster than a look-up in the enumeration, and each member needs it.
_FILE = Kind.FILE
_DIRECTORY = Kind.DIRECTORY
_SYMBOLIC_LINK = Kind.SYMBOLIC_LINK
_HARD_LINK = Kind.HARD_LINK


@dataclass(slots=True)
class MemberStart:
    """A file or directory begins; ``Data`` events with ``size_bytes`` in total follow for a file.

    With ``ArchiveLimits.host_tree`` the member may also be a link, with its ``target``, or a device.
    """

    name: str
    size_bytes: int
    kind: Kind
    target: str = ""


@dataclass(slots=True)
class Data:
    """A piece of the current member, no longer than one decompression step."""

    data: bytes


@dataclass(frozen=True, slots=True)
class MemberEnd:
    """The current member is complete."""


@dataclass(frozen=True, slots=True)
class ArchiveEnd:
    """The archive is complete and its checksums hold."""

    members: int
    inflated_bytes: int
    compressed_bytes: int


_MEMBER_END = MemberEnd()

Event = MemberStart | Data | MemberEnd | ArchiveEnd


class TarWalker:
    """A state machine over the blocks of a tar; it ends at the first block of zeros or at the end of the stream.

    With ``views``, data are views of the pieces and nothing is copied.
    """

    def __init__(self, limits: ArchiveLimits, *, views: bool = False) -> None:
        self._limits = limits
        self._views = views
        self._kinds: dict[str, Kind] = {}
        self._partial = b""
        self._extension: Extension | None = None
        self._extension_bytes = 0
        self._global: dict[bytes, bytes] = {}
        self._pax: dict[bytes, bytes] | None = None
        self._long_name: bytes | None = None
        self._long_target: bytes | None = None
        self._data_left = 0
        self._padding_left = 0
        self._current = ""
        self._blocks = 0
        self._ended = False
        self._records = 0
        self.members = 0

    def walk(self, piece: bytes, events: list[Event]) -> None:
        """Append the events of ``piece``, including those before a fault.

        Raises:
            ArchiveRejected: a header, a name or a size is not acceptable.
        """
        position, length = 0, len(piece)
        source = cast("bytes", memoryview(piece)) if self._views else piece
        while position < length:
            if self._data_left:
                data = source[position : position + self._data_left]
                position += len(data)
                self._data_left -= len(data)
                events.append(Data(data))
                if not self._data_left:
                    events.append(_MEMBER_END)
            elif self._padding_left:
                skipped = min(self._padding_left, length - position)
                position += skipped
                self._padding_left -= skipped
            elif self._ended:
                if piece[position:] != bytes(length - position):
                    raise ArchiveRejected("the archive is followed by more data")
                return
            else:
                position = self._gather(piece, position, events)

    def finish(self) -> None:
        """Check that the stream did not end in the middle of something."""
        if self._data_left or self._padding_left:
            raise ArchiveRejected(f"the archive ends inside member {shown(self._current)}")
        if self._partial or self._extension or self._announces_a_member():
            raise ArchiveRejected("the archive ends inside a tar header")
        if not self._blocks:
            raise ArchiveRejected("the archive is empty; expected a gzip-compressed tar")

    def _gather(self, piece: bytes, position: int, events: list[Event]) -> int:
        """Take the next header block, or the next bytes of an extension's body; return the new position."""
        wanted = BLOCK_BYTES if self._extension is None else _padded(self._extension_bytes)
        end = position + wanted - len(self._partial)
        block = self._partial + piece[position:end]
        if len(block) < wanted:
            self._partial = block
            return len(piece)
        self._partial = b""
        self._blocks += 1
        if self._extension is not None:
            self._apply_extension(self._extension, block[: self._extension_bytes])
        elif block == _ZERO_BLOCK:
            self._end()
        else:
            self._start(parse_header(block, self._limits), events)
        return end

    def _announces_a_member(self) -> bool:
        return not (self._pax is None and self._long_name is None and self._long_target is None)

    def _end(self) -> None:
        if self._announces_a_member():
            raise ArchiveRejected("the archive ends after a header whose member is missing")
        self._ended = True

    def _start(self, header: Header, events: list[Event]) -> None:
        raw_name, size_bytes, kind, raw_target = header
        if isinstance(kind, Extension):
            self._start_extension(kind, size_bytes)
            return
        self._count_member()
        if self._global or self._announces_a_member():
            raw_name, size_bytes, raw_target = self._overruled(raw_name, size_bytes, raw_target)
        self._start_member(raw_name, size_bytes, kind, raw_target, events)

    def _start_extension(self, kind: Extension, size_bytes: int) -> None:
        if kind is Extension.PAX_GLOBAL:
            self._count_member()
        earlier = {
            Extension.PAX: self._pax,
            Extension.GNU_LONG_NAME: self._long_name,
            Extension.GNU_LONG_TARGET: self._long_target,
        }
        if earlier.get(kind) is not None:
            raise ArchiveRejected(f"a member has more than one {kind}")
        if not 0 < size_bytes <= self._limits.max_extension_bytes:
            most = self._limits.max_extension_bytes
            raise ArchiveRejected(f"a {kind} has {size_bytes} bytes; expected 1 to {most}")
        self._extension, self._extension_bytes = kind, size_bytes

    def _apply_extension(self, kind: Extension, body: bytes) -> None:
        self._extension = None
        if kind is Extension.GNU_LONG_NAME:
            self._long_name = body.removesuffix(b"\0")
        elif kind is Extension.GNU_LONG_TARGET:
            self._long_target = body.removesuffix(b"\0")
        elif kind is Extension.PAX:
            self._pax = self._keywords(body)
        else:
            self._global |= self._keywords(body)

    def _keywords(self, body: bytes) -> dict[bytes, bytes]:
        keywords, records = parse_pax(body, self._limits)
        self._records += records
        if self._records > self._limits.max_pax_records:
            raise ArchiveRejected(f"the archive has more than {self._limits.max_pax_records} pax records")
        return keywords

    def _start_member(
        self, raw_name: bytes, size_bytes: int, kind: Kind, raw_target: bytes, events: list[Event]
    ) -> None:
        name = checked_name(raw_name, self._limits)
        # Archives older than POSIX mark a directory only by the slash at the end of its name.
        if kind is _FILE and raw_name.endswith(b"/"):
            kind = _DIRECTORY
        self._check_member(name, kind, size_bytes)
        is_link = kind is _SYMBOLIC_LINK or kind is _HARD_LINK
        target = checked_target(raw_target, name, self._limits) if is_link else ""
        self._current = name
        self._data_left = size_bytes
        self._padding_left = -size_bytes % BLOCK_BYTES
        events.append(MemberStart(name, size_bytes, kind, target))
        if not size_bytes:
            events.append(_MEMBER_END)

    def _overruled(self, raw_name: bytes, size_bytes: int, raw_target: bytes) -> tuple[bytes, int, bytes]:
        """Return a member's name, size and target after the extension headers are applied."""
        pax = self._global | (self._pax or {})
        # An empty value cancels a keyword (POSIX pax).
        raw_name = pax.get(b"path") or self._long_name or raw_name
        size_bytes = parse_pax_size(value) if (value := pax.get(b"size")) else size_bytes
        raw_target = pax.get(b"linkpath") or self._long_target or raw_target
        self._pax = self._long_name = self._long_target = None
        return raw_name, size_bytes, raw_target

    def _count_member(self) -> None:
        self.members += 1
        if self.members > self._limits.max_members:
            raise ArchiveRejected(f"the archive has more than {self._limits.max_members} members")

    def _check_member(self, name: str, kind: Kind, size_bytes: int) -> None:
        if size_bytes > self._limits.max_member_bytes:
            most = self._limits.max_member_bytes
            raise ArchiveRejected(f"member {shown(name)} has {size_bytes} bytes; the limit is {most}")
        if kind is not _FILE and size_bytes:
            raise ArchiveRejected(f"member {shown(name)} is a {kind} with data")
        if name == "." and kind is not _DIRECTORY:
            raise ArchiveRejected(f"a {kind} has an empty name")
        # Many archives list a directory more than once; of two files one would silently hide the other.
        if name in self._kinds and {kind, self._kinds[name]} != {_DIRECTORY}:
            raise ArchiveRejected(f"two members are named {shown(name)}")
        self._kinds[name] = kind


def _padded(size_bytes: int) -> int:
    return -(-size_bytes // BLOCK_BYTES) * BLOCK_BYTES
