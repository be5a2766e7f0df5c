"""What blocks the event loop from within our coroutines: a call that waits for a disk, a lock, a socket, a clock.

A blocking call that a test makes by itself, or that our code makes in a thread, is nobody's business.
"""

import inspect
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final, cast

from blockbuster import BlockBuster, BlockingError

ROOT: Final = Path(__file__).parents[1]
OURS: Final = (f"{ROOT}/libs/headrace/", f"{ROOT}/services/")
# Rooms that start and stop programs, or are a person's command: their loops serve nobody meanwhile.
MAY_BLOCK: Final = tuple(f"{ROOT}/libs/headrace/{room}/" for room in ("local", "cli", "deployment"))
# Looking at files and reading them is left out: imports, start-up and clients' own caches do it, once and briefly.
# A lock is held for a moment by whoever logs or counts; text goes to the log.
LEFT_OUT: Final = (
    "threading.Lock.",
    "os.stat",
    "os.listdir",
    "os.scandir",
    "os.access",
    "os.getcwd",
    "os.readlink",
    "os.path.",
    "io.BufferedReader.",
    "io.TextIOWrapper.",
    "os.read",
)
# A function by the end of its file's name, and why it, and what it calls, may block.
EXCEPTIONS: Final = {
    ("headrace/service/host.py", "start"): "before anything is served",
    ("logging/__init__.py", "emit"): "a line of the log",
    ("structlog/_output.py", "msg"): "the same",
    ("headrace/runtime/logging.py", "write"): "the same",
    ("headrace/runtime/logging.py", "flush"): "the same",
    (
        "headrace_services/assisted_events/remote.py",
        "download",
    ): "a person's command, which serves nobody else",
    ("headrace_services/segment_bridge/dead_letters.py", "__enter__"): "a local file, once a run",
    ("headrace_services/segment_bridge/dead_letters.py", "bury"): "appended to a buffer of 64 KiB",
}
# The files of each name: looking is done for every frame of every call.
_FILES: Final = {name: tuple(file for file, other in EXCEPTIONS if other == name) for _, name in EXCEPTIONS}
_ASYNC: Final = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


def may_block(frame: FrameType | None) -> bool:
    """Whether no coroutine of ours is on the stack, or one of the exceptions is."""
    ours = False
    while frame is not None:
        code = frame.f_code
        if code.co_name in _FILES and code.co_filename.endswith(_FILES[code.co_name]):
            return True
        if code.co_flags & _ASYNC and code.co_filename.startswith(OURS):
            ours = ours or not code.co_filename.startswith(MAY_BLOCK)
        frame = frame.f_back
    return not ours


@contextmanager
def watched() -> Iterator[list[str]]:
    """Blocking calls raise BlockingError where they are made, and are noted with their stacks."""
    found: list[str] = []
    told = BlockingError.__init__

    def tell(error: Any, func: str) -> None:
        told(error, func)
        found.append(f"{error}:\n{''.join(traceback.format_stack(limit=12)[:-2])}")

    buster = BlockBuster(["headrace", "headrace_services"])
    for name in [name for name in buster.functions if name.startswith(LEFT_OUT)]:
        del buster.functions[name]
    for function in buster.functions.values():
        function.can_block_predicate = _or_may_block(function.can_block_predicate)
    buster.activate()
    BlockingError.__init__ = cast("Any", tell)  # type: ignore[method-assign]
    try:
        yield found
    finally:
        BlockingError.__init__ = told  # type: ignore[method-assign]
        buster.deactivate()


def _or_may_block(predicate: Any) -> Any:
    return lambda *args, **kwargs: predicate(*args, **kwargs) or may_block(sys._getframe(2))
