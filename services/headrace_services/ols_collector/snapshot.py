"""The data files at one moment, about 80 bytes each, so that a hundred thousand fit into memory."""

from array import array
from collections.abc import Container, Iterator
from copy import copy
from dataclasses import dataclass
from typing import NamedTuple


class Stamp(NamedTuple):
    """The properties of a file that change when it is written or replaced."""

    size_bytes: int
    mtime_ns: int
    inode: int


class DataFile(NamedTuple):
    """One file; ``name`` is its path below the root, with ``/``."""

    name: str
    stamp: Stamp


class Snapshot:
    """Files in columns, and an order over them."""

    def __init__(self) -> None:
        self._directories: list[str] = []
        self._names = bytearray()
        self._ends = array("Q")
        self._directory = array("I")
        self._sizes = array("q")
        self._mtimes = array("q")
        self._inodes = array("Q")
        self._order = array("I")
        self.total_bytes = 0

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, position: int) -> DataFile:
        number = self._order[position]
        start = self._ends[number - 1] if number else 0
        name = self._names[start : self._ends[number]].decode("utf-8", "surrogateescape")
        stamp = Stamp(self._sizes[number], self._mtimes[number], self._inodes[number])
        return DataFile(self._directories[self._directory[number]] + name, stamp)

    def __iter__(self) -> Iterator[DataFile]:
        return (self[position] for position in range(len(self)))

    def sizes(self) -> Iterator[int]:
        """The sizes in bytes, in the snapshot's order."""
        return (self._sizes[number] for number in self._order)

    def directory(self, name: str) -> int:
        """Begin a directory; return its number."""
        self._directories.append(f"{name}/" if name else "")
        return len(self._directories) - 1

    def add(self, directory: int, name: str, stamp: Stamp) -> None:
        """Add a file of a directory."""
        self._names += name.encode("utf-8", "surrogateescape")
        self._ends.append(len(self._names))
        self._order.append(len(self._order))
        self._directory.append(directory)
        self._sizes.append(stamp.size_bytes)
        self._mtimes.append(stamp.mtime_ns)
        self._inodes.append(stamp.inode)
        self.total_bytes += stamp.size_bytes

    def without(self, names: Container[str]) -> "Snapshot":
        """Return the other files, in the same order; their columns are shared."""
        others = copy(self)
        others._order = array(  # noqa: SLF001 -- its own kind
            "I", [number for number, file in zip(self._order, self, strict=True) if file.name not in names]
        )
        others.total_bytes = sum(others.sizes())
        return others

    def oldest_first(self, start: int = 0) -> None:
        """Sort the files from ``start`` on by their last change."""
        # Only the order is sorted; the columns stay.
        self._order[start:] = array("I", sorted(self._order[start:], key=self._mtimes.__getitem__))


@dataclass(frozen=True, slots=True)
class Chunk:
    """The positions ``start`` to ``stop`` of a snapshot, and their size in bytes."""

    start: int
    stop: int
    size_bytes: int

    def __len__(self) -> int:
        return self.stop - self.start


def chunks(snapshot: Snapshot, limit_bytes: int) -> list[Chunk]:
    """Return chunks in order: a file beyond the limit starts the next one; a larger file is alone in its own."""
    found, start, size = [], 0, 0
    for position, size_bytes in enumerate(snapshot.sizes()):
        if position > start and size + size_bytes > limit_bytes:
            found.append(Chunk(start, position, size))
            start, size = position, 0
        size += size_bytes
    if len(snapshot):
        found.append(Chunk(start, len(snapshot), size))
    return found
