import asyncio
from typing import Any

import pytest

from headrace.contracts.kruize import CONTAINER_METRICS, NAMESPACE_METRICS
from tests.integration.kruize.harness import (
    Kruize,
    end_of,
    experiment,
    measured,
    namespace_experiment,
    namespace_record,
    new_name,
    open_kruize,
    record,
)
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

ADDED = (201, "Results added successfully! View saved results at /listExperiments.")
DUPLICATE = "An entry for this record already exists!"
UNITS = (
    "cores, bytes, m, percentage, Bytes, KiB, MiB, GiB, TiB, PiB, EiB, Ki, Mi, Gi, Ti, Pi, Ei, kB, KB, MB, GB, TB, PB,"
    " EB, K, k, M, G, T, P, E"
)
CPU = {"sum": "0.5", "avg": "0.5", "min": "0.1", "max": "1", "format": "cores"}


def with_object(experiment_name: str, **fields: Any) -> dict[str, Any]:
    made = record(experiment_name)
    (only,) = made["kubernetes_objects"]
    only |= fields
    return made


def with_metrics(name: str, metrics: Any) -> dict[str, Any]:
    return with_object(name, containers=[{"container_name": "web", "metrics": metrics}])


def with_cpu(name: str, **info: Any) -> dict[str, Any]:
    kept = {key: value for key, value in (CPU | info).items() if value != "left out"}
    return record(name, changed={"cpuUsage": kept})


