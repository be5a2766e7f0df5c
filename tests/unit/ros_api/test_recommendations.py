import copy
import json
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.ros.amounts import memory_percent
from headrace_services.ros_api.recommendations import shown
from headrace_services.ros_api.units import Units
from headrace_services.ros_poller.rows import StoredRecommendation
from tests.integration.ros_api.samples import PERCENTAGES, notification, recommendation

KEYS = (
    *("current", "requests", "limits", "cpu", "memory", "amount", "format", "config", "variation", "cost"),
    *("recommendation_terms", "short_term", "long_term", "recommendation_engines", "duration_in_hours"),
    *("plots", "plots_data", "cpuUsage", "monitoring_start_time", "notifications", "323004"),
)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-10, 10), st.floats(-10, 10), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(
            st.sampled_from(
                [
                    "current",
                    "requests",
                    "limits",
                    "cpu",
                    "memory",
                    "amount",
                    "format",
                    "recommendation_terms",
                    "short_term",
                    "long_term",
                    "plots",
                    "plots_data",
                    "cpuUsage",
                    "recommendation_engines",
                    "cost",
                    "config",
                    "variation",
                    "notifications",
                    "duration_in_hours",
                    "monitoring_start_time",
                    "323004",
                ]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=25,
)


@pytest.mark.parametrize("level", ["timestamp", "term", "engine"])
@pytest.mark.parametrize(
    ("codes", "stay"),
    [
        ([], True),
        ([323004], True),
        ([323004, 323005, 324003, 324004], True),
        ([323004, 323001], False),
        ([111101], False),
    ],
)
def test_notifications_of_a_level_are_shown_if_all_of_them_may_be(level: str, codes: list[int], stay: bool):
    stored = recommendation()
    term = stored["recommendation_terms"]["short_term"]
    parent = {"timestamp": stored, "term": term, "engine": term["recommendation_engines"]["cost"]}[level]
    parent["notifications"] = {}
    for code in codes:
        parent["notifications"] |= notification(code)
    shown(stored, Units(), {}, plots=False)
    assert ("notifications" in parent) == stay
    if stay:
        assert set(parent["notifications"]) == {str(code) for code in codes}


@pytest.mark.parametrize(
    ("hours", "expected"), [(24.72, 24.7), (24.79, 24.7), (24, 24), (0.05, 0), (359.99, 359.9)]
)
def test_hours_are_cut_after_one_decimal(hours: float, expected: float):
    stored = recommendation(long_term={"duration_in_hours": hours})
    found = shown(stored, Units(), {}, plots=False)
    assert found["recommendation_terms"]["long_term"] == {"duration_in_hours": expected}


def test_a_time_that_is_none_is_left_out():
    found = shown(recommendation(), Units(), {}, plots=False)["recommendation_terms"]
    assert "monitoring_start_time" not in found["medium_term"]
    assert found["short_term"]["monitoring_start_time"] == "2023-06-02T00:45:00Z"


def test_plots_are_shown_only_where_they_are_wanted():
    found = shown(recommendation(), Units(), {}, plots=False)
    assert "plots" not in found["recommendation_terms"]["short_term"]
    found = shown(recommendation(), Units("millicores", "MiB"), {}, plots=True)
    points = found["recommendation_terms"]["short_term"]["plots"]["plots_data"]
    assert points["2023-06-03T00:45:00Z"]["cpuUsage"] == {
        "min": 32, "q1": 64, "median": 64, "q3": 64, "max": 65, "format": "m"
    }  # fmt: skip


def test_without_stored_percentages_they_are_computed_and_come_out_the_same():
    computed = shown(recommendation(), Units(), {}, plots=False)
    stored = shown(recommendation(), Units(), PERCENTAGES, plots=False)
    assert computed == stored


def test_a_percentage_has_one_last_digit_wherever_it_comes_from():
    stored = recommendation()
    stored["current"] = {name: {"memory": {"amount": 128 << 20}} for name in ("requests", "limits")}
    # 0.29 MiB, of which upstream's arithmetic leaves 0.28.
    few = {name: {"memory": {"amount": 304087.04}} for name in ("requests", "limits")}
    stored["recommendation_terms"]["short_term"]["recommendation_engines"]["cost"]["variation"] = few
    column = {"memory_variation_short_cost_pct": memory_percent(304087.04, 128 << 20)}
    found = shown(stored, Units(), column, plots=False)
    variation = found["recommendation_terms"]["short_term"]["recommendation_engines"]["cost"]["variation"]
    assert [section["memory"]["amount"] for section in variation.values()] == [0.218, 0.218]


# The row that the poller writes of a workload, by the table of its documents.
DOCUMENTS: Final = Path(__file__).parents[1] / "ros_poller" / "go_documents.json"


@pytest.mark.parametrize(
    ("workload", "cpu", "memory"),
    [
        ("no cpu used", 0, 0),
        ("without requests", 0, 0),
        ("no memory used", -50, 0),
        ("nothing used, nothing set", 0, 0),
        ("namespace, nothing used", 0, 0),
    ],
)
def test_a_resource_without_advice_varies_by_zero_percent(workload: str, cpu: float, memory: float):
    row = StoredRecommendation.of("c", json.loads(DOCUMENTS.read_bytes())[workload]["kruize"])
    found = shown(row.recommendations, Units(), row.columns, plots=False)
    for engine in found["recommendation_terms"]["short_term"]["recommendation_engines"].values():
        assert engine["variation"]["requests"] == {
            "cpu": {"amount": cpu, "format": "percent"},
            "memory": {"amount": memory, "format": "percent"},
        }


def test_what_is_not_set_and_not_recommended_is_an_empty_object():
    row = StoredRecommendation.of(
        "c", json.loads(DOCUMENTS.read_bytes())["nothing used, nothing set"]["kruize"]
    )
    found = shown(row.recommendations, Units("millicores", "MiB"), row.columns, plots=False)
    nothing = {"cpu": {}, "memory": {}}
    assert found["current"] == {"requests": nothing, "limits": nothing}
    terms = found["recommendation_terms"]
    engine = terms["short_term"]["recommendation_engines"]["performance"]
    assert engine["config"] == {"requests": nothing, "limits": nothing}
    assert engine["variation"]["limits"] == nothing
    assert terms["medium_term"] == {"duration_in_hours": 0.5}


def test_no_current_amount_makes_a_variation_of_nothing():
    stored = recommendation()
    stored["current"] = {"requests": {}, "limits": {"cpu": {}}}
    found = shown(stored, Units(), {}, plots=False)
    variation = found["recommendation_terms"]["short_term"]["recommendation_engines"]["cost"]["variation"]
    for section in variation.values():
        for quantity in section.values():
            assert quantity == {"amount": 0, "format": "percent"}
    assert found["current"] == {"requests": {}, "limits": {"cpu": {}}}


@given(st.dictionaries(st.sampled_from(KEYS), json_values))
def test_whatever_is_stored_can_be_shown(stored: dict[str, Any]):
    for plots in (True, False):
        shown(copy.deepcopy(stored), Units("millicores", "GiB"), {}, plots=plots)
