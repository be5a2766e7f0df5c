"""What Kruize is told of a workload, and what a person is told of a message."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from headrace.contracts.ros import RosMetadata
from headrace.runtime.errors import Rejected
from headrace.web.peer import Answer
from headrace_services.ros_processor.aggregation import ContainerUsage, IntervalRecord, Workload
from headrace_services.ros_processor.client import _judge
from headrace_services.ros_processor.experiments import Experiment, Result
from headrace_services.ros_processor.handlers import Outcome
from headrace_services.ros_processor.loading import Tally
from headrace_services.ros_processor.profile import misses_profile, performance_profile
from headrace_services.ros_processor.settings import RosProcessorSettings

CLUSTER = "1b77b73f-1d3e-43c6-9f55-bcd9fb6d1a0c"
METADATA = RosMetadata(org_id="12345", source_id="7", cluster_uuid=CLUSTER, cluster_alias="c")
USAGE = [{"name": "cpuUsage", "results": {"aggregation_info": {"sum": "1", "avg": "1", "format": "cores"}}}]
RECORD = IntervalRecord(
    datetime(2023, 6, 2, 0, 0, 1, tzinfo=UTC),
    datetime(2023, 6, 2, 0, 15, tzinfo=UTC),
    (ContainerUsage("one", "quay.io/a", USAGE), ContainerUsage("two", "quay.io/b", USAGE)),
)
WORKLOAD = Workload(
    kind="container",
    namespace="prod",
    object_type="deployment",
    object_name="servers",
    containers=(("one", "quay.io/a"), ("two", "quay.io/b")),
    records=[RECORD],
)
NAMESPACE = Workload(
    kind="namespace",
    namespace="ns1",
    object_type="namespace",
    object_name="ns1",
    containers=(),
    records=[replace(RECORD, containers=(ContainerUsage("", "", USAGE),))],
)
NAME = f"12345|7|{CLUSTER}|prod|deployment|servers"


def result(workload: Workload = WORKLOAD) -> Result:
    return Result(Experiment.of(METADATA, workload), workload.records[0])


def test_a_result_holds_every_container_of_its_interval() -> None:
    assert result().body() == {
        "version": "1.0",
        "experiment_name": NAME,
        "interval_start_time": "2023-06-02T00:00:01.000Z",
        "interval_end_time": "2023-06-02T00:15:00.000Z",
        "kubernetes_objects": [
            {
                "type": "deployment",
                "name": "servers",
                "namespace": "prod",
                "containers": [
                    {"container_image_name": "quay.io/a", "container_name": "one", "metrics": USAGE},
                    {"container_image_name": "quay.io/b", "container_name": "two", "metrics": USAGE},
                ],
            }
        ],
    }


def test_a_namespace_has_its_own_shape() -> None:
    experiment = Experiment.of(METADATA, NAMESPACE)
    assert experiment.name == f"12345|7|{CLUSTER}|namespace|ns1"
    creation = experiment.creation()
    assert creation["experiment_type"] == "namespace"
    assert creation["kubernetes_objects"] == [{"namespaces": {"namespace": "ns1"}}]
    assert result(NAMESPACE).body()["kubernetes_objects"] == [
        {"namespaces": {"namespace": "ns1", "metrics": USAGE}}
    ]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({}, None),
        ({"namespace": "a\0b"}, "NUL"),
        ({"containers": (("one", "image\0"),)}, "NUL"),
        ({"object_name": "x" * 1000}, "more than 1024 bytes"),
        ({"containers": (("ü" * 600, "image"),)}, "more than 1024 bytes"),
    ],
)
def test_names_that_nobody_could_store_are_found(changes: dict[str, Any], fault: str | None) -> None:
    found = Experiment.of(METADATA, replace(WORKLOAD, **changes)).fault
    assert found == fault or (fault and found and fault in found)


def failure(*messages: str, **changes: str) -> dict[str, Any]:
    name, start, end = result().key
    key = {"experiment_name": name, "interval_start_time": start, "interval_end_time": end} | changes
    return key | {"errors": [{"message": message, "httpcode": 400} for message in messages]}


def answer(*failures: Any) -> Answer:
    body = {"message": "Out of a total of 1 records, 1 failed to save", "data": list(failures)}
    return Answer(400, body, "")


def test_a_record_that_kruize_has_already_is_as_good_as_sent() -> None:
    sent = _judge(answer(failure("An entry for this record already exists!")), [result()])
    assert (sent.known, sent.refused, sent.unknown) == ({result().key}, {}, set())


def test_an_unknown_experiment_is_told_apart_even_where_errors_pile_up() -> None:
    pile = f"Not Found: experiment_name does not exist: other , Not Found: experiment_name does not exist: {NAME}"
    sent = _judge(answer(failure(pile)), [result()])
    assert sent.unknown == {NAME}
    assert list(sent.refused) == [result().key]
    other = _judge(answer(failure("Not Found: experiment_name does not exist: other")), [result()])
    assert other.unknown == set()


@pytest.mark.parametrize(
    "odd",
    [
        [None], ["text"], [{"errors": None}], [{"experiment_name": NAME}], [failure("x", interval_end_time="?")], [],
        [failure("An entry for this record already exists!"), failure("x", experiment_name="other")],
    ],
)  # fmt: skip
def test_an_answer_that_cannot_be_read_counts_as_a_refusal_of_everything(odd: list[Any]) -> None:
    sent = _judge(answer(*odd), [result()])
    assert sent.refused == {result().key: "400: Out of a total of 1 records, 1 failed to save"}
    assert sent.known == set()


def test_a_failure_without_a_reason_is_still_one() -> None:
    assert _judge(answer(failure()), [result()]).refused[result().key].startswith("400: Out of")
    assert (
        _judge(Answer(400, None, "<html>bad</html>"), [result()]).refused[result().key]
        == "400: <html>bad</html>"
    )


def test_the_profile_has_every_variable_of_kruize_with_its_functions() -> None:
    profile = performance_profile(2.0)
    variables = {item["name"]: item for item in profile["slo"]["function_variables"]}
    assert len(variables) == 8 + 11 + 3
    functions = {
        name: [function["function"] for function in item["aggregation_functions"]]
        for name, item in variables.items()
    }
    assert functions["cpuRequest"] == ["sum", "avg"]
    assert functions["cpuThrottle"] == ["sum", "avg", "max"]
    assert functions["namespaceCpuUsage"] == ["avg", "min", "max"]
    assert functions["namespaceMaxDate"] == ["max"]
    assert variables["acceleratorCoreUsage"]["kubernetes_object"] == "container"
    assert variables["namespaceTotalPods"]["kubernetes_object"] == "namespace"
    assert "%" not in str(profile)
    assert profile["profile_version"] == 2.0
    assert profile["slo"]["objective_function"] == {"function_type": "source"}


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ('{"message":"Cannot read because \\"performanceProfile\\" is null"}', True),
        ("Performance Profile doesn't exist: x", True),
        ("Not Found: performance_profile does not exist: x", True),
        ("Not Found: experiment_name does not exist: x", False),
    ],
)
def test_every_spelling_of_a_missing_profile_is_known(text: str, missing: bool) -> None:
    assert misses_profile(text) is missing


def test_a_tally_says_what_happened() -> None:
    tally = Tally(
        workloads={"a"},
        containers={("a", "x"), ("a", "y")},
        intervals=3,
        known=1,
        dropped=Counter({"no owner": 2}),
        refused=Counter({"r1": 4, "r2": 3, "r3": 2, "r4": 1}),
    )
    assert tally.text() == (
        "1 workload, 2 containers, 3 intervals sent (1 already known to Kruize); 2 rows dropped: no owner; "
        "10 intervals refused: 4 times 'r1', 3 times 'r2', 2 times 'r3' and 1 more reasons"
    )


def test_reasons_of_many_files_are_cut() -> None:
    outcome = Outcome(rejected=[f"{number}.csv: bad" for number in range(9)])
    with pytest.raises(Rejected, match=r"^0\.csv: bad; .*4\.csv: bad; 4 more files rejected$"):
        outcome.conclude()


@pytest.mark.parametrize(
    ("variables", "url"),
    [
        ({}, "http://localhost:8080"),
        ({"KRUIZE_HOST": "kruize", "KRUIZE_PORT": "81"}, "http://kruize:81"),
        ({"KRUIZE_HOST": "kruize", "KRUIZE_PORT": "tcp://10.0.0.1:8080"}, "http://kruize:8080"),
        ({"KRUIZE_URL": "https://kruize.example/x", "KRUIZE_HOST": "no"}, "https://kruize.example/x"),
    ],
)
def test_kruize_is_where_the_variables_say(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], url: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("KRUIZE_PERFORMANCE_PROFILE_VERSION", "v2.5")
    settings = RosProcessorSettings()
    assert settings.kruize == url
    assert settings.profile_version == 2.5