def bad_records(name: str) -> dict[str, tuple[dict[str, Any], str]]:
    """Each with the text of its error; those that fail in several ways show the order of the checks."""
    of = f" for container : web for experiment: {name}."
    missing = (
        f"Missing one of the following mandatory parameters for experiment - {name} :"
        " [cpuUsage, memoryUsage, memoryRSS]"
    )
    keys = ("version", "experiment_name", "interval_start_time", "interval_end_time", "kubernetes_objects")
    nothing = " , ".join(f"{key}: must not be null" for key in keys)
    (first_object,) = record(name)["kubernetes_objects"]
    no_number = "Invalid value type for aggregation_info objects. Expected a numeric value (Double)." + of
    negative = f"{{}} cannot be negative or blank for the metric variable: cpuUsage{of}"
    bad_format = f"Format value should be among these values: [{UNITS}]{of}"
    return {
        "nothing": ({}, nothing),
        "no version": (record(name, version=None), "version: must not be null"),
        "no object": (
            record(name, kubernetes_objects=[]),
            "kubernetes_objects: Bulk Kubernetes objects are currently unsupported!",
        ),
        "two objects": (
            record(name, kubernetes_objects=[first_object] * 2, version="9"),
            "kubernetes_objects: Bulk Kubernetes objects are currently unsupported!",
        ),
        "backwards": (
            record(name, interval_end_time=end_of(0), interval_start_time=end_of(0), experiment_name="gone"),
            "The Start time should precede the End time!",
        ),
        "time without milliseconds": (
            record(name, interval_end_time="2026-11-01T00:15:00Z"),
            'interval_end_time: Given timestamp - " 2026-11-01T00:15:00Z " is not a valid timestamp format',
        ),
        "time that is none": (
            record(name, interval_start_time="2026-11-31T00:00:01.000Z"),
            'interval_start_time: Given timestamp - " 2026-11-31T00:00:01.000Z " is not a valid timestamp format',
        ),
        "far future": (
            record(
                name,
                interval_start_time="2099-01-01T00:00:01.000Z",
                interval_end_time="2099-01-01T00:15:00.000Z",
            ),
            "interval_end_time: expected one from 2000 to a year ahead",
        ),
        "unknown experiment": (
            record("nobody", version="9"),
            "Not Found: experiment_name does not exist: nobody",
        ),
        "other version": (
            with_metrics(name, None) | {"version": "2.0"},
            "Version number mismatch found. Expected: 1.0 , Found: 2.0",
        ),
        "no containers": (
            with_object(name, containers=None, type="job"),
            f"Metric data is not present for container : null for experiment: {name}. ",
        ),
        "no metrics": (with_metrics(name, None), f"Metric data is not present{of} "),
        "empty metrics": (with_metrics(name, []), f"Metric data is not present{of} "),
        "several without metrics": (
            with_object(
                name,
                containers=[
                    {"container_name": "one"},
                    {"container_name": "web", "metrics": measured(CONTAINER_METRICS)},
                    {"container_name": "two", "metrics": None},
                ],
            ),
            ", ".join(
                f"Metric data is not present for container : {each} for experiment: {name}. "
                for each in ("one", "two")
            ),
        ),
        "a namespace's results": (
            namespace_record(name),
            " ".join(
                f"Kubernetes Object {kind}s MisMatched. Expected {kind}: {wanted}, Found: null in Results for"
                f" experiment: {name}"
                for kind, wanted in (("Type", "deployment"), ("Name", "front"), ("Namespace", "shop"))
            ),
        ),
        "blank container": (
            with_object(name, containers=[{"container_name": " "}]),
            "container_name cannot be null or blank",
        ),
        "negative": (with_cpu(name, avg=-1), negative.format("avg")),
        "negative text": (with_cpu(name, sum="-0.1"), negative.format("sum")),
        "blank": (with_cpu(name, avg=""), negative.format("avg")),
        "not a number": (with_cpu(name, max="NaN"), negative.format("max")),
        "endless": (with_cpu(name, min="Infinity"), negative.format("min")),
        "too large": (with_cpu(name, min="1e999"), negative.format("min")),
        "text": (with_cpu(name, avg="many"), no_number),
        "python's underscore": (with_cpu(name, avg="1_0"), no_number),
        "other digits": (with_cpu(name, avg="\u0661"), no_number),
        "list": (with_cpu(name, avg=[1]), no_number),
        "bool": (with_cpu(name, avg=True), no_number),
        "unknown format": (with_cpu(name, format="furlongs"), bad_format),
        "no format": (with_cpu(name, format="left out"), bad_format),
        "no aggregation": (
            with_metrics(name, [{"name": "cpuUsage", "results": {"value": 1}}]),
            f"aggregation_info is not present for the metric variable: cpuUsage{of}",
        ),
        "no cpu": (record(name, changed={"cpuUsage": None}), missing),
        "no memory": (record(name, changed={"memoryUsage": None}), missing),
        "no rss": (record(name, changed={"memoryRSS": None}), missing),
        "too short": (
            with_object(name, type="job") | {"interval_start_time": "2026-11-01T00:00:31.000Z"},
            "Interval duration cannot be less than or greater than measurement_duration by more than 30 seconds",
        ),
        "too long": (
            record(name, interval_start_time="2026-10-31T23:59:29.000Z"),
            "Interval duration cannot be less than or greater than measurement_duration by more than 30 seconds",
        ),
        "other type": (
            with_object(name, type="job"),
            "Kubernetes Object Types MisMatched. Expected Type: deployment, Found: job in Results for experiment: "
            + name,
        ),
        "other name": (
            with_object(name, name="back"),
            f"Kubernetes Object Names MisMatched. Expected Name: front, Found: back in Results for experiment: {name}",
        ),
        "other namespace": (
            with_object(name, namespace="bar"),
            "Kubernetes Object Namespaces MisMatched. Expected Namespace: shop, Found: bar in Results for experiment: "
            + name,
        ),
    }


async def test_each_bad_record_is_reported_with_its_own_error(kruize: Kruize) -> None:
    await kruize.create(experiment(name := new_name()))
    cases = bad_records(name)
    answer = await kruize.post("/updateResults", [sent for sent, _ in cases.values()])
    count = len(cases)
    assert answer.said == (400, f"Out of a total of {count} records, {count} failed to save")
    said = {case: item["errors"] for case, item in zip(cases, answer.json["data"], strict=True)}
    assert said == {
        case: [{"message": text, "httpcode": 400, "documentationLink": "", "status": "ERROR"}]
        for case, (_, text) in cases.items()
    }
    assert await kruize.fetch("select from kruize_results") == []


