import math
import struct
from contextlib import suppress
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.contracts.kruize import CONTAINER_METRICS, VALUES
from headrace_services.kruize import packing
from headrace_services.kruize.experiments import Experiment, created, measurement_seconds
from headrace_services.kruize.listing import Question
from headrace_services.kruize.parameters import parse_moment
from headrace_services.kruize.refusals import Refused
from headrace_services.kruize.series import METRICS, UNITS, Series
from headrace_services.kruize.validation import BadRecord, checked
from tests.integration.kruize.harness import experiment, measured, record

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["avg", "NaN", "-1", "1e400", "2026-11-01T00:15:00.000Z", "cores"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["name", "results", "aggregation_info", "format", "avg", "metrics", "containers"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
RECORD_KEYS = tuple(record("e"))
EXPERIMENT_KEYS = (*experiment("e"), "experiment_type", "slo")


def on_record(**sent: Any) -> Experiment:
    definition = created([experiment("e", **sent)])
    return Experiment(
        **{field.name: getattr(definition, field.name) for field in fields(definition)},
        id=1,
        numbers={"web": 7},
    )


def check(sent: dict[str, Any], **about: Any) -> Series:
    """The one series of a record's one container."""
    found = checked(sent, {"e": on_record(**about)}, max_containers=10)
    (measured_container,) = found.containers
    return packing.unpacked("container", packing.chunk(7, measured_container.packed))[7]


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(RECORD_KEYS), json_values))
def test_a_record_of_anything_is_taken_or_refused(changes: dict[str, Any]) -> None:
    with suppress(BadRecord):
        checked(record("e") | changes, {"e": on_record()}, max_containers=10)


@settings(deadline=None)
@given(json_values)
def test_metrics_of_anything_are_taken_or_refused(metrics: Any) -> None:
    sent = record("e")
    sent["kubernetes_objects"][0]["containers"][0]["metrics"] = metrics
    with pytest.raises(BadRecord):
        checked(sent, {"e": on_record()}, max_containers=10)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(EXPERIMENT_KEYS), json_values))
def test_an_experiment_of_anything_is_taken_or_refused(changes: dict[str, Any]) -> None:
    with suppress(Refused):
        made = created([experiment("e") | changes])
        assert made.measurement_seconds > 0
        assert made.threshold_percent > 0


@settings(deadline=None)
@given(st.floats(min_value=0, allow_nan=False, allow_infinity=False))
def test_a_number_is_kept_to_the_last_bit(number: float) -> None:
    for sent in (number, repr(number)):
        changed = {"cpuUsage": {"avg": sent, "format": "cores"}}
        series = check(record("e", changed=changed))
        kept = float(series.column("cpuUsage", "avg")[0])
        assert struct.pack("<d", kept) == struct.pack("<d", number + 0.0)


def test_what_was_not_sent_is_missing() -> None:
    series = check(record("e", changed={"cpuLimit": None}))
    assert np.isnan(series.values[0, series.position("cpuLimit")]).all()
    for metric in CONTAINER_METRICS:
        if metric.name == "cpuLimit":
            continue
        sent = {value for value in VALUES if not math.isnan(series.column(metric.name, value)[0])}
        assert sent == set(metric.values)
        assert UNITS[series.units[0, series.position(metric.name)]] == metric.unit
    assert (series.ends_ms - series.starts_ms).tolist() == [899_000]


def test_of_two_entries_of_one_container_the_later_counts() -> None:
    sent = record("e", 0, "web", "web")
    second = sent["kubernetes_objects"][0]["containers"][1]
    second["metrics"] = measured(CONTAINER_METRICS, 0, cpuUsage={"avg": 42, "format": "cores"})
    assert check(sent).column("cpuUsage", "avg").tolist() == [42.0]


