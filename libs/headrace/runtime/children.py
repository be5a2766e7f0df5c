"""Child processes that end with their parent.

The module imports only the standard library, because servers start through it.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path
from typing import Final

# A program that binds its life to its parent, then becomes another program.
TRAMPOLINE: Final = Path(__file__).with_name("trampoline.py")
_PR_SET_PDEATHSIG: Final = 1


def die_with(parent: int) -> None:
    """Ask the kernel to kill this process when its parent ends (Linux only); a change of user cancels the request.

    Args:
        parent: the parent's process id at the fork; the parent may have ended since.
    """
    if not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # the parent ended before prctl
        os._exit(1)
