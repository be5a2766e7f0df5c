"""A workload's usage as a picture: what it used over time, and what it asks for and should ask for. No I/O."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final, TypeGuard

from headrace_services.console import words
from headrace_services.console.advice import Change

_WIDTH, _HEIGHT = 800.0, 240.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 64.0, 215.0, 12.0, 26.0
_LABEL: Final = 14.0
_TICKS: Final = 5


@dataclass(frozen=True)
class Point:
    """One interval: the average, the least and the most, in cores or bytes."""

    start: datetime
    end: datetime
    average: float
    least: float
    most: float


@dataclass(frozen=True)
class Level:
    """A request or limit as a line; ``kind`` is ``current`` or ``recommended``."""

    text: str
    kind: str
    y: float
    text_y: float
    is_limit: bool


@dataclass(frozen=True)
class Tick:
    """A mark on an axis."""

    at: float
    text: str


@dataclass(frozen=True)
class Day:
    """What was used on one day."""

    date: str
    average: float
    most: float


@dataclass(frozen=True)
class Chart:
    """The picture of one resource: ``bands`` from the least to the most, ``lines`` of the average."""

    resource: str
    bands: Sequence[str]
    lines: Sequence[str]
    levels: Sequence[Level]
    columns: Sequence[Tick]
    rows: Sequence[Tick]
    days: Sequence[Day]
    width: float = _WIDTH
    height: float = _HEIGHT
    left: float = _LEFT
    right: float = _WIDTH - _RIGHT
    bottom: float = _HEIGHT - _BOTTOM


def chart_of(resource: str, intervals: Iterable[Any], changes: Sequence[Change]) -> Chart | None:
    """Draw the usage of a container; None if nothing of it is known."""
    points = list(points_of(resource, intervals))
    if not points:
        return None
    wanted = _wanted(resource, changes)
    most = max([point.most for point in points] + [value for _, _, value, _ in wanted])
    top = most * 1.06 if most > 0 else 1.0
    begin, end = points[0].start, points[-1].end
    seconds = max((end - begin).total_seconds(), 1.0)

    def x(moment: datetime) -> float:
        return round(_LEFT + (moment - begin).total_seconds() / seconds * (_WIDTH - _LEFT - _RIGHT), 1)

    def y(value: float) -> float:
        return round(_HEIGHT - _BOTTOM - max(value, 0.0) / top * (_HEIGHT - _TOP - _BOTTOM), 1)

    bands, lines = [], []
    for run in _runs(points):
        middles = [(x(point.start + (point.end - point.start) / 2), point) for point in run]
        # A single interval has a width, too.
        ends = [(x(run[0].start), run[0]), *middles, (x(run[-1].end), run[-1])]
        lines.append("M" + "L".join(f"{at:g} {y(point.average):g}" for at, point in ends))
        above = [f"{at:g} {y(point.most):g}" for at, point in ends]
        below = [f"{at:g} {y(point.least):g}" for at, point in reversed(ends)]
        bands.append("M" + "L".join(above + below) + "Z")
    return Chart(
        resource,
        bands,
        lines,
        _levels(wanted, y),
        [Tick(x(moment), text) for moment, text in _times(begin, end)],
        [Tick(y(value), words.amount(resource, value)) for value in _steps(resource, top)],
        _days(points),
    )


def points_of(resource: str, intervals: Iterable[Any]) -> Iterator[Point]:
    """Yield the intervals that tell an average, oldest first."""
    for item in intervals:
        if not isinstance(item, Mapping):
            continue
        start, end = words.moment(item.get("start")), words.moment(item.get("end"))
        average = item.get(f"{resource}_usage_avg")
        if start is None or end is None or end <= start or not _is_number(average):
            continue
        least, most = item.get(f"{resource}_usage_min"), item.get(f"{resource}_usage_max")
        yield Point(
            start,
            end,
            average,
            least if _is_number(least) else average,
            most if _is_number(most) else average,
        )


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _runs(points: Sequence[Point]) -> Iterator[list[Point]]:
    """Yield points that follow one another; where an interval is missing, the line is interrupted."""
    run: list[Point] = []
    for point in points:
        if run and point.start - run[-1].end > (point.end - point.start) / 2:
            yield run
            run = []
        run.append(point)
    yield run


def _wanted(resource: str, changes: Sequence[Change]) -> list[tuple[str, str, float, bool]]:
    found: list[tuple[str, str, float, bool]] = []
    for item in changes:
        if item.resource != resource:
            continue
        name, is_limit = item.title.rpartition(" ")[2], item.section == "limits"
        for kind, value in (("current", item.current), ("recommended", item.recommended)):
            if value is not None and value >= 0:
                text = f"{kind} {name} {words.amount(resource, value)}"
                found.append((text, kind, value, is_limit))
    return found


def _levels(wanted: Sequence[tuple[str, str, float, bool]], y: Any) -> list[Level]:
    """Place the lines, and their texts beside them so that none covers another."""
    placed: list[Level] = []
    lowest = _HEIGHT - _BOTTOM
    for number, (text, kind, value, is_limit) in enumerate(sorted(wanted, key=lambda item: -item[2])):
        # Those that follow need a place below it.
        room = lowest - (len(wanted) - 1 - number) * _LABEL
        text_y = min(y(value) + 4, room)
        if placed:
            text_y = max(text_y, placed[-1].text_y + _LABEL)
        placed.append(Level(text, kind, y(value), round(text_y, 1), is_limit))
    return placed


def _steps(resource: str, top: float) -> list[float]:
    """Return round values for the axis: powers of two of bytes, and 1, 2 or 5 of cores."""
    least = top / _TICKS
    if resource == "memory":
        step = 2.0 ** math.ceil(math.log2(least))
    else:
        power = 10.0 ** math.floor(math.log10(least))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least * 0.999)
    return [number * step for number in range(_TICKS + 1) if number * step <= top]


def _times(begin: datetime, end: datetime) -> list[tuple[datetime, str]]:
    form = "%m-%d %H:%M" if end - begin < timedelta(days=4) else "%m-%d"
    part = (end - begin) / (_TICKS - 1)
    return [(begin + part * number, f"{begin + part * number:{form}}") for number in range(_TICKS)]


def _days(points: Sequence[Point]) -> list[Day]:
    days = []
    for date, found in groupby(points, key=lambda point: f"{point.start:%Y-%m-%d}"):
        ofday = list(found)
        average = sum(point.average for point in ofday) / len(ofday)
        days.append(Day(date, average, max(point.most for point in ofday)))
    return days
