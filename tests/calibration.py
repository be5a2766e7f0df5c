"""How slow this machine is at the moment, so that a bound judges the code and not the hour.

Cores that are shared change their speed by two within a minute, and whatever else runs takes their time and caches.
A bound in seconds is meant for a machine that does a fixed piece of work in `QUIET_SECONDS`; where the work takes
longer now, the bound is as much longer. It is never shorter.
"""

import time
import zlib
from typing import Final

# The work below on an idle core of the machine the bounds were set on.
QUIET_SECONDS: Final = 0.045


class Calibration:
    """Measures at its making and again with each question: `cpu` bounds CPU time, `wall` what a clock shows."""

    def __init__(self) -> None:
        self._cpu = self._wall = 1.0
        self._measure()

    def cpu(self, seconds: float) -> float:
        """So many CPU seconds of the quiet machine, here and now."""
        self._measure()
        return seconds * self._cpu

    def wall(self, seconds: float) -> float:
        """So many seconds of the quiet machine, here and now: other processes' turns included."""
        self._measure()
        return seconds * self._wall

    def _measure(self) -> None:
        cpu, wall = time.process_time(), time.perf_counter()
        _work()
        self._cpu = max(self._cpu, (time.process_time() - cpu) / QUIET_SECONDS)
        self._wall = max(self._wall, (time.perf_counter() - wall) / QUIET_SECONDS)


def _work() -> int:
    """Interpreter, allocator, caches and a compressor, a little of each."""
    table = {str(number): number * number for number in range(100_000)}
    text = ",".join(table).encode()
    return len(zlib.compress(text, 1)) + sum(len(key) for key in table)