async def test_an_unknown_metric_is_named_with_those_there_are(kruize: Kruize) -> None:
    await kruize.create(experiment(name := new_name()))
    body = [with_metrics(name, [{"name": "gpuUsage", "results": {"aggregation_info": CPU}}])]
    (item,) = (await kruize.post("/updateResults", body)).json["data"]
    message = item["errors"][0]["message"]
    assert message.startswith(
        "Metric variable name should be among these values: [cpuRequest, cpuLimit, cpuUsage, "
    )
    assert message.endswith(f"] for container : web for experiment: {name}.")
    metrics = [
        *measured(CONTAINER_METRICS),
        {"name": "acceleratorCoreUsage", "results": {"aggregation_info": {"avg": 1, "format": "percentage"}}},
    ]
    assert (await kruize.post("/updateResults", [with_metrics(name, metrics)])).said == ADDED


async def test_the_namespace_has_texts_of_its_own(kruize: Kruize) -> None:
    await kruize.create(namespace_experiment(name := new_name()))
    of = f" for namespace : shop for experiment: {name}."
    required = "namespaceCpuUsage, namespaceMemoryUsage, namespaceMemoryRSS"
    cases = [
        (
            record(name),
            f"Expected namespace-level results, but found type, name, and namespace for experiment: {name}.",
        ),
        (
            record(name, kubernetes_objects=[{"namespaces": {"namespace": "shop"}}]),
            f"Metric data is not present{of} ",
        ),
        (
            record(name, kubernetes_objects=[{"namespaces": {"namespace": "bar"}}]),
            f"Metric data is not present for namespace : bar for experiment: {name}. ",
        ),
        (
            record(
                name,
                kubernetes_objects=[
                    {"namespaces": {"namespace": "bar", "metrics": measured(NAMESPACE_METRICS)}}
                ],
            ),
            "Kubernetes Object Namespaces MisMatched. Expected Namespace: shop, Found: bar in Results for experiment: "
            + name,
        ),
        (
            namespace_record(name, changed={"namespaceTotalPods": {"avg": -1}}),
            f"avg cannot be negative or blank for the metric variable: namespaceTotalPods{of}",
        ),
        (
            namespace_record(name, changed={"namespaceMemoryRSS": None}),
            f"Missing one of the following mandatory parameters for experiment - {name} : [{required}]",
        ),
    ]
    answer = await kruize.post("/updateResults", [sent for sent, _ in cases])
    assert [item["errors"][0]["message"] for item in answer.json["data"]] == [text for _, text in cases]
    assert (await kruize.post("/updateResults", [namespace_record(name)])).said == ADDED


async def test_good_records_are_stored_beside_bad_ones(kruize: Kruize) -> None:
    await kruize.create(experiment(name := new_name()))
    await kruize.store([record(name, 1)])
    bad = record(name, 2, version="3.0")
    answer = await kruize.post("/updateResults", [record(name, 0), record(name, 1), bad, record(name, 3)])
    assert answer.said == (400, "Out of a total of 4 records, 2 failed to save")
    ok = {"documentationLink": "", "status": "ERROR"}
    mismatch = "Version number mismatch found. Expected: 1.0 , Found: 3.0"
    assert answer.json["data"] == [
        {
            "interval_start_time": "2026-11-01T00:15:01.000Z",
            "interval_end_time": "2026-11-01T00:30:00.000Z",
            "version": "1.0",
            "experiment_name": name,
            "errors": [{"message": DUPLICATE, "httpcode": 409} | ok],
        },
        {
            "interval_start_time": "2026-11-01T00:30:01.000Z",
            "interval_end_time": "2026-11-01T00:45:00.000Z",
            "version": "3.0",
            "experiment_name": name,
            "errors": [{"message": mismatch, "httpcode": 400} | ok],
        },
    ]
    ends = await kruize.fetch("select interval_end_time as at from kruize_results order by 1")
    assert [f"{row['at']:%H:%M}" for row in ends] == ["00:15", "00:30", "01:00"]


