"""What becomes of memory between archives."""

import ctypes
import sys
from typing import Final

# Of malloc.h.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_KEPT_BYTES: Final = 32 << 20
_FROM_HEAP_BYTES: Final = 4 << 20


def keep_freed_memory() -> None:
    """Have glibc keep some for the next archive, for the whole process.

    It would give back all but a quarter MiB of what a small archive took, and take it anew from the kernel for the
    next: some 180 page faults, a fifth to a third of what a busy worker does. Other C libraries are left alone.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _FROM_HEAP_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
