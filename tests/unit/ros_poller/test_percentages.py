"""The percentages against exact decimal arithmetic, and where binary arithmetic is the rule."""

from decimal import ROUND_DOWN, Decimal
from fractions import Fraction
from math import trunc

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.ros_poller.percentages import bytes_column, cores_column, cpu_percent, memory_percent, truncated

MIB = 1024 * 1024
# Nine decimals, as usage comes: far enough from the next thousandth for binary arithmetic to agree.
cores = st.integers(-(10**12), 10**12).map(lambda number: number / 10**9)
requests = st.integers(1, 10**12).map(lambda number: number / 10**9)
memory = st.integers(-(2**45), 2**45).map(float)


def cut(value: Fraction, digits: int) -> Fraction:
    return Fraction(trunc(value * 10**digits), 10**digits)


def exact_percent(variation: Fraction, current: Fraction) -> Fraction:
    return variation / current * 100 if variation and current else Fraction(0)


def far_from_a_step(value: Fraction, steps: int) -> bool:
    """Whether rounding errors of doubles cannot carry it over the next multiple of 1/steps."""
    scaled = value * steps
    return abs(scaled - round(scaled)) > Fraction(1, 10**4) * max(1, abs(scaled) / 10**9)


@given(cores)
def test_three_decimals_stay_the_rest_goes(value: float) -> None:
    assert Decimal(repr(truncated(value))) == Decimal(repr(value)).quantize(Decimal("0.001"), ROUND_DOWN)


@given(st.integers(-(10**9), 10**9))
def test_a_value_of_three_decimals_is_unchanged(number: int) -> None:
    # 1.001 * 1000 and 0.29 * 100 are below the whole number; truncation would take a step away.
    value = number / 1000
    assert truncated(value) == value


def agrees(percent: float, exact: Fraction) -> bool:
    """Equal, or a step apart where the exact value is at a step and rounding decides."""
    limit = Fraction("999999.9999")
    expected = max(-limit, min(limit, cut(exact, 3)))
    apart = abs(Fraction(repr(percent)) - expected)
    return apart == 0 if far_from_a_step(exact, 1000) else apart <= Fraction(1, 1000)


@given(cores, requests)
def test_cpu_is_the_percentage_of_the_truncated_values(variation: float, current: float) -> None:
    exact = exact_percent(*(cut(Fraction(repr(value)), 3) for value in (variation, current)))
    assert agrees(cpu_percent(variation, current), exact)


@given(memory, st.integers(1, 2**45).map(float))
def test_memory_is_the_percentage_of_mebibytes_of_two_decimals(variation: float, current: float) -> None:
    sizes = [Fraction(value) / MIB for value in (variation, current)]
    # At a step of a hundredth the two could differ by one; what they do elsewhere is what counts.
    assume(all(size == 0 or far_from_a_step(size, 100) for size in sizes))
    assert agrees(memory_percent(variation, current), exact_percent(*(cut(size, 2) for size in sizes)))


@pytest.mark.parametrize(
    ("variation", "current", "percent"),
    [
        (-0.935869, 1.0, -93.5),
        (0.0, 1.0, 0.0),
        (1.0, 0.0, 0.0),
        # Less than a millicore is nothing.
        (0.0009, 1.0, 0.0),
        (1.0, 0.0009, 0.0),
        (100.0, 0.001, 999999.9999),
        (-100.0, 0.001, -999999.9999),
        (1e300, 1e-3, 999999.9999),
    ],
)
def test_cpu_examples(variation: float, current: float, percent: float) -> None:
    assert cpu_percent(variation, current) == percent


@pytest.mark.parametrize(
    ("variation", "current", "percent"),
    [
        (-555755520.0, 1073741824.0, -51.757),
        (1e12, 1048576.0, 999999.9999),
        (5000.0, 1073741824.0, 0.0),
        (1152385.0, 3146804.0, 36.333),
        (1143997.0, 3144707.0, 36.454),
    ],
)
def test_memory_examples(variation: float, current: float, percent: float) -> None:
    assert memory_percent(variation, current) == percent


def test_columns_hold_what_they_can() -> None:
    assert cores_column(1e9) == 999999.9999
    assert Decimal(bytes_column(1e30)) < Decimal(10) ** 16
    assert bytes_column(1073741824.0) == 1073741824.0