async def test_the_first_of_two_results_of_an_interval_stands(kruize: Kruize) -> None:
    await kruize.create(experiment(name := new_name()))
    first, second = with_cpu(name, sum="1"), with_cpu(name, sum="2")
    answer = await kruize.post("/updateResults", [first, second])
    assert answer.said == (400, "Out of a total of 2 records, 1 failed to save")
    assert (await kruize.post("/updateResults", [second])).json["data"][0]["errors"][0]["httpcode"] == 409
    (item,) = (await kruize.get("/listExperiments", experiment_name=name, results="true")).json
    (interval,) = item["kubernetes_objects"][0]["containers"]["web"]["results"].values()
    assert interval["metrics"]["cpuUsage"]["aggregation_info"]["sum"] == 1.0
    other_start = second | {"interval_start_time": "2026-11-01T00:00:00.000Z"}
    assert (await kruize.post("/updateResults", [other_start])).said == ADDED


async def test_numbers_and_numeric_texts_are_the_same(kruize: Kruize) -> None:
    names = [new_name(), new_name()]
    await kruize.create(*map(experiment, names))
    info = {"sum": 493311537.548387, "avg": 0.047932, "min": 0, "max": 1e3, "format": "cores"}
    texts = {key: f" {value!r}" if key != "format" else value for key, value in info.items()}
    for name, sent in zip(names, (info, texts), strict=True):
        await kruize.store([record(name, changed={"cpuUsage": sent})])
    rows = await kruize.fetch("select substring(measurements from 5) as values from kruize_results")
    assert rows[0]["values"] == rows[1]["values"]


async def test_the_number_of_records_is_bounded(database: str) -> None:
    async with open_kruize(database, bulkresultslimit="3") as kruize:
        await kruize.create(experiment(name := new_name()))
        answer = await kruize.post("/updateResults", [record(name, number) for number in range(4)])
        text = "At present, the system does not support bulk entries exceeding 3 in quantity!"
        assert answer.said == (400, text)
        assert (
            await kruize.post("/updateResults", [record(name, number) for number in range(3)])
        ).said == ADDED
        many = record(name, 5, *(f"c{number}" for number in range(101)))
        (item,) = (await kruize.post("/updateResults", [many])).json["data"]
        assert item["errors"][0]["message"] == "containers: got 101, expected at most 100"
        repeated = record(name, 6)
        container = repeated["kubernetes_objects"][0]["containers"][0]
        container["metrics"] *= 100
        (item,) = (await kruize.post("/updateResults", [repeated])).json["data"]
        assert item["errors"][0]["message"].startswith(
            f"metrics: got {len(container['metrics'])}, expected at most "
        )


async def test_a_container_first_seen_in_results_is_added(kruize: Kruize) -> None:
    await kruize.create(experiment(name := new_name()))
    await kruize.store([record(name, 0, "web", "new"), record(name, 1, "new", "web")])
    (item,) = (await kruize.get("/listExperiments", experiment_name=name)).json
    assert item["kubernetes_objects"][0]["containers"]["new"] == {
        "container_name": "new",
        "container_image_name": "quay.io/new",
    }
    answer = await kruize.post("/updateRecommendations", experiment_name=name, interval_end_time=end_of(1))
    containers = answer.json[0]["kubernetes_objects"][0]["containers"]
    assert {each["container_name"] for each in containers if each["recommendations"]["data"]} == {
        "web",
        "new",
    }


@pytest.mark.parametrize("image", [None, "", " "])
async def test_results_need_no_image_and_leave_the_experiments_own(kruize: Kruize, image: str | None) -> None:
    """Upstream's check of results looks at a container's name only."""
    await kruize.create(experiment(name := new_name()))
    (sent,) = (records := [record(name)])
    sent["kubernetes_objects"][0]["containers"][0]["container_image_name"] = image
    assert (await kruize.post("/updateResults", records)).said == ADDED
    (item,) = (await kruize.get("/listExperiments", experiment_name=name)).json
    assert item["kubernetes_objects"][0]["containers"]["web"]["container_image_name"] == "quay.io/web"


async def test_results_of_long_ago_are_kept(kruize: Kruize) -> None:
    await kruize.create(experiment(name := new_name()))
    times = {
        "interval_start_time": "2023-06-02T00:00:01.000Z",
        "interval_end_time": "2023-06-02T00:15:00.000Z",
    }
    assert (await kruize.post("/updateResults", [record(name) | times, record(name)])).said == ADDED


