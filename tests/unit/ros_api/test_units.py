"""Amounts, against plain decimal arithmetic."""

from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal, localcontext

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ros_api.units import Units, cpu_percent, memory_percent, plain, truncated

BINARY = {"MiB": 1 << 20, "GiB": 1 << 30}

amounts = st.one_of(
    st.floats(-1e15, 1e15, allow_nan=False),
    st.floats(-10, 10, allow_nan=False),
    st.integers(-(1 << 50), 1 << 50),
    st.decimals(-1000, 1000, places=4).map(float),
)


def cut(value: float | Decimal, places: int) -> Decimal:
    """Through the written digits, without any arithmetic."""
    text = format(Decimal(str(value)), "f")
    whole, _, decimals = text.partition(".")
    return Decimal(f"{whole}.{decimals[:places]}0")


@given(amounts, st.integers(0, 4))
def test_truncation_drops_digits_and_nothing_else(value: float, places: int):
    assert Decimal(str(truncated(value, places))) == Decimal(str(float(cut(value, places))))


@given(amounts)
def test_cores_have_three_decimals(cores: float):
    assert Units().cpu_amount(cores) == float(cut(cores, 3))


@given(amounts)
def test_millicores_are_rounded_to_whole_ones_halves_away_from_zero(cores: float):
    with localcontext(prec=60):
        expected = (Decimal(str(cores)) * 1000).quantize(Decimal(1), ROUND_HALF_UP)
    assert Units(cpu="millicores").cpu_amount(cores) == float(expected)


@given(amounts)
def test_bytes_stay_as_they_are(count: float):
    assert Units().memory_amount(count) == count


@given(amounts, st.sampled_from(["MiB", "GiB"]))
def test_binary_multiples_have_two_decimals(count: float, unit: str):
    with localcontext(prec=60):
        quotient = Decimal(str(count)) / BINARY[unit]
        expected = quotient.quantize(Decimal("0.01"), ROUND_DOWN)
    assert Units(memory=unit).memory_amount(count) == float(expected)


@given(amounts)
def test_what_is_whole_is_an_integer(value: float):
    shown = plain(value)
    assert shown == value
    assert isinstance(shown, int) == float(value).is_integer()


@pytest.mark.parametrize("units", [Units(), Units("millicores", "MiB"), Units("cores", "GiB")])
@pytest.mark.parametrize("amount", [1e300, -1e300, 1e19, 5e-324, 2.0**53])
def test_no_amount_is_too_large_or_too_small_to_be_written(units: Units, amount: float):
    assert orjson.dumps([units.cpu_amount(amount), units.memory_amount(amount)])
    assert orjson.dumps([cpu_percent(amount, 1e-3), memory_percent(amount, 1 << 20)])


@given(amounts, amounts)
def test_a_percentage_is_of_what_is_shown_to_a_thousandth(variation: float, current: float):
    shown_variation, shown_current = cut(variation, 3), cut(current, 3)
    percentage = Decimal(str(cpu_percent(variation, current)))
    if not shown_variation or not shown_current:
        assert percentage == 0
        return
    with localcontext(prec=60):
        exact = shown_variation * 100 / shown_current
        # Division of binary numbers may end just below a thousandth.
        tolerance = Decimal("0.001") + abs(exact) * Decimal("1e-14")
        assert abs(percentage - exact) <= tolerance
        assert abs(percentage) <= abs(exact) * (1 + Decimal("1e-14"))


@pytest.mark.parametrize(
    ("variation", "current", "percentage"),
    [(-0.935869, 1, -93.5), (0.0009, 1, 0), (1, 0.0009, 0), (0.5, 0, 0), (-0.5, 1.5, -33.333), (2, 1, 200)],
)
def test_percentages_of_cores(variation: float, current: float, percentage: float):
    assert cpu_percent(variation, current) == percentage


@pytest.mark.parametrize(
    ("variation", "current", "percentage"),
    [(-555755520, 1073741824, -51.757), (10_000, 1 << 30, 0), (1 << 20, 3 << 20, 33.333), (1 << 30, 0, 0)],
)
def test_percentages_of_memory(variation: float, current: float, percentage: float):
    assert memory_percent(variation, current) == percentage


@pytest.mark.parametrize(
    ("units", "formats"),
    [
        (Units(), ("", "bytes")),
        (Units("millicores", "MiB"), ("m", "Mi")),
        (Units("cores", "GiB"), ("", "Gi")),
        (Units("millicores", "GiB", true_names=True), ("millicores", "GiB")),
    ],
)
def test_formats_are_kubernetes_unless_true_units_are_wanted(units: Units, formats: tuple[str, str]):
    assert (units.cpu_format, units.memory_format) == formats
