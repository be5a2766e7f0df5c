"""Temporary files. Their disk belongs to Headrace, so its errors are not the fault of the message being handled."""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Final

from headrace.runtime.errors import Retryable

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# Errors of the disk or of the process; the work did not cause them.
_REFUSES: Final = _FULL | {errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
# A file that takes a larger share of the disk may never find room beside others.
_SHARE: Final = 0.5


def place(chosen: str | None = None) -> str:
    """Return the directory of temporary files: the given one, else ``TMPDIR`` even if it is full, else the system's."""
    return chosen or os.environ.get("TMPDIR") or tempfile.gettempdir()


@contextmanager
def disk(chosen: str | None = None) -> Iterator[None]:
    """Wrap work on temporary files; raises `Retryable` if their disk refuses, because that passes."""
    try:
        yield
    except OSError as error:
        if not passes(error):
            raise
        raise refused(error, chosen) from error


def temporary_file(chosen: str | None = None, *, buffering: int = -1) -> IO[bytes]:
    """Return a file without a name, so that it ends with the process; raises `Retryable` if it cannot be created."""
    try:
        return tempfile.TemporaryFile(dir=place(chosen), prefix="headrace-", buffering=buffering)
    except OSError as error:
        raise refused(error, chosen) from error


def refused(error: OSError, chosen: str | None = None) -> Retryable:
    """Return the exception for an error of the disk."""
    name = f"the disk of {place(chosen)}{'' if chosen else ' (TMPDIR)'}"
    if error.errno in _FULL:
        return Retryable(f"{name} is full")
    return Retryable(f"{name} cannot be used: {error.strerror or type(error).__name__}")


def passes(error: Exception) -> bool:
    """Return whether the error passes once an operator repairs the disk or frees space."""
    return isinstance(error, OSError) and error.errno in _REFUSES


def ever_fits(size_bytes: int, chosen: str | None = None) -> bool:
    """Return whether a file of this size fits into the share of an empty disk that one message may use."""
    found = os.statvfs(place(chosen))
    return size_bytes <= found.f_frsize * found.f_blocks * _SHARE
