"""Machine config pools whose updates are held back."""

from typing import Final

from insights.core.plugins import Response, make_fail, make_pass, rule

from headrace.rules.details import offenders
from headrace.rules.parsers.nodes import MachineConfigPool
from headrace.rules.reading import integer

ERROR_KEY: Final = "MACHINE_CONFIG_POOLS_PAUSED"
GOOD_KEY: Final = "MACHINE_CONFIG_POOLS_NOT_PAUSED"


@rule(MachineConfigPool, tags=["machine_config", "certificates"])
def report(pools: list[MachineConfigPool]) -> Response | None:
    """Hit when a pool is paused: rotated certificates do not reach its nodes either.

    Those that do not tell are not judged.
    """
    found = [
        {
            "name": pool.name,
            "machines": integer(pool.excerpt, "status", "machineCount"),
            "updated_machines": integer(pool.excerpt, "status", "updatedMachineCount"),
        }
        for pool in pools
        if pool.paused
    ]
    if not found:
        told = sum(1 for pool in pools if pool.paused is not None)
        return make_pass(GOOD_KEY, pools=told, untold=len(pools) - told) if told else None
    return make_fail(ERROR_KEY, **offenders("pools", sorted(found, key=lambda one: str(one["name"]))))
