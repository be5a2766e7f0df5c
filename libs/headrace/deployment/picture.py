"""The picture of the flow (SVG), drawn from the services' table: who sends to whom, by which topic or over HTTP."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Final

from headrace.contracts.topics import PAYLOAD_STATUS, SOURCES_EVENTS, SOURCES_RESOURCES
from headrace.service.declarations import variables_of
from headrace.service.row import Service

# What no row says: where uploads come from, and what is handed on otherwise than by topic, HTTP or database.
_SENDER: Final = "your sender"
_BESIDE: Final = ((_SENDER, "ingress", "HTTP"), ("ols", "ols_collector", "files"))
# Beside the flow: what every service says, and what is said of sources.
_ASIDE: Final = frozenset({PAYLOAD_STATUS, SOURCES_EVENTS, SOURCES_RESOURCES})
_WIDTH, _HEIGHT = 176, 42
_ACROSS, _DOWN, _MARGIN = 196, 98, 14
_SWEEPS: Final = 8
_DASHED: Final = ("HTTP", "PostgreSQL", "files")
_HEAD: Final = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" \
font-family="system-ui, sans-serif" font-size="13" role="img" aria-label="The flow of an upload through the services">
<!-- Written by `make docs` from services/headrace_services/registry.py. -->
<rect width="{width}" height="{height}" rx="8" fill="#ffffff"/>
<defs><marker id="end" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">\
<path d="M0 0L8 4L0 8z" fill="#5f6b7a"/></marker></defs>
"""
_FILLS: Final = {True: "#e7f0fd", False: "#f3f4f6"}


@dataclass(frozen=True)
class Edge:
    """One way from a service to another; ``by`` is a topic, or how else."""

    source: str
    target: str
    by: str


@dataclass(frozen=True)
class _Place:
    """A box, or the bend of an edge that passes a level."""

    name: str
    level: int


def edges(rows: Sequence[Service]) -> list[Edge]:
    """Return the ways between services, one for each pair."""
    found = {(source, target): [by] for source, target, by in _BESIDE}
    for row in rows:
        sent = [topic.name for topic in row.produces if topic not in _ASIDE]
        told = variables_of(row)
        for other in rows:
            taken = {item.topic.name for item in other.consumes}
            by = [topic for topic in sent if topic in taken]
            if other is not row and told & {variable for variable, _ in other.known_by}:
                by.append("HTTP")
            if other.access == "reads" and row.access != "reads" and row.database == other.database:
                by.append("PostgreSQL")
            if by:
                found[row.name, other.name] = by
    return [Edge(*pair, ", ".join(by)) for pair, by in found.items()]


def picture(rows: Sequence[Service]) -> str:
    """Return the picture."""
    ways = edges(rows)
    names = [_SENDER, *(row.name for row in rows)]
    levels = _levels(names, ways)
    paths = {way: _path(way, levels) for way in ways}
    ordered = _ordered(names, levels, list(paths.values()))
    widest = max(map(len, ordered.values()))
    x = {
        place: _MARGIN + (number + (widest - len(places)) / 2 + 0.5) * _ACROSS
        for places in ordered.values()
        for number, place in enumerate(places)
    }
    lines = [
        _HEAD.format(width=2 * _MARGIN + widest * _ACROSS, height=_y(max(ordered)) + _HEIGHT + 3 * _MARGIN)
    ]
    lines += [_drawn(way, [(x[place], place.level) for place in path]) for way, path in paths.items()]
    lines += _labels(paths.items(), x)
    described = {row.name: row for row in rows}
    # A bucket stands in the box of the service that writes it, which comes first in the table.
    writers = {bucket: row.name for row in reversed(rows) for bucket in row.buckets}
    lines += [_box(place, x[place], described.get(place.name), writers) for place in x if not _is_bend(place)]
    foot = f"dashed: {', '.join(_DASHED)}. Every service also reports on {PAYLOAD_STATUS.name} to payload_tracker."
    lines.append(
        f'<text x="{_MARGIN}" y="{_y(max(ordered)) + _HEIGHT + 2 * _MARGIN}" fill="#5f6b7a">{foot}</text>\n'
    )
    return "".join(lines) + "</svg>\n"


