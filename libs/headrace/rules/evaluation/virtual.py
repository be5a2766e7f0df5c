"""The place where an archive's files seem to be, and what happens to code that goes there: ``NeedsDisk``.

insights-core hands paths to components. In memory they begin with ``ROOT``, which exists nowhere; a component
that opens or lists such a path, or asks its context for the root, shows that it needs real files. Its archive
is then evaluated again, on disk.
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
    """A component wants a real path; no ``except Exception`` on the way may swallow that."""


def watch_paths() -> None:
    """Make opening a path below ``ROOT`` raise ``NeedsDisk``, from C code as well; for the whole process, once."""
    _add_hook()


def was_needed() -> bool:
    """Tell whether, in this thread, disk was asked for since the last call, even if that was swallowed."""
    needed = getattr(_state, "needed", False)
    _state.needed = False
    return needed


def refuse(what: str) -> None:
    """Note that real files are needed, and end the evaluation in memory."""
    _state.needed = True
    raise NeedsDisk(what)


@functools.cache
def _add_hook() -> None:
    sys.addaudithook(_refuse_opening)


def _refuse_opening(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _OPENING_EVENTS and any(ROOT in str(argument) for argument in arguments[:2]):
        refuse(f"{event} of a path in the archive")


def virtual_context(context_class: Any) -> Any:
    """Return a subclass whose instances keep their root and files to themselves."""
    if context_class not in _virtual:
        _virtual[context_class] = _made_virtual(context_class)
    return _virtual[context_class]


def _made_virtual(context_class: Any) -> Any:
    def keep(_self: object, _value: object) -> None:
        """Its constructor sets what it was given; nobody may read it."""

    def files(self: object) -> None:
        refuse(f"{type(self).__name__} was asked for its files")

    attributes = {
        "__module__": context_class.__module__,
        "__qualname__": context_class.__qualname__,
        "__repr__": lambda self: f"<{type(self).__name__} in memory>",
        "root": property(files, keep),
        "all_files": property(files, keep),
    }
    # Not the metaclass itself: it would register the class as one more context to try on archives.
    return type.__new__(type(context_class), context_class.__name__, (context_class,), attributes)