async def test_identical_calls_at_once_store_each_record_once(kruize: Kruize) -> None:
    await kruize.create(experiment(name := new_name()))
    records = [record(name, number, "web", f"extra{number % 3}") for number in range(60)]
    # Turned, so that without an order they would wait for one another in a circle.
    calls = [records[at:] + records[:at] if at % 2 else records[::-1] for at in range(20)]
    answers = await asyncio.gather(*(kruize.post("/updateResults", call) for call in calls))
    stored = 0
    for answer in answers:
        if answer.status == 201:
            stored += len(records)
            continue
        assert answer.status == 400
        errors = [item["errors"][0]["message"] for item in answer.json["data"]]
        assert set(errors) == {DUPLICATE}
        stored += len(records) - len(errors)
    assert stored == len(records)
    assert len(await kruize.fetch("select from kruize_results")) == len(records)
    assert len(await kruize.fetch("select from kruize_containers")) == 4


async def test_calls_with_records_of_several_experiments_find_each_its_own(kruize: Kruize) -> None:
    names = [new_name() for _ in range(5)]
    await kruize.create(*map(experiment, names))
    records = [record(name, number) for number in range(4) for name in names]
    assert (await kruize.post("/updateResults", [*records, record("nobody")])).said == (
        400,
        "Out of a total of 21 records, 1 failed to save",
    )
    counts = await kruize.fetch("select count(*) as n from kruize_results group by experiment")
    assert [row["n"] for row in counts] == [4] * 5


async def test_a_replica_learns_of_what_another_changed(kruize: Kruize) -> None:
    async with open_kruize(kruize.database) as other:
        await kruize.create(experiment(name := new_name()), experiment(kept := new_name()))
        for replica in (kruize, other):
            await replica.store([record(name, 0 if replica is kruize else 1)])
        await other.call("DELETE", "/createExperiment", [{"experiment_name": name}])
        answer = await kruize.post("/updateResults", [record(name, 2), record(kept, 0)])
        assert answer.said == (400, "Out of a total of 2 records, 1 failed to save")
        (item,) = answer.json["data"]
        assert item["errors"][0]["message"] == f"Not Found: experiment_name does not exist: {name}"
        await other.create(experiment(name, "web", version="2.0"))
        await kruize.store([record(name, 0, version="2.0"), record(name, 1, "late", version="2.0")])
        await other.store([record(name, 2, "late", version="2.0")])
        # A partition that one drops is made again by the other, which knew it.
        await other.fetch("drop table kruize_results_2026_11_01")
        await kruize.store([record(name, 0, version="2.0")])
        assert len(await kruize.fetch("select from kruize_results")) == 1


async def test_a_body_without_records_is_refused(kruize: Kruize) -> None:
    for body in (b"", b"{", b"{}", b"[]", b"[1]", b"null", b"[" * 5000, b"\x1f\x8b\x08"):
        answer = await kruize.post("/updateResults", body)
        assert answer.said == (400, "Failed to parse the JSON. Please check the input payload "), body


async def test_what_is_old_is_dropped_and_what_came_late_is_kept(database: str) -> None:
    async with open_kruize(database) as kruize:
        await kruize.create(experiment(name := new_name()))
        for day in ("2023-01-01", "2023-06-01"):
            times = {
                "interval_start_time": f"{day}T00:00:01.000Z",
                "interval_end_time": f"{day}T00:15:00.000Z",
            }
            await kruize.store([record(name) | times])
        await kruize.store([record(name)])
        await kruize.fetch("comment on table kruize_results_2023_01_01 is '2023-01-01T00:00:00Z'")
    async with open_kruize(database) as kruize:

        async def dropped() -> bool:
            (row,) = await kruize.fetch("select to_regclass('kruize_results_2023_01_01') is null as dropped")
            return bool(row["dropped"])

        await eventually(dropped)
        assert len(await kruize.fetch("select from kruize_results")) == 2
