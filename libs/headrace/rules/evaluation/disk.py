"""Files on disk, for components that need real paths: a temporary directory for one evaluation."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from headrace.archives import ArchiveRejected
from headrace.rules.evaluation.tree import Tree
from headrace.runtime.temporary import disk, ever_fits, place

_NAMES = frozenset({errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ})


@contextmanager
def extracted(tree: Tree, parent: str | None) -> Iterator[str]:
    """Yield a directory with the regular files of the tree; links and devices are left out.

    A symbolic link to a file of the tree becomes a hard link to that file.

    Raises:
        ArchiveRejected: a name is not possible in a file system, or the files would not fit even on an empty disk.
        Retryable: the file system is full.
    """
    size_bytes = sum(len(piece) for pieces in tree.files.values() for piece in pieces)
    if not ever_fits(size_bytes, parent):
        raise ArchiveRejected(f"the archive's {size_bytes} bytes do not fit on the disk of {place(parent)}")
    with (
        disk(parent),
        tempfile.TemporaryDirectory(prefix=f"headrace-rules-{os.getpid()}-", dir=place(parent)) as root,
    ):
        try:
            for path, pieces in tree.files.items():
                with _place(Path(root, path)).open("wb") as file:
                    file.writelines(pieces)
            for path in tree.links():
                target = tree.resolve(path)
                if target in tree.files:
                    with suppress(FileExistsError):
                        os.link(Path(root, target), _place(Path(root, path)))
        except OSError as error:
            if error.errno in _NAMES:
                raise ArchiveRejected(f"a member's name cannot be a file's: {error.strerror}") from error
            raise
        yield root


def _place(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path
