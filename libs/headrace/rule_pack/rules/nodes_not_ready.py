"""Nodes that are not ready."""

from typing import Final

from insights.core.plugins import Response, make_fail, rule

from headrace.rules.details import offenders, pass_of_conditions
from headrace.rules.parsers.nodes import Node

ERROR_KEY: Final = "NODES_NOT_READY"
GOOD_KEY: Final = "NODES_READY"


@rule(Node, tags=["nodes", "service_availability"])
def report(nodes: list[Node]) -> Response | None:
    """Hit when a node's condition Ready is false or unknown."""
    found = [
        {"name": node.name, "roles": node.roles, "status": ready.status, **ready.details()}
        for node in nodes
        if (ready := node.condition("Ready", "False", "Unknown")) is not None
    ]
    if not found:
        return pass_of_conditions(GOOD_KEY, "nodes", nodes, "Ready")
    found.sort(key=lambda one: ("master" not in one["roles"], one["name"]))
    return make_fail(ERROR_KEY, **offenders("nodes", found, total=len(nodes)))
