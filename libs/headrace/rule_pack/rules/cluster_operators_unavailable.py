"""Cluster operators whose component is not available."""

from typing import Final

from insights.core.plugins import Response, make_fail, rule

from headrace.rules.details import offenders, pass_of_conditions
from headrace.rules.parsers.cluster import ClusterOperator

ERROR_KEY: Final = "CLUSTER_OPERATORS_UNAVAILABLE"
GOOD_KEY: Final = "CLUSTER_OPERATORS_AVAILABLE"


@rule(ClusterOperator, tags=["cluster_operators", "service_availability"])
def report(operators: list[ClusterOperator]) -> Response | None:
    """Hit when an operator's condition Available is false or unknown."""
    found = [
        {"name": operator.name, **condition.details()}
        for operator in operators
        if (condition := operator.condition("Available", "False", "Unknown")) is not None
    ]
    if not found:
        return pass_of_conditions(GOOD_KEY, "operators", operators, "Available")
    return make_fail(ERROR_KEY, **offenders("operators", sorted(found, key=lambda one: one["name"])))
