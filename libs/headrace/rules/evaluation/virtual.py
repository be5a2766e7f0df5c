"""The virtual root of an archive in memory, and ``NeedsDisk`` for code that accesses it.

insights-core passes paths to components. In memory they begin with ``ROOT``, which does not exist. A component that
opens or lists such a path, or asks its context for the root, needs real files; its archive is then evaluated again, on
disk.
"""

import functools
import sys
import threading
from typing import Any

ROOT = "/nonexistent/insights-archive"

_OPENING_EVENTS = frozenset(
    {"open", "os.listdir", "os.scandir", "os.chdir", "sqlite3.connect", "subprocess.Popen"}
)
_state = threading.local()
_virtual: dict[Any, Any] = {}


class NeedsDisk(BaseException):
    """A component needs a real path. It is a BaseException, so that no ``except Exception`` hides it."""


def watch_paths() -> None:
    """Make opening a path below ``ROOT`` raise ``NeedsDisk``, also from C code; once for the whole process."""
    _add_hook()


def was_needed() -> bool:
    """Return whether the disk was needed in this thread since the last call, even if the exception was caught."""
    needed = getattr(_state, "needed", False)
    _state.needed = False
    return needed


def refuse(what: str) -> None:
    """Record that real files are needed, and end the evaluation in memory."""
    _state.needed = True
    raise NeedsDisk(what)


@functools.cache
def _add_hook() -> None:
    sys.addaudithook(_refuse_opening)


def _refuse_opening(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _OPENING_EVENTS and any(ROOT in str(argument) for argument in arguments[:2]):
        refuse(f"{event} of a path in the archive")


def virtual_context(context_class: Any) -> Any:
    """Return a subclass of a context whose instances raise ``NeedsDisk`` when their root or files are read."""
    if context_class not in _virtual:
        _virtual[context_class] = _made_virtual(context_class)
    return _virtual[context_class]


def _made_virtual(context_class: Any) -> Any:
    def keep(_self: object, _value: object) -> None:
        """Accept the assignment of the constructor; reads are refused."""

    def files(self: object) -> None:
        refuse(f"{type(self).__name__} was asked for its files")

    attributes = {
        "__module__": context_class.__module__,
        "__qualname__": context_class.__qualname__,
        "__repr__": lambda self: f"<{type(self).__name__} in memory>",
        "root": property(files, keep),
        "all_files": property(files, keep),
    }
    # The metaclass itself would register the class as one more context to try on archives.
    return type.__new__(type(context_class), context_class.__name__, (context_class,), attributes)
