"""A process that ends with the one that started it. Imports the standard library only: servers start through it."""

import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import Final

# Run as a program, it becomes another one that ends with us.
TRAMPOLINE: Final = Path(__file__).with_name("trampoline.py")
_PR_SET_PDEATHSIG: Final = 1


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends: Linux only, and undone by a change of user.

    Args:
        parent: the process number that the parent had at the fork; it may have ended since.

    """
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before the line above
        os._exit(1)
