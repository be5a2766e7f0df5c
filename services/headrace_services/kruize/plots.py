"""Box plots of usage: a term is divided into windows with five numbers each.

Source: kruize/autotune (PlotManager, PlotData).
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np

from headrace.contracts.kruize import CPU_USAGE, MEMORY_USAGE
from headrace_services.kruize.series import Floats, Integers
from headrace_services.kruize.terms import Term
from headrace_services.kruize.usage import Units, Usage

_QUARTILES: Final = np.array([[0.25], [0.5], [0.75]])
_NUMBERS: Final = ("min", "q1", "median", "q3", "max")


def timestamps(moments_ms: Sequence[int]) -> list[str]:
    """Format milliseconds since the epoch as ``2023-06-02T00:45:00.000Z``."""
    moments = np.array(moments_ms, dtype="datetime64[ms]")
    texts: list[str] = np.datetime_as_string(moments, unit="ms", timezone="UTC").tolist()
    return texts


def plots(ends_ms: Integers, usage: Usage, terms: Sequence[Term]) -> dict[str, dict[str, Any]]:
    """Return the section of that name for each of these terms, by the term's name.

    A window excludes its beginning and includes its end, which names it. A window without data is ``{}``.
    """
    newest = int(ends_ms[-1])
    edges = [
        newest - term.duration_ms + step * term.plot_step_ms
        for term in terms
        for step in range(term.plot_points + 1)
    ]
    names = timestamps(edges)
    after = np.searchsorted(ends_ms, np.array(edges, dtype=np.int64), side="right").tolist()
    found: dict[str, dict[str, Any]] = {}
    points = iter(_points(_windows(after, terms), usage))
    at = 0
    for term in terms:
        closing = names[at + 1 : at + 1 + term.plot_points]
        at += term.plot_points + 1
        found[term.name] = {
            "datapoints": term.plot_points,
            "plots_data": {name: next(points) for name in closing},
        }
    return found


def _windows(after: list[int], terms: Sequence[Term]) -> list[tuple[int, int]]:
    """Return the begin and end of each window as positions; ``after`` are the positions of edges, term by term."""
    windows: list[tuple[int, int]] = []
    at = 0
    for term in terms:
        edges = after[at : at + term.plot_points + 1]
        windows += pairwise(edges)
        at += term.plot_points + 1
    return windows


def _points(windows: list[tuple[int, int]], usage: Usage) -> list[dict[str, Any]]:
    high, low = _cut(windows, usage)
    counts = np.array([max(end - begin, 1) for begin, end in windows])
    ranks = np.floor(_QUARTILES * (counts - 1) + 0.5).astype(np.int64)
    ranks = np.vstack([ranks, counts - 1])
    chosen = np.take_along_axis(high, np.broadcast_to(ranks.T, (2, *ranks.T.shape)), axis=2)
    numbers = np.concatenate([low.min(axis=2)[..., np.newaxis], chosen], axis=2)
    cpu, memory = numbers.tolist()
    points: list[dict[str, Any]] = []
    for (begin, end), of_cpu, of_memory in zip(windows, cpu, memory, strict=True):
        if begin == end:
            points.append({})
            continue
        points.append(
            {
                CPU_USAGE.name: _box(of_cpu, usage.cpu_units, begin, end),
                MEMORY_USAGE.name: _box(of_memory, usage.memory_units, begin, end),
            }
        )
    return points


def _cut(windows: list[tuple[int, int]], usage: Usage) -> tuple[Floats, Floats]:
    """Return the sorted highest uses and the lowest uses of each window: two of shape (2, windows, longest).

    The first axis is CPU and memory. A shorter window is padded with infinity, which sorts behind its numbers.
    """
    begins = np.array([begin for begin, _ in windows])[:, np.newaxis]
    ends = np.array([end for _, end in windows])[:, np.newaxis]
    longest = max(int((ends - begins).max()), 1)
    positions = begins + np.arange(longest)
    outside = positions >= ends
    np.minimum(positions, len(usage.cpu_high) - 1, out=positions)
    both = np.stack([usage.cpu_high, usage.memory_high, usage.cpu_low, usage.memory_low])[:, positions]
    both[:, outside] = np.inf
    both[:2].sort(axis=2)
    return both[:2], both[2:]


def _box(numbers: list[float], units: Units, begin: int, end: int) -> dict[str, Any]:
    box: dict[str, Any] = dict(zip(_NUMBERS, numbers, strict=True))
    if unit := units.first(begin, end):
        box["format"] = unit
    return box
