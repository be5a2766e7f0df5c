"""Recommendations a second, beside the rules written down plainly."""

import asyncio
import time
from collections.abc import Callable

from headrace_services.kruize.recommendations import recommend
from tests.bench.report import Figure, of_rounds
from tests.unit.kruize import plain
from tests.unit.kruize.made import fortnight, intervals_of

TITLE = "Kruize: the arithmetic"
TEXT = (
    "One container, 15 days without gaps (1,440 intervals, 8 metrics), in memory: three terms, both engines, plots. "
    "CPU time of one process. Plain: the same rules with dictionaries and lists; its numbers are equal to the last bit."
)
ROUNDS = 5
# Upstream's whole call takes 490 ms; this one's is to take 5 ms, of which the arithmetic is a part.
BAR = "≤ 1 ms each"


async def measure() -> list[Figure]:
    """In a thread: the loop has nothing else to do, and would not get to it."""
    return await asyncio.to_thread(_measure)


def _measure() -> list[Figure]:
    """Of both kinds, and of a container whose ends drift, so that its steps are walked one by one."""
    container, namespace = fortnight("container"), fortnight("namespace")
    intervals = intervals_of(container)
    drifting = fortnight("container")
    drifting.ends_ms[:] += (drifting.ends_ms // 900_000 % 7) * -2000
    return [
        _rate("container", lambda: recommend(container), 200, BAR),
        _rate("container, without plots", lambda: recommend(container, plots=False), 200),
        _rate("container, ends that drift", lambda: recommend(drifting), 100),
        _rate("namespace", lambda: recommend(namespace), 200, BAR),
        _rate("container, plain", lambda: plain.recommend("container", intervals), 1),
    ]


def _rate(name: str, work: Callable[[], object], times: int, bar: str = "") -> Figure:
    work()
    rates = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(times):
            work()
        rates.append(times / (time.process_time() - began))
    return of_rounds(name, rates, "/s", bar=bar)
