"""Amounts and percentages equal what Go computes: `go_amounts.json` holds arguments and Go's result, row by row."""

import json
import math
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.ros.amounts import (
    bytes_column,
    cores_column,
    cpu_percent,
    gibibytes,
    mebibytes,
    memory_percent,
    millicores,
    plain,
    tenths,
    thousandths,
)

RECORDED: Final[dict[str, list[list[float]]]] = json.loads(
    Path(__file__).with_name("go_amounts.json").read_bytes()
)
# By the table's name: what gives the columns after the arguments.
FUNCTIONS: Final[dict[str, tuple[Callable[..., float], ...]]] = {
    "cores": (thousandths, millicores),
    "bytes": (mebibytes, gibibytes),
    "hours": (tenths,),
    "cpu_percent": (cpu_percent,),
    "memory_percent": (memory_percent,),
}
MIB: Final = 1 << 20

anything = st.floats(allow_nan=False, allow_infinity=False)


def test_every_table_is_compared():
    assert FUNCTIONS.keys() == RECORDED.keys()


@pytest.mark.parametrize("table", FUNCTIONS)
def test_the_last_digit_is_gos(table: str):
    functions = FUNCTIONS[table]
    differing = []
    for row in RECORDED[table]:
        arguments, expected = row[: -len(functions)], row[-len(functions) :]
        found = [function(*arguments) for function in functions]
        if found != expected:
            differing.append((arguments, expected, found))
    assert not differing, f"{len(differing)} of {len(RECORDED[table])}: {differing[:5]}"


def test_a_hundredth_that_binary_numbers_fall_short_of_is_cut():
    # 0.29 MiB, of which 0.28 are left.
    assert mebibytes(304087.04) == 0.28
    assert memory_percent(304087.04, 128 * MIB) == 0.218
    assert memory_percent(-304087.04, 128 * MIB) == -0.218


@pytest.mark.parametrize(
    ("function", "variation", "current", "percent"),
    [
        # The numbers of upstream's own tests: the order of two rows, and what the column cannot hold.
        (memory_percent, 1152385, 3146804, 36.333),
        (memory_percent, 1143997, 3144707, 36.454),
        (memory_percent, 1e12, MIB, 999999.9999),
        (cpu_percent, 100.0, 0.001, 999999.9999),
        # The sample's workload.
        (cpu_percent, -0.935869, 1.0, -93.5),
        (memory_percent, -555755520.0, 1073741824.0, -51.757),
        # Less than what is shown of an amount is nothing, and nothing has no share.
        (cpu_percent, 0.0009, 1.0, 0.0),
        (cpu_percent, 1.0, 0.0009, 0.0),
        (cpu_percent, 0.5, 0, 0.0),
        (memory_percent, 5000, 1 << 30, 0.0),
        (memory_percent, 1 << 30, 0, 0.0),
    ],
)
def test_known_percentages(
    function: Callable[[float, float], float], variation: float, current: float, percent: float
):
    assert function(variation, current) == percent


@given(anything, anything)
def test_a_percentage_fits_its_column(variation: float, current: float):
    for percent in (cpu_percent(variation, current), memory_percent(variation, current)):
        assert abs(Decimal(repr(percent))) < Decimal(10) ** 6


@given(st.integers(-(10**9), 10**9))
def test_a_value_of_three_decimals_is_unchanged(number: int):
    value = number / 1000
    assert thousandths(value) == value


def test_columns_hold_what_they_can():
    assert cores_column(1e9) == 999999.9999
    assert Decimal(bytes_column(1e30)) < Decimal(10) ** 16
    assert bytes_column(1073741824.0) == 1073741824.0
    assert cores_column(math.inf) == 0


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (24.0, "24"),
        (-0.0, "0"),
        (24.5, "24.5"),
        (2.0**53, "9007199254740992.0"),
        (Decimal("12.5000"), "12.5"),
    ],
)
def test_what_is_whole_is_an_integer_where_readers_take_it(value: Any, written: str):
    assert repr(plain(value)) == written
