"""The files of an archive, in memory: paths are relative to its root, without a leading slash ("" is the root)."""

import fnmatch
import re
from collections.abc import Iterable, Iterator
from itertools import islice

from insights.core.exceptions import ContentException

from headrace.archives import ArchiveRejected
from headrace.archives.errors import shown

_MAX_LINKS_FOLLOWED = 40
_MAX_STEPS = 1_000_000
"""The most path parts that all resolutions behind links may walk. Tangled links then cost a second and resolve to
nothing.
"""
_MAX_GLOBBED = 100_000
"""The most paths that a pattern may match; links to directories multiply the matches."""
_MAGIC = re.compile(r"[*?[]")


class Tree:
    """Files with their bytes, directories and symbolic links, each under one path.

    Links are followed only inside the tree: an absolute link, or one that leads outside, resolves to nothing.
    """

    def __init__(self) -> None:
        self.files: dict[str, list[bytes]] = {}
        """The pieces of each file, bytes or views of bytes."""
        self._links: dict[str, str] = {}
        self._children: dict[str, dict[str, None]] = {"": {}}
        self._steps_left = _MAX_STEPS

    def add_file(self, path: str, pieces: list[bytes]) -> None:
        """Add a file and its parent directories.

        Raises:
            ArchiveRejected: its path, or a parent, exists and is not a directory.
        """
        self._add_name(path)
        self.files[path] = pieces

    def add_directory(self, path: str) -> None:
        """Add a directory and its parents."""
        if path in self.files or path in self._links:
            raise ArchiveRejected(f"member {shown(path)} is a directory and also something else")
        if path not in self._children:
            self._add_child(path)
            self._children[path] = {}

    def add_link(self, path: str, target: str) -> None:
        """Add a symbolic link; its target need not exist."""
        self._add_name(path)
        self._links[path] = target

    def links(self) -> Iterable[str]:
        """Return the paths of the symbolic links."""
        return self._links

    def read(self, path: str) -> bytes | None:
        """Return the content of the file at a path, following links; None if there is no file."""
        resolved = path if path in self.files else self.resolve(path)
        pieces = None if resolved is None else self.files.get(resolved)
        return None if pieces is None else b"".join(pieces)

    def exists(self, path: str) -> bool:
        """Return whether a file or directory exists at a resolved path."""
        return path in self.files or path in self._children

    def is_directory(self, path: str) -> bool:
        """Return whether a path is a directory, following links."""
        if path in self._children:
            return True
        if path in self.files:
            return False
        resolved = self.resolve(path)
        return resolved is not None and resolved in self._children

    def list_directory(self, path: str) -> list[str] | None:
        """Return the names in a directory, in the archive's order; None if it does not exist."""
        resolved = self.resolve(path)
        children = None if resolved is None else self._children.get(resolved)
        return None if children is None else list(children)

    def resolve(self, path: str) -> str | None:
        """Return the path with links followed and dots removed; None if it leads outside or nowhere.

        The file or directory itself need not exist.
        """
        if path in self.files or path in self._children:
            return path
        pending = path.split("/")[::-1]
        resolved: list[str] = []
        followed = 0
        while pending:
            part = pending.pop()
            self._steps_left -= followed > 0
            if not part:
                continue
            if part in {".", ".."}:
                if "/".join(resolved) not in self._children or (part == ".." and not resolved):
                    return None
                if part == "..":
                    resolved.pop()
                continue
            resolved.append(part)
            if (target := self._links.get("/".join(resolved))) is not None:
                followed += 1
                if target.startswith("/") or followed > _MAX_LINKS_FOLLOWED or self._steps_left < 0:
                    return None
                resolved.pop()
                pending += target.split("/")[::-1]
        return "/".join(resolved)

    def glob(self, base: str, pattern: str) -> list[str]:
        """Return the paths below directory ``base`` that match, sorted, by the rules of the ``glob`` module.

        Raises:
            ContentException: too many paths match.
        """
        parts = [part for part in pattern.split("/") if part]
        paths = [base]
        for number, part in enumerate(parts, start=1):
            is_last = number == len(parts)
            if _MAGIC.search(part):
                paths = list(islice(self._matching(paths, part), _MAX_GLOBBED + 1))
            else:
                joined = (f"{path}/{part}" if path else part for path in paths)
                paths = [path for path in joined if not is_last or self._lexists(path)]
            if len(paths) > _MAX_GLOBBED:
                raise ContentException(f"[{pattern}] matches more than {_MAX_GLOBBED} paths")
        return sorted(paths)

    def _matching(self, directories: Iterable[str], pattern: str) -> Iterator[str]:
        hidden = pattern.startswith(".")
        matches: dict[str | None, list[str]] = {None: []}
        for directory in directories:
            resolved = self.resolve(directory)
            if resolved not in matches:
                children = self._children.get(resolved or "", ())
                names = children if pattern == "*" else fnmatch.filter(children, pattern)
                matches[resolved] = [name for name in names if hidden or not name.startswith(".")]
            prefix = f"{directory}/" if directory else ""
            for name in matches[resolved]:
                yield prefix + name

    def _lexists(self, path: str) -> bool:
        if self.exists(path) or path in self._links:
            return True
        parent, _, name = path.rpartition("/")
        if name in {".", ".."}:
            return self.is_directory(parent)
        return name in (self.list_directory(parent) or ())

    def _add_name(self, path: str) -> None:
        if path in self.files or path in self._links or path in self._children:
            raise ArchiveRejected(f"two members are named {shown(path)}")
        self._add_child(path)

    def _add_child(self, path: str) -> None:
        parent, _, name = path.rpartition("/")
        if parent not in self._children:
            if parent in self.files or parent in self._links:
                raise ArchiveRejected(f"member {shown(path)} is below a member that is not a directory")
            self._add_child(parent)
            self._children[parent] = {}
        self._children[parent][name] = None
