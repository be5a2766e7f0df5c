"""Becomes a server that ends with its parent: `trampoline.py PARENT-PID ACCOUNT PROGRAM [ARGUMENT…]`.

It is a program and not a `preexec_fn`, because code between fork and exec can deadlock in a process with threads. It
runs isolated (`python -I`) and must start fast, so it imports only the standard library and one small module of
Headrace.
"""

import ctypes
import os
import sys
from pathlib import Path

# Isolated mode omits the path of the headrace package. It goes last, so that it hides no module of the standard
# library.
sys.path.append(str(Path(__file__).parents[2]))

from headrace.runtime.children import die_with

CLONE_NEWUSER = 0x10000000


def enter_user_namespace(inner_uid: int, inner_gid: int) -> None:
    """Enter a user namespace with another user id inside and the same user outside, so that files keep their owner."""
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
    """Run the program; this function does not return."""
    become(account)
    # `become` runs first, because a change of user cancels the request.
    die_with(int(parent))
    os.execv(command[0], command)  # noqa: S606 -- no shell is wanted


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except OSError as error:
        sys.exit(f"cannot start {sys.argv[3]}: {error}")
