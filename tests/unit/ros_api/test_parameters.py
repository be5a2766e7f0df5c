from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import MultiDict

from headrace.ros.columns import PERCENTAGE_COLUMNS
from headrace.web.parameters import BadParameter
from headrace_services.ros_api.listings import CONTAINERS, NAMESPACES, Collection
from headrace_services.ros_api.parameters import Choice, Listing, ListParameters

NOW = datetime(2026, 11, 23, 6, 30, tzinfo=UTC)


def read(
    *pairs: tuple[str, str],
    accept: str = "",
    now: datetime | None = None,
    collection: Collection = CONTAINERS,
    max_values: int = 5,
) -> ListParameters:
    listing = Listing(collection, max_values, is_of_month=now is not None)
    return listing.read(MultiDict(pairs), accept, now or NOW)


def test_the_defaults_are_upstreams():
    assert read() == ListParameters(limit=10, offset=0, order_by="last_reported", descending=True, csv=False)


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("", 10), ("5", 5), ("+5", 5), ("007", 7), ("-1", None), ("0", 0), ("five", 10), ("5.0", 10), (" 5", 10),
        ("1_000", 10), ("\u0663", 10), ("9223372036854775808", 10), ("9223372036854775807", 1 << 53),
    ],
)  # fmt: skip
def test_limits_are_read_as_go_reads_numbers(text: str, limit: int | None):
    assert read(("limit", text)).limit == limit


@given(st.text(max_size=12), st.text(max_size=12))
def test_a_page_is_bounded_or_refused_whatever_is_asked(limit: str, offset: str):
    try:
        found = read(("limit", limit), ("offset", offset))
    except BadParameter:
        return
    assert found.limit is None or 0 <= found.limit <= 1 << 53
    assert 0 <= found.offset <= 1 << 53


@pytest.mark.parametrize("value", ["1", "t", "T", "TRUE", "true", "True"])
def test_true_is_spelt_as_in_go(value: str):
    assert read(("true-units", value)).units.true_names
    assert not read(("true-units", "F")).units.true_names


def test_the_first_of_repeated_single_values_counts():
    assert read(("limit", "3"), ("limit", "4")).limit == 3


def test_dates_default_to_the_month_so_far():
    found = read(now=NOW)
    assert (found.start, found.end) == (datetime(2026, 11, 1, tzinfo=UTC), NOW)
    found = read(("start_date", "2023-06-01"), now=NOW)
    assert (found.start, found.end) == (datetime(2023, 6, 1, tzinfo=UTC), NOW)
    found = read(("end_date", "2026-11-10"), now=NOW)
    assert (found.start, found.end) == (datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 11, tzinfo=UTC))


def test_without_a_window_dates_limit_only_where_they_are_given():
    assert (read().start, read().end) == (None, None)
    found = read(("end_date", "9999-12-31"))
    assert (found.start, found.end) == (None, None)


@pytest.mark.parametrize(
    "text",
    [
        "2023-6-1",
        "20230601",
        "2023-06-31",
        "2023-06-01T00:00:00Z",
        " 2023-06-01",
        "\u0662\u0660\u0662\u0663-06-01",
    ],
)
def test_dates_have_one_form(text: str):
    for name in ("start_date", "end_date"):
        with pytest.raises(BadParameter) as raised:
            read((name, text))
        assert str(raised.value) == f"invalid {name} format, use YYYY-MM-DD: got {text!r}"


def test_every_variation_can_be_sorted_by():
    assert len(PERCENTAGE_COLUMNS) == 12
    for name in PERCENTAGE_COLUMNS:
        key = name.removesuffix("_pct")
        assert read(("order_by", f" {key} ")).order_by == key
        assert key in NAMESPACES.sorts


@pytest.mark.parametrize("name", list(CONTAINERS.filters))
def test_a_filter_has_three_forms(name: str):
    value = {"workload_type": "deployment"}.get(name, "a")
    other = {"workload_type": "daemonset"}.get(name, "b")
    found = read((name, value), (name, ""), (f"filter[exact:{name}]", value), (f"exclude[{name}]", other))
    # Exactly and contained at once is exactly.
    assert found.choices == {name: Choice(include=(), exact=(value,), exclude=(other,))}
    assert read((name, other), (name, value)).choices == {name: Choice(include=(other, value))}


def test_the_number_of_values_is_a_setting():
    assert len(read(*[("project", str(n)) for n in range(7)], max_values=7).choices["project"].include) == 7
    with pytest.raises(BadParameter, match="too many project parameters, a maximum of 1 is allowed"):
        read(("project", "a"), ("project", "b"), max_values=1)


def test_parameters_that_nobody_knows_are_ignored():
    assert read(("tag", "x"), ("workload", "a"), collection=NAMESPACES).choices == {}
