"""From the bytes of an upload to its files in memory, with limits at every step; nothing is written to disk."""

from itertools import chain, islice
from typing import cast

from headrace.archives import ArchiveLimits, ArchiveRejected, Data, Event, Kind, MemberEnd, MemberStart
from headrace.archives.errors import shown
from headrace.archives.limits import MIB
from headrace.archives.ordinary import ordinary_files
from headrace.archives.tar import TarWalker
from headrace.rules.evaluation.decompression import stream_for
from headrace.rules.evaluation.tree import Tree

HELD_BYTES = 32 * MIB
"""The most bytes that are kept of an archive before it is known to be complete and within its limits. A larger archive
is read twice, and the first pass keeps nothing, so that a refused archive never costs the memory that it claims.
"""

# An archive that inflates to at most this many pieces is read at once.
_SMALL_PIECES = 16
# insights-core's extraction leaves out a host's devices and the files beside them.
_DEVICES = "/dev/"
# A global is faster than a look-up in the enumeration.
_FILE, _DEVICE = Kind.FILE, Kind.DEVICE


def unpack(archive: bytes, limits: ArchiveLimits) -> Tree:
    """Return the files, directories and links of a tar, plain or compressed with gzip, bzip2 or xz.

    Raises:
        ArchiveRejected: the archive is not acceptable.
    """
    most = limits.max_total_bytes
    tree = _read(archive, limits, min(HELD_BYTES, most)) or _read(archive, limits, most)
    if tree is None:
        raise ArchiveRejected(f"the archive has more than {most} bytes")
    if not tree.files:
        raise ArchiveRejected("the archive contains no files")
    return tree


def _read(archive: bytes, limits: ArchiveLimits, held_bytes: int) -> Tree | None:
    """Return the tree, or None if it inflates to more than ``held_bytes``; then nothing is kept."""
    stream = stream_for(archive, limits)
    pieces = stream.feed(archive)
    first = list(islice(pieces, _SMALL_PIECES + 1))
    if len(first) <= _SMALL_PIECES:
        stream.finish()
        files = ordinary_files(b"".join(first), limits)
        if files is not None:
            return _tree_of(files)
    tar = TarWalker(limits, views=True)
    builder: _Builder | None = _Builder()
    for piece in chain(first, pieces):
        # A view keeps its whole piece alive, including the bytes between files.
        held_bytes -= len(piece)
        if held_bytes < 0:
            builder = None
        events: list[Event] = []
        tar.walk(piece, events)
        if builder is not None:
            builder.take(events)
    stream.finish()
    tar.finish()
    return None if builder is None else builder.tree


def _tree_of(files: list[tuple[str, memoryview]]) -> Tree:
    tree = Tree()
    for name, data in files:
        if _DEVICES not in name:
            tree.add_file(name, [cast("bytes", data)])
    return tree


class _Builder:
    """Builds the tree from events. Files are views of inflated bytes; most are never read, so most are never copied."""

    def __init__(self) -> None:
        self.tree = Tree()
        self._start: MemberStart | None = None
        self._pieces: list[bytes] = []

    def take(self, events: list[Event]) -> None:
        for event in events:
            if type(event) is Data:
                self._pieces.append(event.data)
            elif type(event) is MemberStart:
                self._start = event
                self._pieces = []
            elif type(event) is MemberEnd and self._start is not None:
                self._add(self._start)

    def _add(self, start: MemberStart) -> None:
        name, kind = start.name, start.kind
        if _DEVICES in name or kind is _DEVICE:
            return
        if kind is _FILE:
            self.tree.add_file(name, self._pieces)
        elif kind is Kind.DIRECTORY:
            self.tree.add_directory("" if name == "." else name)
        elif kind is Kind.SYMBOLIC_LINK:
            self.tree.add_link(name, start.target)
        else:
            self._add_hard_link(name, start.target)

    def _add_hard_link(self, name: str, target: str) -> None:
        parts = [part for part in target.split("/") if part not in {"", "."}]
        pieces = self.tree.files.get("/".join(parts))
        if pieces is None:
            raise ArchiveRejected(
                f"member {shown(name)} is a hard link to {shown(target)}, which is not an earlier file"
            )
        self.tree.add_file(name, pieces)
