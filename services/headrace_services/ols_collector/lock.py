"""Ensures one collector per directory: two would send everything twice, and delete each other's files."""

import fcntl
import os
from contextlib import suppress


class DirectoryLock:
    """A lock on the open directory, held by the system, so that it ends with the process. No file is created."""

    def __init__(self) -> None:
        self._descriptor: int | None = None

    def take(self, path: str) -> bool:
        """Return whether the directory is locked now, or has no locks; False if another collector has it."""
        if self._descriptor is not None:
            if _is_same(self._descriptor, path):
                return True
            # The directory was deleted and created again.
            self.release()
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        except OSError:
            # The file system has no locks; the operator has to run one collector only.
            os.close(descriptor)
            return True
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Release the lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _is_same(descriptor: int, path: str) -> bool:
    with suppress(OSError):
        return os.path.samestat(os.fstat(descriptor), os.stat(path))  # noqa: PTH116 -- the two side by side
    return False
