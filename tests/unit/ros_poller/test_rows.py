import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import ValidationError

from headrace.ros.columns import PERCENTAGE_COLUMNS
from headrace_services.ros_poller.recommendation import NO_TIME
from headrace_services.ros_poller.rows import StoredRecommendation
from tests.unit.ros_poller import answers

# By the workload: what Kruize answers for one moment, and what `encoding/json` writes of it with upstream's structs.
RECORDED: Final[dict[str, dict[str, Any]]] = json.loads(
    Path(__file__).with_name("go_documents.json").read_bytes()
)


@pytest.mark.parametrize("workload", RECORDED)
def test_the_stored_document_is_what_gos_structs_write(workload: str) -> None:
    recorded = RECORDED[workload]
    assert StoredRecommendation.of("c", recorded["kruize"]).recommendations == recorded["stored"]


def test_the_stored_form_has_no_zeros_and_short_times() -> None:
    stored = StoredRecommendation.of("c", answers.data())
    assert stored.recommendations["monitoring_end_time"] == "2023-06-03T00:45:00Z"
    short = stored.recommendations["recommendation_terms"]["short_term"]
    assert short["monitoring_start_time"] == "2023-06-02T00:45:00Z"
    assert set(short["recommendation_engines"]["cost"]) == {"config", "variation"}
    assert short["duration_in_hours"] == 24
    assert short["plots"] == {
        "datapoints": 4,
        "plots_data": {
            "2023-06-02T06:45:00.000Z": {
                "cpuUsage": {
                    "q1": 0.064131,
                    "median": 0.064131,
                    "q3": 0.064131,
                    "max": 0.064131,
                    "format": "cores",
                }
            },
            "2023-06-02T12:45:00.000Z": {},
        },
    }
    assert repr(stored.recommendations["current"]["requests"]["memory"]["amount"]) == "1073741824"


def test_an_amount_of_zero_disappears_and_its_format_stays() -> None:
    unchanged = answers.engine(variation=answers.sides(0.0, -0.0))
    stored = StoredRecommendation.of("c", answers.data(cost=unchanged))
    cost = stored.recommendations["recommendation_terms"]["short_term"]["recommendation_engines"]["cost"]
    assert cost["variation"]["requests"] == {"cpu": {"format": "cores"}, "memory": {"format": "bytes"}}
    assert stored.columns["cpu_variation_short_cost_pct"] == 0


def test_the_columns_of_the_sample() -> None:
    stored = StoredRecommendation.of("c", answers.data())
    assert stored.end == datetime(2023, 6, 3, 0, 45, tzinfo=UTC)
    assert stored.start == datetime(2023, 6, 2, 0, 45, tzinfo=UTC)
    assert stored.columns == {
        "cpu_request_current": 1.0,
        "memory_request_current": 1073741824.0,
        **dict.fromkeys(PERCENTAGE_COLUMNS),
        "cpu_variation_short_cost_pct": -93.5,
        "cpu_variation_short_performance_pct": -93.5,
        "memory_variation_short_cost_pct": -51.757,
        "memory_variation_short_performance_pct": -51.757,
    }
    assert stored.remarks == ()


def test_a_resource_that_is_missing_is_remarked_once() -> None:
    zero = {"323002": {"type": "notice", "message": "CPU usage is zero", "code": 323002}}
    idle = answers.engine(
        config={"requests": {}}, variation={"requests": {"memory": {"amount": 5e6}}}, notifications=zero
    )
    stored = StoredRecommendation.of("c", answers.data(cost=idle, performance=idle))
    assert stored.remarks == ("CPU usage is zero",)
    assert stored.columns["cpu_variation_short_cost_pct"] == 0
    assert stored.columns["memory_variation_short_cost_pct"] == 0.464


def test_a_term_without_its_start_and_no_current_requests() -> None:
    raw = answers.data()
    del raw["recommendation_terms"]["short_term"], raw["current"]
    stored = StoredRecommendation.of("c", raw)
    assert stored.start == NO_TIME
    assert stored.columns["cpu_request_current"] == 0
    assert stored.columns["cpu_variation_short_cost_pct"] is None


@pytest.mark.parametrize(
    "change",
    [
        {"monitoring_end_time": "yesterday"},
        {"monitoring_end_time": 1685753100},
        {"monitoring_end_time": "2023-06-03T00:45:00"},
        {"current": []},
        {"current": {"requests": {"cpu": {"amount": "1.5"}}}},
        {"current": {"limits": {"memory": {"amount": 1e400}}}},
        {"recommendation_terms": 1},
        {"recommendation_terms": {"long_term": {"plots": []}}},
    ],
)
def test_what_cannot_be_read_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        StoredRecommendation.of("c", answers.data() | change)
