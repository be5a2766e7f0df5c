"""The terms: their span, the data that they need, and the duration of their data.

Source: kruize/autotune (Terms, IntervalResults, design/TermThresholdDesign.md).
"""

from bisect import bisect_left
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

import numpy as np

from headrace.contracts.kruize import LONG_TERM, MEASUREMENT_MINUTES, MEDIUM_TERM, SHORT_TERM, Code
from headrace.contracts.ros import ExperimentType
from headrace_services.kruize.series import Integers, Series

DAY_MS: Final = 86_400_000
HOUR_MS: Final = 3_600_000
TOLERANCE_MS: Final = 30_000
TOLERANCE_MINUTES: Final = 0.5
STEP_SECONDS: Final = MEASUREMENT_MINUTES * 60
STEP_MS: Final = STEP_SECONDS * 1000


@dataclass(frozen=True, slots=True)
class Term:
    """One term; its plot has ``plot_points`` points, each over ``plot_step_ms``."""

    name: str
    days: int
    minimum_minutes: int
    plot_points: int
    plot_step_ms: int
    available: Code

    @property
    def duration_ms(self) -> int:
        """The length of the term."""
        return self.days * DAY_MS


TERMS: Final = (
    Term(SHORT_TERM, 1, 30, 4, 6 * HOUR_MS, Code.SHORT_TERM_AVAILABLE),
    Term(MEDIUM_TERM, 7, 2 * 1440, 7, DAY_MS, Code.MEDIUM_TERM_AVAILABLE),
    Term(LONG_TERM, 15, 8 * 1440, 15, DAY_MS, Code.LONG_TERM_AVAILABLE),
)
_REACH_MS: Final = max(term.duration_ms for term in TERMS)


def terms_with_enough_data(ends_ms: Integers) -> frozenset[str]:
    """Return the names of the terms with enough data; ``ends_ms`` ascends strictly and is not empty.

    The steps of 15 minutes count backwards from the newest end; a step with an end within 30 s counts 15 minutes. A
    step that is off by whole seconds shifts all steps after it.
    """
    ages = _ages_on_grid(ends_ms)
    if ages is None:
        ages = _ages_walked(ends_ms.tolist())
    return frozenset(
        term.name
        for term in TERMS
        if bisect_left(ages, term.duration_ms) * MEASUREMENT_MINUTES
        >= term.minimum_minutes - TOLERANCE_MINUTES
    )


def duration_hours(series: Series) -> dict[str, float]:
    """Return how long the intervals of the series last together, at most a term's length, by the term's name.

    A container's hours are rounded to 2 decimals. A namespace's minutes are rounded to 1 decimal, its hours not.
    """
    minutes = int((series.ends_ms - series.starts_ms).sum()) / 60_000
    return {term.name: _hours(minutes, term.days * 1440.0, series.kind) for term in TERMS}


def _hours(minutes: float, most_minutes: float, kind: ExperimentType) -> float:
    if kind == "namespace":
        return min(_rounded(minutes, "0.1"), most_minutes) / 60
    return _rounded(min(minutes, most_minutes) / 60, "0.01")


def _rounded(number: float, unit: str) -> float:
    """Round like Java's formatter: half up, on the digits of the number's shortest text."""
    return float(Decimal(repr(number)).quantize(Decimal(unit), ROUND_HALF_UP))


def _ages_on_grid(ends_ms: Integers) -> list[int] | None:
    """Return the ages of steps with data, ascending; ``None`` if a step is off by a second or more."""
    older = (ends_ms[-1] - ends_ms[::-1]) + TOLERANCE_MS
    steps, off = np.divmod(older, STEP_MS)
    within = off <= 2 * TOLERANCE_MS
    if (np.abs(off[within] - TOLERANCE_MS) >= 1000).any():
        return None
    found = steps[within]
    distinct = np.append(True, found[1:] != found[:-1])
    ages: list[int] = (found[distinct] * STEP_MS).tolist()
    return ages


def _ages_walked(ends_ms: list[int]) -> list[int]:
    """Return the ages step by step. The nearest end counts; of two equally near ends the later one."""
    newest = moment = ends_ms[-1]
    oldest = newest - _REACH_MS
    step_ms = STEP_MS
    ages: list[int] = []
    at = len(ends_ms) - 1  # the oldest end that is not before the moment
    while moment > oldest:
        while at and ends_ms[at - 1] >= moment:
            at -= 1
        before, after = moment - ends_ms[at - 1] if at else _REACH_MS, ends_ms[at] - moment
        off = before if before < after else -after
        if abs(off) <= TOLERANCE_MS:
            ages.append(newest - moment)
            step_ms += int(off / 1000) * 1000
            if step_ms <= 0:
                break  # The ends are closer together than any measurement; upstream would loop for ever.
            moment -= step_ms
        elif at:
            # There is no data until the next older end, so all steps up to it are skipped at once.
            moment -= -((TOLERANCE_MS - before) // step_ms) * step_ms
        else:
            break
    return ages