@pytest.mark.parametrize(("seconds", "good"), [(870, True), (869.999, False), (930, True), (930.001, False)])
def test_an_interval_may_differ_by_half_a_minute(seconds: float, good: bool) -> None:
    sent = record("e")
    start = parse_moment(sent["interval_end_time"]) - timedelta(seconds=seconds)
    sent["interval_start_time"] = f"{start:%Y-%m-%dT%H:%M:%S}.{start.microsecond // 1000:03}Z"
    if good:
        check(sent)
    else:
        with pytest.raises(BadRecord, match="Interval duration cannot"):
            check(sent)


@pytest.mark.parametrize(
    ("sent", "seconds"),
    [
        (None, 900),
        ({}, 900),
        ({"measurement_duration": "15min"}, 900),
        ({"measurement_duration": "5 mins"}, 300),
        ({"measurement_duration": "1hr"}, 3600),
        ({"measurement_duration": "30s"}, 30),
        ({"measurement_duration": 15}, 900),
    ],
)
def test_a_duration_has_a_unit(sent: Any, seconds: int) -> None:
    assert measurement_seconds(sent) == seconds


@pytest.mark.parametrize(
    "sent", [[], "15min", {"measurement_duration": "0min"}, {"measurement_duration": "٣"}]
)
def test_a_duration_that_is_none_is_refused(sent: Any) -> None:
    with pytest.raises(Refused, match="measurement_duration"):
        measurement_seconds(sent)


@pytest.mark.parametrize(
    ("sent", "percent"),
    [("0.1", 0.1), ("10", 10.0), (5, 5.0), (None, 0.1), ("-1", 0.1), ("0", 0.1), ("much", 0.1), ("NaN", 0.1)],
)
def test_a_threshold_that_is_none_is_the_default(sent: Any, percent: float) -> None:
    stored = replace(on_record(), settings={"recommendation_settings": {"threshold": sent}})
    assert stored.threshold_percent == percent


def test_a_timestamp_has_one_form() -> None:
    expected = datetime(2023, 6, 2, 0, 45, 0, 123_000, tzinfo=UTC)
    for text in ("2023-06-02T00:45:00.123Z", "2023-06-02T00:45:00.123999Z"):
        assert parse_moment(text) == expected
    assert parse_moment("2023-06-02T00:45:00.1Z").microsecond == 100_000
    for text in (
        "2023-06-02T00:45:00Z", "2023-06-02 00:45:00.000Z", "2023-06-02T00:45:00.000", "2023-W22-5T00:45:00.000Z",
        "2023-06-02T24:00:00.000Z", "0000-01-01T00:00:00.000Z", "2023-06-02T00:45:00.000Z\n", "",
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r".*"):
            parse_moment(text)


def test_milliseconds_go_there_and_back() -> None:
    for moment in (
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999_000, tzinfo=UTC),
        datetime(2026, 11, 1, 0, 0, 0, 1000, tzinfo=UTC),
    ):
        assert packing.moment_of(packing.milliseconds(moment)) == moment


def test_a_run_of_chunks_is_taken_apart_by_container() -> None:
    size = len(METRICS["namespace"])
    chunks = b"".join(
        packing.chunk(
            number, packing.body("namespace", end - 1, end, [float(end)] * size * len(VALUES), [2] * size)
        )
        for end in (10, 20, 30)
        for number in (3, 5)
        if (number, end) != (5, 20)
    )
    found = packing.unpacked("namespace", chunks)
    assert {number: series.ends_ms.tolist() for number, series in found.items()} == {
        3: [10, 20, 30],
        5: [10, 30],
    }
    assert found[5].values.shape == (2, size, len(VALUES))
    assert found[5].values[1].tolist() == [[30.0] * len(VALUES)] * size


def test_the_list_is_asked_for_with_flags() -> None:
    assert Question.of({}) == Question(name=None, results=False, recommendations=False, latest=True)
    asked = Question.of({"experiment_name": "e", "results": "true", "latest": "false", "rm": "true"})
    assert asked == Question(name="e", results=True, recommendations=False, latest=False)
