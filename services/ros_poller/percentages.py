"""Variation in percent of the current request, as columns to sort by.

Binary floating point throughout, the same operations in the same order as the API that shows these numbers:
a value and its column must not differ in the last digit.
"""

import math
from decimal import Decimal
from typing import Final

_MIB: Final = 1024
# The most that numeric(10, 4) and numeric(20, 4) hold.
_MAX_10_4: Final = 999_999.9999
_MAX_20_4: Final = 9_999_999_999_999_998.0  # the next double is past it


def cpu_percent(variation_cores: float, current_cores: float) -> float:
    """Both sides truncated to millicores first."""
    return _percent(truncated(variation_cores), truncated(current_cores))


def memory_percent(variation_bytes: float, current_bytes: float) -> float:
    """Both sides truncated to hundredths of a MiB first."""
    return _percent(_mebibytes(variation_bytes), _mebibytes(current_bytes))


def truncated(value: float) -> float:
    """Toward zero after three decimals; what has no more stays, for ``value * 1000`` may fall below it."""
    exponent = Decimal(repr(value)).as_tuple().exponent
    if not isinstance(exponent, int) or exponent >= -3:
        return value
    return math.trunc(value * 1000) / 1000


def cores_column(amount_cores: float) -> float:
    """Into the range of numeric(10, 4)."""
    return _within(amount_cores, _MAX_10_4)


def bytes_column(amount_bytes: float) -> float:
    """Into the range of numeric(20, 4)."""
    return _within(amount_bytes, _MAX_20_4)


def _percent(variation: float, current: float) -> float:
    if variation == 0 or current == 0:
        return 0.0
    return _within(truncated(variation / current * 100), _MAX_10_4)


def _mebibytes(value_bytes: float) -> float:
    return math.trunc(value_bytes / _MIB / _MIB * 100) / 100


def _within(value: float, limit: float) -> float:
    return max(-limit, min(limit, value)) if math.isfinite(value) else 0.0
