"""Finds where a process hung or crashed in a stack that ``faulthandler`` wrote. No I/O."""

import re
from typing import Final

MAX_TRACE_BYTES: Final = 64 << 10

_FRAME: Final = re.compile(r'^  File "(.+)", line (\d+) in (.+)$', re.MULTILINE)
# The files that call components: insights-core's, and Headrace's replacement.
_CALLERS: Final = ("insights/core/dr.py", "headrace/rules/evaluation/execution.py")
_SHOWN_PARTS: Final = 3


def place_of(trace: str) -> str:
    """Return the innermost frame and the component for which it works; ``""`` if there is no frame."""
    frames = _FRAME.findall(trace)
    if not frames:
        return ""
    callers = (number for number, (file, _, _) in enumerate(frames) if file.endswith(_CALLERS))
    component = next(callers, 0) - 1
    if component <= 0:
        return _shown(frames[0])
    return f"{_shown(frames[0])}, called by {_shown(frames[component])}"


def _shown(frame: tuple[str, str, str]) -> str:
    file, line, function = frame
    return f"{'/'.join(file.split('/')[-_SHOWN_PARTS:])}:{line} in {function}"