def _levels(names: Sequence[str], ways: Sequence[Edge]) -> dict[str, int]:
    """Return the level of each: below everything that sends to it, and senders just above their receiver."""
    levels = dict.fromkeys(names, 0)
    for _ in names:
        for way in ways:
            levels[way.target] = max(levels[way.target], levels[way.source] + 1)
    for name in reversed(names):
        below = [levels[way.target] for way in ways if way.source == name]
        if below and not any(way.target == name for way in ways):
            levels[name] = min(below) - 1
    return levels


def _path(way: Edge, levels: dict[str, int]) -> list[_Place]:
    first, last = levels[way.source], levels[way.target]
    bends = [_Place(f"{way.source} to {way.target}", level) for level in range(first + 1, last)]
    return [_Place(way.source, first), *bends, _Place(way.target, last)]


def _is_bend(place: _Place) -> bool:
    return " to " in place.name


def _ordered(
    names: Sequence[str], levels: dict[str, int], paths: Sequence[Sequence[_Place]]
) -> dict[int, list[_Place]]:
    """Return the places of each level from left to right, so that few ways cross."""
    steps = [step for path in paths for step in pairwise(path)]
    places = dict.fromkeys(
        [*(_Place(name, levels[name]) for name in names), *(each for step in steps for each in step)]
    )
    found: dict[int, list[_Place]] = {}
    for place in places:
        found.setdefault(place.level, []).append(place)
    for sweep in range(_SWEEPS):
        downwards = sweep % 2 == 0
        for level in sorted(found, reverse=not downwards):
            at = {
                place: number - len(found[near]) / 2
                for near in (level - 1, level + 1)
                if near in found
                for number, place in enumerate(found[near])
            }
            around: dict[_Place, list[float]] = {place: [] for place in found[level]}
            for upper, lower in steps:
                here, there = (lower, upper) if downwards else (upper, lower)
                if here.level == level:
                    around[here].append(at[there])
            own = {place: number - len(found[level]) / 2 for number, place in enumerate(found[level])}
            found[level].sort(
                key=lambda place: sum(around[place]) / len(around[place]) if around[place] else own[place]
            )
    return dict(sorted(found.items()))


def _y(level: int) -> int:
    return _MARGIN + level * _DOWN


def _drawn(way: Edge, points: Sequence[tuple[float, int]]) -> str:
    """Return a curve through the points: it leaves a box below and enters one above."""
    dashes = ' stroke-dasharray="4 3"' if way.by in _DASHED else ""
    (x, level), *others = points
    y = _y(level) + _HEIGHT
    shape = f"M{x:g} {y}"
    for number, (to_x, to_level) in enumerate(others, 1):
        to_y = _y(to_level) + (0 if number == len(others) else _HEIGHT // 2)
        middle = (y + to_y) // 2
        shape += f"C{x:g} {middle} {to_x:g} {middle} {to_x:g} {to_y}"
        x, y = to_x, to_y
    return f'<path d="{shape}" fill="none" stroke="#5f6b7a" stroke-width="1.3"{dashes} marker-end="url(#end)"/>\n'


def _labels(paths: Iterable[tuple[Edge, list[_Place]]], x: dict[_Place, float]) -> Iterator[str]:
    """Yield the name of each topic once, above the first that receives it."""
    told = set(_DASHED)
    for way, (*_, last) in paths:
        if way.by not in told:
            told.add(way.by)
            yield (
                f'<text x="{x[last]:g}" y="{_y(last.level) - 14}" text-anchor="middle" font-size="11" '
                f'fill="#1f4e8c" stroke="#ffffff" stroke-width="4" paint-order="stroke">{escape(way.by)}</text>\n'
            )


def _box(place: _Place, x: float, row: Service | None, writers: Mapping[str, str]) -> str:
    y = _y(place.level)
    stores = [f"S3 {bucket}" for bucket in (row.buckets[:1] if row else ()) if writers[bucket] == place.name]
    below = ", ".join([*([f":{row.port}"] if row and row.port else []), *stores])
    about = f"<title>{escape(row.summary)}</title>" if row else ""
    return (
        f'<g>{about}<rect x="{x - _WIDTH / 2:g}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="6" '
        f'fill="{_FILLS[row is not None]}" stroke="#9aa5b1"/>'
        f'<text x="{x:g}" y="{y + (19 if below else 26)}" text-anchor="middle">{escape(place.name)}</text>'
        f'<text x="{x:g}" y="{y + 34}" text-anchor="middle" font-size="10.5" fill="#5f6b7a">{below}</text></g>\n'
    )
