"""Amounts in the unit asked for."""

from dataclasses import dataclass
from typing import Final, TypeGuard

from headrace.ros.amounts import Number, gibibytes, mebibytes, millicores, plain, thousandths

# Unit to its name in Kubernetes' spelling.
CPU_UNITS: Final = {"cores": "", "millicores": "m"}
MEMORY_UNITS: Final = {"bytes": "bytes", "MiB": "Mi", "GiB": "Gi"}

_AMOUNTS: Final = {
    "cores": thousandths,
    "millicores": millicores,
    "bytes": float,
    "MiB": mebibytes,
    "GiB": gibibytes,
}


def is_number(value: object) -> TypeGuard[Number]:
    """Whether JSON held a number there."""
    return isinstance(value, int | float) and not isinstance(value, bool)


@dataclass(frozen=True)
class Units:
    """The units of one answer; ``true_names`` writes ``cores`` and ``MiB`` instead of Kubernetes' spelling."""

    cpu: str = "cores"
    memory: str = "bytes"
    true_names: bool = False

    @property
    def cpu_format(self) -> str:
        """What stands beside an amount of CPU."""
        return self.cpu if self.true_names else CPU_UNITS[self.cpu]

    @property
    def memory_format(self) -> str:
        """What stands beside an amount of memory."""
        return self.memory if self.true_names else MEMORY_UNITS[self.memory]

    def cpu_amount(self, cores: Number) -> Number:
        """Cores with three decimals, or whole millicores."""
        return plain(_AMOUNTS[self.cpu](cores))

    def memory_amount(self, count: Number) -> Number:
        """Bytes as they are, or MiB and GiB with two decimals."""
        return plain(_AMOUNTS[self.memory](count))
