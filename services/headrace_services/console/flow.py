"""The flow as a graph, drawn from the services' table: who sends what to whom, and what waits between them. No I/O."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from headrace.contracts.topics import PAYLOAD_STATUS
from headrace.service.declarations import variables_of
from headrace.service.row import Service

UNKNOWN, WELL, HELD = "unknown", "well", "held"
_NODE_WIDTH, _NODE_HEIGHT = 140.0, 46.0
_COLUMN, _LINE = 184.0, 66.0
_MARGIN: Final = 8.0


@dataclass(frozen=True)
class Edge:
    """One service sends to another: by a topic, or by requests if ``topic`` is empty."""

    source: str
    target: str
    topic: str = ""
    group: str = ""


@dataclass(frozen=True)
class Node:
    """A service and where it is drawn."""

    row: Service
    x: float
    y: float
    width: float = _NODE_WIDTH
    height: float = _NODE_HEIGHT


@dataclass(frozen=True)
class Line:
    """An edge and how it is drawn: a path, and the place of its label."""

    edge: Edge
    path: str
    x: float
    y: float


@dataclass(frozen=True)
class Graph:
    """The services' table as a picture."""

    nodes: Sequence[Node]
    lines: Sequence[Line]
    width: float
    height: float


@dataclass(frozen=True)
class State:
    """How a service is; ``problems`` are its reasons."""

    state: str = UNKNOWN
    problems: Sequence[str] = field(default_factory=tuple)


def edges_of(rows: Sequence[Service]) -> list[Edge]:
    """Return who sends to whom. Every service reports statuses, so that those are no edges."""
    edges = [
        Edge(sender.name, row.name, item.topic.name, item.group)
        for row in rows
        for item in row.consumes
        if item.topic.name != PAYLOAD_STATUS.name
        for sender in rows
        if sender is not row and any(topic.name == item.topic.name for topic in sender.produces)
    ]
    linked = {frozenset((edge.source, edge.target)) for edge in edges}
    edges += [
        Edge(caller.name, row.name)
        for row in rows
        for caller in rows
        if caller is not row
        and frozenset((caller.name, row.name)) not in linked
        and {variable for variable, _ in row.known_by} & variables_of(caller)
    ]
    edges += [
        Edge(writer.name, reader.name)
        for writer in rows
        for reader in rows
        if writer.access == "writes" and reader.access == "reads" and writer.database == reader.database
    ]
    return edges


def columns_of(names: Iterable[str], edges: Sequence[Edge]) -> dict[str, int]:
    """Return each service's column: one after the last of those that send to it."""
    columns = dict.fromkeys(names, 0)
    for _ in columns:
        moved = False
        for edge in edges:
            if columns[edge.target] <= columns[edge.source] < len(columns):
                columns[edge.target] = columns[edge.source] + 1
                moved = True
        if not moved:
            break
    return columns


def graph_of(rows: Sequence[Service]) -> Graph:
    """Place services in columns, each near those that send to it."""
    edges = edges_of(rows)
    columns = columns_of((row.name for row in rows), edges)
    by_column: dict[int, list[Service]] = defaultdict(list)
    linked = {name for edge in edges for name in (edge.source, edge.target)}
    alone = [row for row in rows if row.name not in linked]
    for row in rows:
        if row.name in linked:
            by_column[columns[row.name]].append(row)
    tallest = max((len(column) for column in by_column.values()), default=1)
    places: dict[str, tuple[float, float]] = {}
    for number in sorted(by_column):
        column = by_column[number]
        column.sort(key=lambda row: _middle(row.name, edges, places))
        gap = (tallest - len(column)) * _LINE / 2
        for place, row in enumerate(column):
            places[row.name] = (_MARGIN + number * _COLUMN, _MARGIN + gap + place * _LINE)
    for place, row in enumerate(alone):
        places[row.name] = (_MARGIN + place * _COLUMN, _MARGIN + tallest * _LINE + 6)
    nodes = [Node(row, *places[row.name]) for row in rows]
    width = max((node.x for node in nodes), default=0.0) + _NODE_WIDTH + _MARGIN
    height = max((node.y for node in nodes), default=0.0) + _NODE_HEIGHT + _MARGIN
    return Graph(nodes, [_line(edge, places) for edge in edges], width, height)


def _middle(name: str, edges: Sequence[Edge], places: Mapping[str, tuple[float, float]]) -> float:
    above = [places[edge.source][1] for edge in edges if edge.target == name and edge.source in places]
    return sum(above) / len(above) if above else 0.0


def _line(edge: Edge, places: Mapping[str, tuple[float, float]]) -> Line:
    (x, y), (to_x, to_y) = places[edge.source], places[edge.target]
    x, y, to_y = x + _NODE_WIDTH, y + _NODE_HEIGHT / 2, to_y + _NODE_HEIGHT / 2
    bend = (to_x - x) / 2
    path = f"M{x:g} {y:g}C{x + bend:g} {y:g} {to_x - bend:g} {to_y:g} {to_x - 5:g} {to_y:g}"
    return Line(edge, path, round(to_x - 9, 1), round(to_y - 5, 1))


def states_of(reports: Iterable[Mapping[str, Mapping[str, str | None]]]) -> dict[str, State]:
    """Return the state of each service that a health report names; of two reports the worse counts."""
    states: dict[str, State] = {}
    for report in reports:
        for name, checks in report.items():
            problems = [f"{check}: {reason}" for check, reason in checks.items() if reason]
            known = states.get(name)
            if known is None or (problems and known.state == WELL):
                states[name] = State(HELD if problems else WELL, problems)
    return states
