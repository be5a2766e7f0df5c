"""Becomes a server that dies with its parent: `trampoline.py PARENT-PID ACCOUNT PROGRAM [ARGUMENT…]`.

It is a program and not a `preexec_fn`, because code between fork and exec can deadlock in a process with threads. It
runs isolated and must start fast, so it imports one small module of ours and else the standard library.
"""

import ctypes
import os
import sys
from pathlib import Path

# Isolation leaves out where we are installed. At the end, so that nothing there hides the standard library.
sys.path.append(str(Path(__file__).parents[2]))

from headrace.runtime.children import die_with

CLONE_NEWUSER = 0x10000000


def enter_user_namespace(inner_uid: int, inner_gid: int) -> None:
    """Keep the same user for the system, and be another inside, so that files keep their owner."""
    uid, gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWUSER)")
    own = Path("/proc/self")
    own.joinpath("setgroups").write_text("deny", encoding="ascii")
    own.joinpath("uid_map").write_text(f"{inner_uid} {uid} 1", encoding="ascii")
    own.joinpath("gid_map").write_text(f"{inner_gid} {gid} 1", encoding="ascii")


def become(account: str) -> None:
    """Switch to an account: `same`, `namespace:UID:GID` (as seen inside) or `user:UID:GID`."""
    if account == "same":
        return
    kind, *numbers = account.split(":")
    uid, gid = map(int, numbers)
    if kind == "namespace":
        enter_user_namespace(uid, gid)
        return
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def main(parent: str, account: str, *command: str) -> None:
    """Run the program; does not return."""
    become(account)
    # After `become`, since a change of user clears it.
    die_with(int(parent))
    os.execv(command[0], command)  # noqa: S606 -- no shell is wanted


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except OSError as error:
        sys.exit(f"cannot start {sys.argv[3]}: {error}")
