"""Nodes short of memory, disk, process ids or network."""

from typing import Final

from insights.core.plugins import Response, make_fail, rule

from headrace.rules.details import offenders, pass_of_conditions
from headrace.rules.parsers.nodes import Node

ERROR_KEY: Final = "NODES_UNDER_PRESSURE"
GOOD_KEY: Final = "NODES_WITHOUT_PRESSURE"
PRESSURES: Final = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")


@rule(Node, tags=["nodes", "performance"])
def report(nodes: list[Node]) -> Response | None:
    """Hit when a pressure condition of a node is true."""
    found = [
        {"name": node.name, "pressure": kind, **pressure.details()}
        for node in nodes
        for kind in PRESSURES
        if (pressure := node.condition(kind, "True")) is not None
    ]
    if not found:
        return pass_of_conditions(GOOD_KEY, "nodes", nodes, *PRESSURES)
    return make_fail(ERROR_KEY, **offenders("nodes", sorted(found, key=lambda one: one["name"])))
