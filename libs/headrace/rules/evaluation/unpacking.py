"""From the bytes of an upload to its files in memory, bounded at every step; nothing is written."""

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
"""Most that is kept of an archive not yet known to be whole and within its limits. A larger one is read twice:
the first pass keeps nothing, so that refusing an archive never costs the memory it claims."""

# An archive that inflates to no more of them is read at once.
_SMALL_PIECES = 16
# As insights-core's extraction leaves them out: devices of a host and what stands among them.
_DEVICES = "/dev/"
# To look a member of an enumeration up is not free.
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
    """Return the tree, or None if it inflates to more than ``held_bytes``; then nothing was kept."""
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
        # Views keep alive all of the piece, what stands between the files as well.
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
    """Makes the tree of the events. Files are views of what was inflated: most are never read, nor copied."""

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
