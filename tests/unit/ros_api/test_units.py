import orjson
import pytest

from headrace_services.ros_api.units import Units

# 0.29 MiB; upstream's arithmetic leaves 0.28 of it.
HUNDREDTHS = 304087.04


@pytest.mark.parametrize(
    ("unit", "cores", "shown"),
    [
        ("cores", 0.0649, "0.064"),
        ("cores", 2.034, "2.034"),
        ("cores", 3.0, "3"),
        ("millicores", 0.0645, "65"),
        ("millicores", -0.0645, "-65"),
        ("millicores", 0.0004, "0"),
    ],
)
def test_amounts_of_cpu(unit: str, cores: float, shown: str):
    assert repr(Units(cpu=unit).cpu_amount(cores)) == shown


@pytest.mark.parametrize(
    ("unit", "count", "shown"),
    [
        ("bytes", 517986304.0, "517986304"),
        ("bytes", HUNDREDTHS, "304087.04"),
        ("MiB", HUNDREDTHS, "0.28"),
        ("MiB", 1073741824, "1024"),
        ("GiB", 517986304, "0.48"),
    ],
)
def test_amounts_of_memory(unit: str, count: float, shown: str):
    assert repr(Units(memory=unit).memory_amount(count)) == shown


@pytest.mark.parametrize("units", [Units(), Units("millicores", "MiB"), Units("cores", "GiB")])
@pytest.mark.parametrize("amount", [1e308, -1e300, 1e19, 5e-324, 2.0**53])
def test_no_amount_is_too_large_or_too_small_to_be_written(units: Units, amount: float):
    assert orjson.dumps([units.cpu_amount(amount), units.memory_amount(amount)])


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
