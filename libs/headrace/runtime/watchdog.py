"""A thread that detects a blocked event loop and logs its stacks.

Nothing that runs on a blocked loop can report it: no log line, no answer to a probe. Therefore a thread requests a
sign of life from the loop; if none comes for too long, it logs the stacks of all threads and tasks, once per stall.
"""

import asyncio
import contextlib
import faulthandler
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Final

from headrace.runtime import metrics
from headrace.runtime.logging import get_logger, redact

_log = get_logger(__name__)

_ASK_SECONDS: Final = 0.5
# Of a stack the innermost frames, and of the tasks' stacks the most frequent ones: a log line has an end.
_FRAMES: Final = 40
_STACKS: Final = 100
# Code that holds Python's own lock keeps this thread from running too; then C writes the threads' stacks to stderr.
_WITHOUT_US: Final = 1.5
# By its number: `sys.stderr` may be somebody's object without one.
_STDERR: Final = 2

Change = Callable[[float | None], None]


class Watchdog:
    """Watches the loop that starts it; `changed` is called in the thread, with the seconds so far, then None."""

    def __init__(self, seconds: float, changed: Change = lambda _: None) -> None:
        self._seconds = seconds
        self.changed = changed
        self._beat = time.monotonic()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start, on the loop; with zero seconds it watches nothing."""
        if self._seconds <= 0:
            return
        loop = asyncio.get_running_loop()
        self._beat = time.monotonic()
        watched = threading.get_ident()
        self._thread = threading.Thread(
            target=self._watch, args=(loop, watched), name="loop watchdog", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop; the thread has ended when this returns, unless the log itself blocks."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(timeout=1.0)
            faulthandler.cancel_dump_traceback_later()

    def _alive(self) -> None:
        self._beat = time.monotonic()

    def _watch(self, loop: asyncio.AbstractEventLoop, watched: int) -> None:
        stalled_at: float | None = None
        asked = time.monotonic()
        while not self._ended.wait(_ASK_SECONDS):
            now = time.monotonic()
            if now - asked > _ASK_SECONDS + self._seconds / 2:
                # Then it was not the loop: the whole process stood still, stopped or starved.
                self._beat = max(self._beat, now)
            asked = now
            faulthandler.dump_traceback_later(self._seconds * _WITHOUT_US, exit=False, file=_STDERR)
            try:
                loop.call_soon_threadsafe(self._alive)
            except RuntimeError:
                return  # the loop has been closed
            still = now - self._beat
            if stalled_at is None and still >= self._seconds:
                stalled_at = self._beat
                self._tell(loop, watched, still)
            elif stalled_at is not None and still < self._seconds:
                _log.warning("loop_goes_on", stalled_seconds=round(now - stalled_at, 1))
                stalled_at = None
                self.changed(None)

    def _tell(self, loop: asyncio.AbstractEventLoop, watched: int, still: float) -> None:
        metrics.LOOP_STALLS.inc()
        # Before the log, which may be what is stuck.
        self.changed(still)
        _log.error(
            "loop_stalled",
            seconds=round(still, 1),
            threads="\n".join(_threads(watched)),
            tasks="\n".join(_tasks(loop)),
        )


def _threads(watched: int) -> Iterable[str]:
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    frames = sys._current_frames()  # noqa: SLF001 -- the one way to see the others' stacks
    for ident in sorted(frames, key=lambda ident: ident != watched):
        if ident != threading.get_ident():
            role = " (the event loop)" if ident == watched else ""
            yield f"thread {names.get(ident, ident)}{role}:\n{_text(frames[ident])}"


def _tasks(loop: asyncio.AbstractEventLoop) -> Iterable[str]:
    stacks: Counter[str] = Counter()
    names: dict[str, str] = {}
    tasks: set[asyncio.Task[object]] = set()
    # The set changes under us while other threads make tasks.
    with contextlib.suppress(RuntimeError):
        tasks = asyncio.all_tasks(loop)
    for task in tasks:
        text = "".join(_text(frame, 1) for frame in task.get_stack(limit=_FRAMES))
        stacks[text] += 1
        names.setdefault(text, task.get_name())
    for text, count in stacks.most_common(_STACKS):
        more = f" and {count - 1} more" if count > 1 else ""
        yield f"task {redact(names[text])}{more}:\n{text}"


def _text(frame: FrameType, limit: int = _FRAMES) -> str:
    return "".join(traceback.format_list(traceback.extract_stack(frame, limit=limit)))
