"""Cluster operators that say they are degraded."""

from typing import Final

from insights.core.plugins import Response, make_fail, rule

from headrace.rules.details import offenders, pass_of_conditions
from headrace.rules.parsers.cluster import ClusterOperator

ERROR_KEY: Final = "CLUSTER_OPERATORS_DEGRADED"
GOOD_KEY: Final = "CLUSTER_OPERATORS_NOT_DEGRADED"


@rule(ClusterOperator, tags=["cluster_operators", "service_availability"])
def report(operators: list[ClusterOperator]) -> Response | None:
    """Hit when an operator's condition Degraded is true."""
    found = [
        {"name": operator.name, **condition.details()}
        for operator in operators
        if (condition := operator.condition("Degraded", "True")) is not None
    ]
    if not found:
        return pass_of_conditions(GOOD_KEY, "operators", operators, "Degraded")
    return make_fail(ERROR_KEY, **offenders("operators", sorted(found, key=lambda one: one["name"])))
