"""What recommendations mean in words, and the picture of usage."""

import re
from itertools import pairwise

import pytest

from headrace_services.console import words
from headrace_services.console.advice import Change, advice_of, choices_of, manifest, quantity
from headrace_services.console.usage import chart_of
from tests.unit.console.made import interval, recommendation

STORED = recommendation()["recommendations"]


@pytest.mark.parametrize(
    ("change", "effect"),
    [
        (Change("requests", "cpu", 0.5, 0.25), "saves 0.25 cores (-50%)"),
        (Change("requests", "cpu", 0.5, 1.5), "needs 1 core more (+200%)"),
        (Change("requests", "memory", 1 << 30, 512 << 20), "saves 512 MiB (-50%)"),
        (Change("requests", "cpu", 0.0, 0.25), "needs 0.25 cores more"),
        (Change("requests", "cpu", 0.5, 0.5), "stays"),
        (Change("limits", "cpu", 2, 1), "lower by 1 core (-50%)"),
        (Change("limits", "cpu", 1, 2), "higher by 1 core (+100%)"),
        (Change("requests", "cpu", None, 0.25), "not set today"),
        (Change("requests", "cpu", 0.25, None), "no recommendation"),
    ],
)
def test_effects(change, effect):
    assert change.effect == effect


def test_only_given_terms_and_engines_can_be_chosen():
    assert choices_of(STORED) == [("short", "cost")]
    assert advice_of(STORED, "short", "cost").hours == 24
    assert not advice_of(STORED, "long", "cost").is_given


@pytest.mark.parametrize(
    "odd",
    [None, [], "text", {}, {"current": []}, {"recommendation_terms": {"short_term": {"recommendation_engines": 1}}},
     {"current": {"requests": {"cpu": {"amount": True}, "memory": {"amount": "1"}}}},
     {"current": {"requests": {"cpu": {"amount": float("inf")}}}}],
)  # fmt: skip
def test_odd_recommendations_say_nothing(odd):
    advice = advice_of(odd, "short", "cost")
    assert not advice.is_given
    assert [item.current for item in advice.changes] == [None] * 4
    assert manifest(advice.changes, recommended=True) == "resources: {}"


@pytest.mark.parametrize(
    ("resource", "value", "rounded", "written"),
    [("cpu", 0.25, False, "250m"), ("cpu", 2, False, "2"), ("cpu", 0.0005, True, "1m"), ("cpu", 0.29, True, "290m"),
     ("memory", 1 << 30, False, "1Gi"), ("memory", 100_000_000, False, "100000000"),
     ("memory", 100_000_000, True, "96Mi"), ("memory", 0, True, "0Mi")],
)  # fmt: skip
def test_quantities_are_as_kubernetes_reads_them(resource, value, rounded, written):
    assert quantity(resource, value, rounded=rounded) == written


@pytest.mark.parametrize(
    ("resource", "value", "shown"),
    [
        ("cpu", 1, "1 core"),
        ("cpu", 0.25, "0.25 cores"),
        ("cpu", 10, "10 cores"),
        ("memory", 3 << 20, "3.0 MiB"),
    ],
)
def test_amounts(resource, value, shown):
    assert words.amount(resource, value) == shown


def test_a_chart_has_its_lines_where_they_belong():
    chart = chart_of(
        "cpu", [interval(number) for number in range(4)], advice_of(STORED, "short", "cost").changes
    )
    assert chart
    assert len(chart.lines) == len(chart.bands) == 1
    texts = [level.text for level in chart.levels]
    assert sorted(texts) == [
        "current limit 0.5 cores", "current request 0.5 cores", "recommended limit 0.25 cores",
        "recommended request 0.25 cores",
    ]  # fmt: skip
    assert chart.levels[0].y < chart.levels[-1].y
    places = [level.text_y for level in chart.levels]
    assert all(below - above > 13.9 for above, below in pairwise(places))
    assert [tick.text for tick in chart.rows] == ["0 cores", "0.2 cores", "0.4 cores"]
    assert [(day.date, round(day.average, 3), day.most) for day in chart.days] == [("2026-11-30", 0.2, 0.4)]
    inside = [float(text) for path in (*chart.lines, *chart.bands) for text in re.findall(r"[\d.]+", path)]
    assert all(0 <= number <= chart.right for number in inside)


def test_a_missing_interval_interrupts_the_line():
    chart = chart_of("memory", [interval(0), interval(1), interval(5)], [])
    assert chart
    assert len(chart.lines) == 2


@pytest.mark.parametrize(
    "intervals",
    [[], [None], ["text"], [{}], [interval(0, cpu_usage_avg=None)], [interval(0, cpu_usage_avg="1")],
     [interval(0, end="odd")], [interval(0, end=interval(0)["start"])]],
)  # fmt: skip
def test_no_usage_is_no_chart(intervals):
    assert chart_of("cpu", intervals, []) is None


@pytest.mark.parametrize("value", [0, 1e-12, -1, 1e18, 1e300])
def test_a_chart_stands_any_amount(value):
    usage = [interval(0, memory_usage_avg=value, memory_usage_min=value, memory_usage_max=value)]
    for resource in ("cpu", "memory"):
        points = [
            {name.replace("memory", resource): number for name, number in item.items()} for item in usage
        ]
        chart = chart_of(resource, points, [Change("requests", resource, value, value)])
        assert chart
        assert len(chart.rows) < 10
