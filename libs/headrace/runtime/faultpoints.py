"""Fault points: named places where a test makes a process raise, hang or die. While off, each costs one comparison.

`HEADRACE_FAULT_POINTS` enables them, for tests only, in a process of `headrace serve`: faults separated by blanks, each
`<point>:<mode>:<passage>` with passages counted from 1 (`after_effect:kill:7`). A hang may have a duration in seconds
(`before_commit:hang:1:30`, default 3600). Points are counted for the whole process, so run each service in its own
process.

| point | where |
| --- | --- |
| `after_store` | an object or the rows of a transaction are durable but not announced |
| `before_announce` | messages are about to be sent to Kafka |
| `after_effect` | a handler returned, the end of its message is not recorded |
| `before_commit` | the end is recorded, its offset is about to be committed |
"""

import asyncio
import os
import signal
from collections import Counter
from dataclasses import dataclass
from typing import Final

from headrace.runtime.errors import ConfigurationError
from headrace.runtime.logging import get_logger

VARIABLE: Final = "HEADRACE_FAULT_POINTS"
POINTS: Final = ("after_store", "before_announce", "after_effect", "before_commit")
MODES: Final = ("raise", "hang", "kill")
_HANG_SECONDS: Final = 3600.0

_log: Final = get_logger(__name__)


@dataclass(frozen=True)
class Fault:
    """The fault at one passage of one point."""

    point: str
    mode: str
    passage: int
    seconds: float = _HANG_SECONDS

    def __str__(self) -> str:
        return f"{self.point}:{self.mode}:{self.passage}" + (
            f":{self.seconds:g}" if self.mode == "hang" else ""
        )


class FaultPoints:
    """The faults of this process, and how often each point was passed."""

    def __init__(self, faults: list[Fault]) -> None:
        self._faults = {(fault.point, fault.passage): fault for fault in faults}
        self.passed: Counter[str] = Counter()

    async def reach(self, point: str, failure: type[Exception] = RuntimeError) -> None:
        """Pass a point; ``failure`` is the exception that a real fault raises there."""
        self.passed[point] += 1
        fault = self._faults.get((point, self.passed[point]))
        if fault is None:
            return
        _log.error("fault point", fault=str(fault))
        if fault.mode == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif fault.mode == "hang":
            await asyncio.sleep(fault.seconds)
        else:
            raise failure(f"fault point {fault}")


# The faults in use; None while fault points are off.
armed: FaultPoints | None = None


def parse(text: str) -> list[Fault]:
    """Parse the variable's text; raises `ConfigurationError` with its name."""
    found = []
    for item in text.split():
        point, mode, passage, seconds = (*item.split(":"), "", "", "", "")[:4]
        if point not in POINTS or mode not in MODES or not passage.isdigit() or item.count(":") > 3:
            raise ConfigurationError(
                f"{VARIABLE}: got {item!r}, expected <point>:<mode>:<passage>[:<seconds>] with a point of"
                f" {', '.join(POINTS)} and a mode of {', '.join(MODES)}"
            )
        try:
            found.append(Fault(point, mode, int(passage), float(seconds or _HANG_SECONDS)))
        except ValueError:
            raise ConfigurationError(f"{VARIABLE}: got {item!r}, expected seconds as a number") from None
    return found


def from_environment() -> FaultPoints | None:
    """Return the faults in the variable; None if it is not set."""
    faults = parse(os.environ.get(VARIABLE, ""))
    if not faults:
        return None
    _log.warning("fault points armed", faults=[str(fault) for fault in faults])
    return FaultPoints(faults)
