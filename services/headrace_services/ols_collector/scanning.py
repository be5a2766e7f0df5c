"""Finds data files without following links. All functions block and run in a thread."""

import json
import os
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson

from headrace_services.ols_collector.generations import Generation
from headrace_services.ols_collector.snapshot import Snapshot, Stamp

# A file up to this size is parsed to check that it is complete; a larger one is judged by its ends and its age.
PARSED_BYTES: Final = 1 << 20
SETTLED_SECONDS: Final = 30.0
# A writer may be about to create a file in a directory that has just become empty.
IDLE_DIRECTORY_SECONDS: Final = 600.0
_OPEN_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_WHITE_SPACE: Final = b" \t\r\n"


@dataclass
class Scan:
    """``complete`` files can be sent; ``incomplete`` are paths whose content is not a JSON document, or not yet."""

    complete: Snapshot = field(default_factory=Snapshot)
    incomplete: dict[str, Stamp] = field(default_factory=dict)
    links: int = 0
    empty_directories: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Scanner:
    """Searches the places below ``root`` where a generation keeps its data."""

    root: Path
    form: Generation
    allowed_subdirs: tuple[str, ...] = ()
    disabled_kinds: tuple[str, ...] = ()

    def scan(self, *, parse: bool = True) -> Scan:
        """Return the present files, kind by kind, oldest first; with ``parse=False`` every file counts as complete."""
        found = Scan()
        for kind in self.form.kinds:
            if kind.directory in self.disabled_kinds:
                continue
            begun = len(found.complete)
            for directory in self._directories(kind.directory, kind.depth, found):
                self._take(directory, found, parse=parse)
            found.complete.oldest_first(begun)
        return found

    def _directories(self, name: str, depth: int | None, found: Scan) -> Iterator[str]:
        """Yield the directories that may contain files, as paths relative to the root."""
        waiting = [(name, depth)] if not name or _is_directory(self.root / name) else []
        while waiting:
            at, left = waiting.pop()
            if not left:
                yield at
            if left != 0:
                deeper = None if left is None else left - 1
                waiting += [(below, deeper) for below in sorted(self._below(at, found), reverse=True)]

    def _below(self, name: str, found: Scan) -> list[str]:
        below = []
        with suppress(OSError), os.scandir(self.root / name) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False) and self._allowed(name, entry.name):
                    below.append(f"{name}/{entry.name}" if name else entry.name)
                elif entry.is_symlink() and entry.is_dir():
                    found.links += 1
        return below

    def _allowed(self, directory: str, name: str) -> bool:
        if directory:
            return True
        wanted = not self.allowed_subdirs or name in self.allowed_subdirs
        return wanted and name not in self.disabled_kinds

    def _take(self, directory: str, found: Scan, *, parse: bool) -> None:
        if not directory and self.allowed_subdirs:
            return
        number, empty = None, True
        with suppress(OSError), os.scandir(self.root / directory) as entries:
            for entry in entries:
                empty = False
                # A leading dot marks a file that is still being written.
                if not entry.name.endswith(".json") or entry.name.startswith("."):
                    continue
                if not entry.is_file(follow_symlinks=False):
                    found.links += entry.is_symlink()
                    continue
                stamp = stamp_of(entry.stat(follow_symlinks=False))
                if parse and not _is_complete(entry.path, stamp):
                    found.incomplete[f"{directory}/{entry.name}" if directory else entry.name] = stamp
                    continue
                if number is None:
                    number = found.complete.directory(directory)
                found.complete.add(number, entry.name, stamp)
        if empty and directory and self.form.lives_on:
            found.empty_directories.append(directory)


def stamp_of(status: os.stat_result) -> Stamp:
    """Return the stamp of a file."""
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ino)


def open_unchanged(path: str, stamp: Stamp) -> int | None:
    """Return a descriptor of the file if it is unchanged, else None."""
    try:
        descriptor = os.open(path, _OPEN_FLAGS)
    except OSError:
        return None
    status = os.fstat(descriptor)
    if stat.S_ISREG(status.st_mode) and stamp_of(status) == stamp:
        return descriptor
    os.close(descriptor)
    return None


def is_unchanged(path: str, stamp: Stamp) -> bool:
    """Return whether the path still names the same file, unchanged."""
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and stamp_of(status) == stamp


def remove_idle_directories(root: Path, names: list[str], *, now: float | None = None) -> int:
    """Delete directories that have been empty for a while, except the root; return their number.

    A parent that becomes empty is left for a later call.
    """
    removed = 0
    # Subdirectories come before their parents.
    for name in sorted(names, key=lambda text: text.count("/"), reverse=True):
        path = root / name
        with suppress(OSError):
            if is_past(path.lstat().st_mtime, IDLE_DIRECTORY_SECONDS, now=now):
                # The system refuses to delete a directory in which a file was created meanwhile.
                path.rmdir()
                removed += 1
    return removed


def is_past(moment: float, seconds: float, *, now: float | None = None) -> bool:
    """Return whether the last write is this long ago.

    A time far in the future also counts as past: the clock was wrong, or it is another machine's.
    """
    return abs((time.time() if now is None else now) - moment) > seconds


def _is_directory(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def _is_complete(path: str, stamp: Stamp) -> bool:
    """Return whether the file is complete: no prefix of a JSON object parses as a JSON document."""
    descriptor = open_unchanged(path, stamp)
    if descriptor is None:
        return False
    try:
        if stamp.size_bytes > PARSED_BYTES:
            return _looks_whole(descriptor, stamp)
        return _parses(os.read(descriptor, stamp.size_bytes + 1))
    except OSError:
        return False
    finally:
        os.close(descriptor)


def _parses(text: bytes) -> bool:
    with suppress(ValueError):
        orjson.loads(text)
        return True
    # The service's writer is Python's, which also writes NaN and lone surrogates.
    with suppress(ValueError, RecursionError):
        json.loads(text)
        return True
    return False


def _looks_whole(descriptor: int, stamp: Stamp) -> bool:
    if not is_past(stamp.mtime_ns / 1e9, SETTLED_SECONDS):
        return False
    first = os.pread(descriptor, 64, 0).lstrip(_WHITE_SPACE)[:1]
    last = os.pread(descriptor, 64, stamp.size_bytes - 64).rstrip(_WHITE_SPACE)[-1:]
    return first + last in {b"{}", b"[]"}
