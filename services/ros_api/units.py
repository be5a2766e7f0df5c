"""Amounts in the unit asked for: cut, never rounded up, and exact in the decimals that are shown."""

from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import Final, TypeGuard

Number = int | float

# Unit to its name in Kubernetes' spelling.
CPU_UNITS: Final = {"cores": "", "millicores": "m"}
MEMORY_UNITS: Final = {"bytes": "bytes", "MiB": "Mi", "GiB": "Gi"}

CORE_PLACES: Final = 3
MEMORY_PLACES: Final = 2
HOUR_PLACES: Final = 1
PERCENT_PLACES: Final = 3
_WHOLE_BELOW: Final = 2.0**53
_BYTES: Final = {"MiB": Decimal(1 << 20), "GiB": Decimal(1 << 30)}


def is_number(value: object) -> TypeGuard[Number]:
    """Whether JSON held a number there."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def plain(value: Decimal | Number) -> Number:
    """An integer where it is one and JSON readers take it exactly, as upstream writes amounts."""
    number = float(value)
    return int(number) if number.is_integer() and abs(number) < _WHOLE_BELOW else number


def truncated(value: Decimal | Number, places: int) -> Number:
    """Cut after so many decimals, towards zero."""
    return plain(_cut(_decimal(value), places))


def percent(variation: Decimal, current: Decimal) -> Number:
    """``variation`` as a share of ``current``; 0 where either is 0.

    Divided as binary numbers, as the stored percentages of requests are: beside them, the same amounts of limits
    must not show another last digit.
    """
    if not variation or not current:
        return 0
    return truncated(float(variation) / float(current) * 100, PERCENT_PLACES)


def cpu_percent(variation: Number, current: Number) -> Number:
    """Of amounts in cores, each cut as it is shown."""
    return percent(*(_cut(_decimal(cores), CORE_PLACES) for cores in (variation, current)))


def memory_percent(variation: Number, current: Number) -> Number:
    """Of amounts in bytes, each cut as it is shown in MiB, whatever unit is shown now."""
    return percent(*(_cut(_decimal(count) / _BYTES["MiB"], MEMORY_PLACES) for count in (variation, current)))


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
        if self.cpu == "cores":
            return truncated(cores, CORE_PLACES)
        return plain((_decimal(cores) * 1000).to_integral_value(ROUND_HALF_UP))

    def memory_amount(self, count: Number) -> Number:
        """Bytes as they are, or MiB and GiB with two decimals."""
        if self.memory == "bytes":
            return plain(count)
        return truncated(_decimal(count) / _BYTES[self.memory], MEMORY_PLACES)


def _decimal(value: Decimal | Number) -> Decimal:
    """The decimal number that is written, not the binary one beside it."""
    return value if isinstance(value, Decimal) else Decimal(str(value))


def _cut(value: Decimal, places: int) -> Decimal:
    return value.scaleb(places).to_integral_value(ROUND_DOWN).scaleb(-places)
