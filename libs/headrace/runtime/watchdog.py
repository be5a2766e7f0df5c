"""A thread that detects a blocked event loop and logs its stacks.

Nothing that runs on a blocked loop can report it: it writes no log line and answers no probe. Therefore a thread
schedules a callback on the loop; if it does not run for too long, the thread logs the stacks of all threads and tasks,
once per stall.
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
# A log line is limited to the innermost frames of a stack and to the most frequent stacks of tasks.
_FRAMES: Final = 40
_STACKS: Final = 100
# Code that holds the interpreter lock stops this thread too; then `faulthandler` writes the threads' stacks to stderr.
_WITHOUT_US: Final = 1.5
# `sys.stderr` may be replaced by an object without a file descriptor.
_STDERR: Final = 2

Change = Callable[[float | None], None]


class Watchdog:
    """Watches the loop that starts it.

    Its thread calls ``changed`` with the seconds of a stall so far, and with None when the stall ends.
    """

    def __init__(self, seconds: float, changed: Change = lambda _: None) -> None:
        self._seconds = seconds
        self.changed = changed
        self._beat = time.monotonic()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start to watch the running loop; a limit of zero seconds switches the watchdog off."""
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
        """Stop the thread and wait for it, except while the log itself blocks."""
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
                # The thread itself was late, so the whole process was stopped or starved, not the loop.
                self._beat = max(self._beat, now)
            asked = now
            faulthandler.dump_traceback_later(self._seconds * _WITHOUT_US, exit=False, file=_STDERR)
            try:
                loop.call_soon_threadsafe(self._alive)
            except RuntimeError:
                return  # the loop is closed
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
        # The log itself may be what blocks.
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
    # Other threads create tasks while this one iterates over the set.
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
