"""Recommendations whose numbers were worked out by hand."""

import pytest

from headrace_services.kruize.recommendations import recommend
from tests.unit.kruize.made import END, STEP, container, in_a_row, series_of

MIB = {"format": "MiB"}


def engines_of(found, term="short_term"):
    (moment,) = found["data"].values()
    return moment["recommendation_terms"][term]["recommendation_engines"]


def test_seven_pods_with_a_spike_of_memory():
    intervals = in_a_row(
        2,
        cpuUsage={"sum": 0.84, "avg": 0.12, "min": 0.02, "max": 0.84},
        cpuThrottle={"sum": 0.09, "avg": 0.02, "max": 0.09},
        memoryUsage={"sum": 198.5, "avg": 50.6, "min": 50.6, "max": 198.5} | MIB,
        memoryRSS={"sum": 123.6, "avg": 50.6, "min": 50.6, "max": 123.6} | MIB,
        memoryRequest={"avg": 50.21} | MIB,
        memoryLimit={"avg": 50.21} | MIB,
    )
    for engine in engines_of(recommend(series_of("container", intervals))).values():
        assert engine["pods_count"] == 7
        for setting in ("requests", "limits"):
            assert engine["config"][setting]["cpu"]["amount"] == pytest.approx(0.93, abs=1e-12)
            assert engine["config"][setting]["memory"] == {"amount": 238.2, "format": "MiB"}
            assert engine["variation"][setting]["memory"]["amount"] == pytest.approx(187.99, abs=1e-9)


def sample():
    """The sample's workload with a day and three quarters of an hour: each interval begins a second late."""
    cpu = {"sum": 0.047932, "avg": 0.047932, "min": 0.031571, "max": 0.064131, "format": "cores"}
    rss = {"sum": 493311537.548387, "avg": 493311537.548387, "min": 493293568.0, "max": 493371392.0}
    intervals = in_a_row(
        99,
        cpuRequest={"sum": 1.0, "avg": 1.0},
        cpuLimit={"sum": 1.0, "avg": 1.0},
        cpuUsage=cpu,
        memoryRequest={"sum": 1073741824.0, "avg": 1073741824.0},
        memoryLimit={"sum": 1073741824.0, "avg": 1073741824.0},
        memoryUsage={"sum": 512004096.0, "avg": 512004096.0, "min": 510009344.0, "max": 513900544.0},
        memoryRSS=rss,
    )
    for interval in intervals:
        interval["start"] += 1000
    return series_of("container", intervals)


def info(code, message):
    return {str(code): {"type": "info", "message": message, "code": code}}


NOT_ENOUGH = info(120001, "There is not enough data available to generate a recommendation.")


def test_the_sample_workload():
    found = recommend(sample())
    both = {
        "cpu": {"amount": 0.064131, "format": "cores"},
        "memory": {"amount": 517986304.0, "format": "bytes"},
    }
    change = {
        "cpu": {"amount": 0.064131 - 1.0, "format": "cores"},
        "memory": {"amount": -555755520.0, "format": "bytes"},
    }
    now = {
        "cpu": {"amount": 1.0, "format": "cores"},
        "memory": {"amount": 1073741824.0, "format": "bytes"},
    }
    engine = {
        "pods_count": 1,
        "confidence_level": 0.0,
        "config": {"requests": both, "limits": both},
        "variation": {"requests": change, "limits": change},
        "notifications": {},
    }
    point = {
        "cpuUsage": {
            "min": 0.031571, "q1": 0.064131, "median": 0.064131, "q3": 0.064131, "max": 0.064131,
            "format": "cores",
        },
        "memoryUsage": {
            "min": 510009344.0, "q1": 513900544.0, "median": 513900544.0, "q3": 513900544.0,
            "max": 513900544.0, "format": "bytes",
        },
    }  # fmt: skip
    assert found == {
        "version": "1.0",
        "notifications": info(111000, "Recommendations Are Available"),
        "data": {
            "2023-06-03T00:45:00.000Z": {
                "notifications": info(111101, "Short Term Recommendations Available"),
                "monitoring_end_time": "2023-06-03T00:45:00.000Z",
                "current": {"requests": now, "limits": now},
                "recommendation_terms": {
                    "short_term": {
                        "duration_in_hours": 24.0,
                        "notifications": info(112101, "Cost Recommendations Available")
                        | info(112102, "Performance Recommendations Available"),
                        "monitoring_start_time": "2023-06-02T00:45:00.000Z",
                        "recommendation_engines": {"cost": engine, "performance": engine},
                        "plots": {
                            "datapoints": 4,
                            "plots_data": {
                                "2023-06-02T06:45:00.000Z": point,
                                "2023-06-02T12:45:00.000Z": point,
                                "2023-06-02T18:45:00.000Z": point,
                                "2023-06-03T00:45:00.000Z": point,
                            },
                        },
                    },
                    "medium_term": {"duration_in_hours": 24.72, "notifications": NOT_ENOUGH},
                    "long_term": {"duration_in_hours": 24.72, "notifications": NOT_ENOUGH},
                },
            }
        },
    }


def test_numbers_have_the_types_the_wire_shows():
    (moment,) = recommend(sample())["data"].values()
    term = moment["recommendation_terms"]["short_term"]
    engine = term["recommendation_engines"]["cost"]
    assert type(engine["pods_count"]) is int
    amounts = [
        term["duration_in_hours"],
        engine["confidence_level"],
        engine["config"]["limits"]["memory"]["amount"],
        engine["variation"]["requests"]["cpu"]["amount"],
        moment["current"]["requests"]["memory"]["amount"],
        *[value for value in term["plots"]["plots_data"]["2023-06-03T00:45:00.000Z"]["cpuUsage"].values()
          if value != "cores"],
    ]  # fmt: skip
    assert {type(amount) for amount in amounts} == {float}


@pytest.mark.parametrize("kind", ["container", "namespace"])
def test_a_single_interval_is_not_enough(kind):
    found = recommend(series_of(kind, [{**container(), "metrics": {}}]))
    assert found == {"version": "1.0", "notifications": NOT_ENOUGH, "data": {}}


def test_an_interval_that_repeats_an_end_replaces_the_one_before():
    early = container(END - STEP, cpuUsage={"max": 0.9})
    late = {**container(END - STEP, cpuUsage={"max": 0.6}), "start": END - 2 * STEP + 1000}
    found = recommend(series_of("container", [early, late, container()]))
    assert engines_of(found)["cost"]["config"]["limits"]["cpu"]["amount"] == 0.6
