"""Amounts and percentages in upstream's arithmetic: binary numbers, the same operations in the same order.

ros_poller stores the percentages that ros_api shows, and clients compare both with upstream's. Decimal arithmetic gives
other results: 0.29 MiB are 28.999… hundredths in binary, so upstream cuts them to 0.28 MiB.

Source: RedHatInsights/ros-ocp-backend, internal/utils/conversion.go.
"""

import math
from decimal import Decimal
from typing import Final

Number = int | float

_KIB: Final = 1024
# JSON readers of other languages represent integers exactly up to here.
_WHOLE_BELOW: Final = 2.0**53
# The largest value of a double that fits into numeric(10, 4).
_MAX_10_4: Final = 999_999.9999
_MAX_20_4: Final = 9_999_999_999_999_998.0  # The largest double in numeric(20, 4)


def plain(value: Decimal | Number) -> Number:
    """Return an integer if the number is one that JSON readers represent exactly, as Go writes numbers."""
    number = float(value)
    return int(number) if number.is_integer() and abs(number) < _WHOLE_BELOW else number


def thousandths(value: Number) -> float:
    """Cut a number after three decimals; one with fewer decimals stays, because ``value * 1000`` may fall below it."""
    exponent = Decimal(repr(float(value))).as_tuple().exponent
    if not isinstance(exponent, int) or exponent >= -3:
        return value
    return _cut(value * 1000) / 1000


def tenths(value: Number) -> float:
    """Cut a number after one decimal."""
    return _cut(value * 10) / 10


def millicores(cores: Number) -> float:
    """Convert cores to whole millicores, rounding halves away from zero."""
    fraction, whole = math.modf(cores * 1000)
    return whole + math.copysign(1, whole or fraction) if abs(fraction) >= 1 / 2 else whole


def mebibytes(count: Number) -> float:
    """Convert bytes to MiB, cut after two decimals."""
    return _cut(count / _KIB / _KIB * 100) / 100


def gibibytes(count: Number) -> float:
    """Convert bytes to GiB, cut after two decimals."""
    return _cut(count / _KIB / _KIB / _KIB * 100) / 100


def cpu_percent(variation_cores: Number, current_cores: Number) -> float:
    """Return a variation in percent of the current cores, each cut as it is shown; 0 if either is 0."""
    return _percent(thousandths(variation_cores), thousandths(current_cores))


def memory_percent(variation_bytes: Number, current_bytes: Number) -> float:
    """Return a variation in percent of the current bytes, each cut to MiB; 0 if either is 0.

    The cut is the same in whatever unit the amounts are shown.
    """
    return _percent(mebibytes(variation_bytes), mebibytes(current_bytes))


def cores_column(amount_cores: float) -> float:
    """Limit a number to the range of numeric(10, 4)."""
    return _within(amount_cores, _MAX_10_4)


def bytes_column(amount_bytes: float) -> float:
    """Limit a number to the range of numeric(20, 4)."""
    return _within(amount_bytes, _MAX_20_4)


def _cut(value: float) -> float:
    """Return the whole part; infinity stays infinite."""
    return math.modf(value)[1]


def _percent(variation: float, current: float) -> float:
    if variation == 0 or current == 0:
        return 0.0
    return _within(thousandths(variation / current * 100), _MAX_10_4)


def _within(value: float, limit: float) -> float:
    return max(-limit, min(limit, value)) if math.isfinite(value) else 0.0
