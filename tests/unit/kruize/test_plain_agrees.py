"""The fast arithmetic gives what the plain rules give, to the last bit."""

import json

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from headrace_services.kruize.recommendations import recommend
from headrace_services.kruize.series import Series
from headrace_services.kruize.terms import terms_with_enough_data
from tests.unit.kruize import plain
from tests.unit.kruize.made import END, STEP, fortnight, intervals_of, random_series
from tests.unit.kruize.plain import DAY, MINUTE

KINDS = st.sampled_from(["container", "namespace"])
# How far an end lies from its place on the grid: mostly not at all, within 30 s, beyond.
DRIFTS = st.one_of(
    st.just(0),
    st.sampled_from([-30_001, -30_000, -29_999, -1001, -1000, -999, -1, 1, 999, 1000, 30_000, 30_001]),
    st.integers(-60_000, 60_000),
)
# On the edges of terms and plot windows, and one millisecond to both sides.
EDGES = st.builds(
    lambda quarters, off: quarters * (DAY // 4) + off, st.integers(1, 61), st.sampled_from([-1, 0, 1])
)
SHARES = st.sampled_from([0.0, 0.05, 0.3, 0.9, 1.0])
SCALES = st.sampled_from([0.0005, 0.002, 0.6, 1.0, 4.0])


@st.composite
def ends(draw):
    """A stretch of steps with gaps and drifts, and a few ends on the edges."""
    steps = draw(st.lists(st.integers(1, 12), max_size=25))
    drifts = draw(st.lists(DRIFTS, min_size=len(steps), max_size=len(steps)))
    ages = np.cumsum([0, *steps]) * STEP
    found = {END, *(END - int(age) + drift for age, drift in zip(ages[1:], drifts, strict=True))}
    found |= {END - age for age in draw(st.lists(EDGES, max_size=6))}
    return sorted(end for end in found if end <= END)


def same(series, **options):
    fast = recommend(series, **options)
    slow = plain.recommend(
        series.kind,
        intervals_of(series),
        options.get("threshold_percent", 0.1),
        plots=options.get("plots", True),
    )
    # As text: 1 and 1.0, or 0.0 and -0.0, are equal but do not look the same.
    assert json.dumps(fast, sort_keys=True) == json.dumps(slow, sort_keys=True)
    return fast


@settings(deadline=None, max_examples=500)
@given(
    kind=KINDS,
    ends=ends(),
    seed=st.integers(0, 2**32 - 1),
    missing=SHARES,
    zeros=SHARES,
    scale=SCALES,
    one_unit=st.booleans(),
    threshold=st.sampled_from([None, -1.0, 0.0, 0.1, 10.0, 80.0, 1e6]),
    plots=st.booleans(),
)
def test_any_series(kind, ends, seed, missing, zeros, scale, one_unit, threshold, plots):
    generator = np.random.default_rng(seed)
    series = random_series(
        kind, ends, generator, missing=missing, zeros=zeros, scale=scale, one_unit=one_unit
    )
    same(series, threshold_percent=threshold, plots=plots)


@pytest.mark.parametrize("kind", ["container", "namespace"])
@pytest.mark.parametrize("count", [96, 97, 98, 191, 192, 767, 768, 1440])
def test_series_without_gaps(kind, count):
    found = same(fortnight(kind, count, seed=count))
    (moment,) = found["data"].values()
    needs = {"111101": 2, "111102": 192, "111103": 768}
    available = {code for code in moment["notifications"] if code in needs}
    assert available == {code for code, points in needs.items() if count >= points}


def test_series_of_fifteen_days_with_everything_in_it():
    generator = np.random.default_rng(7)
    steps = generator.choice(np.arange(1440), 1200, replace=False)
    drifts = generator.choice([0, 0, 0, 900, -2500, 40_000], len(steps))
    ends = {END, *(END - int(step) * STEP - int(drift) for step, drift in zip(steps, drifts, strict=True))}
    series = random_series(
        "container",
        [end for end in ends if end <= END],
        generator,
        missing=0.02,
        zeros=0.02,
        scale=2.5,
        one_unit=False,
    )
    found = same(series, threshold_percent=30.0)
    assert len(next(iter(found["data"].values()))["recommendation_terms"]) == 3


@settings(deadline=None, max_examples=150)
@given(
    spacing=st.integers(860, 940),
    count=st.integers(1, 220),
    wobble=st.lists(st.integers(-35_000, 35_000), max_size=30),
)
@example(spacing=900, count=200, wobble=[])
@example(spacing=870, count=200, wobble=[])
@example(spacing=910, count=200, wobble=[15_000, 0, 0, 7_000])
def test_the_minimum_of_data_on_any_rhythm(spacing, count, wobble):
    ages = [number * spacing * 1000 for number in range(count)]
    ages[1 : 1 + len(wobble)] = [
        age + off for age, off in zip(ages[1 : 1 + len(wobble)], wobble, strict=False)
    ]
    ends = sorted({END - age for age in ages if age >= 0})
    intervals = [{"end": end} for end in ends]
    expected = {term[0] for term in plain.TERMS if plain.has_enough(intervals, ends[-1], term)}
    assert terms_with_enough_data(np.array(ends, np.int64)) == expected


@settings(deadline=None, max_examples=50)
@given(offsets=st.lists(st.integers(0, 45 * MINUTE // 1000), min_size=1, max_size=40))
def test_the_minimum_of_data_when_ends_crowd(offsets):
    """Ends closer together than measurements are: the step may shrink to nothing, and the search still ends."""
    ends = sorted({END - offset * 1000 for offset in [0, *offsets]})
    short = plain.TERMS[:1]
    intervals = [{"end": end} for end in ends]
    expected = {term[0] for term in short if plain.has_enough(intervals, ends[-1], term)}
    assert terms_with_enough_data(np.array(ends, np.int64)) & {"short_term"} == expected


def test_pods_beyond_counting():
    series = fortnight("container", 4)
    values = series.values.copy()
    values[:, 2, 0], values[:, 2, 1] = 1e300, 1e-300
    found = same(Series("container", series.starts_ms, series.ends_ms, values, series.units))
    (moment,) = found["data"].values()
    engines = moment["recommendation_terms"]["short_term"]["recommendation_engines"]
    assert engines["cost"]["pods_count"] == 2**31 - 1
