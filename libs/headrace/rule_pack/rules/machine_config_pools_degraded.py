"""Machine config pools that cannot bring their nodes to the wanted configuration."""

from typing import Final

from insights.core.plugins import Response, make_fail, rule

from headrace.rules.details import offenders, pass_of_conditions
from headrace.rules.parsers.nodes import MachineConfigPool
from headrace.rules.reading import integer

ERROR_KEY: Final = "MACHINE_CONFIG_POOLS_DEGRADED"
GOOD_KEY: Final = "MACHINE_CONFIG_POOLS_NOT_DEGRADED"
# The first two say why the third stands.
CAUSES: Final = ("NodeDegraded", "RenderDegraded", "Degraded")


@rule(MachineConfigPool, tags=["machine_config", "nodes"])
def report(pools: list[MachineConfigPool]) -> Response | None:
    """Hit when a pool is degraded, with the condition that says why."""
    found = [
        {
            "name": pool.name,
            "condition": causes[0].kind,
            "degraded_machines": integer(pool.excerpt, "status", "degradedMachineCount"),
            "machines": integer(pool.excerpt, "status", "machineCount"),
            **causes[0].details(),
        }
        for pool in pools
        if (causes := [one for kind in CAUSES if (one := pool.condition(kind, "True")) is not None])
    ]
    if not found:
        return pass_of_conditions(GOOD_KEY, "pools", pools, *CAUSES)
    return make_fail(ERROR_KEY, **offenders("pools", sorted(found, key=lambda one: one["name"])))
