import asyncio
import hashlib
from datetime import datetime
from typing import Any

import pytest

from headrace.contracts.kruize import parse_timestamp
from tests.integration.kruize.harness import (
    Kruize,
    experiment,
    namespace_experiment,
    namespace_record,
    new_name,
    profile,
    record,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

REGISTERED = (
    201,
    "Experiment registered successfully with Kruize. View registered experiments at /listExperiments",
)


def objects(**fields: Any) -> dict[str, Any]:
    (made,) = experiment("x")["kubernetes_objects"]
    merged = made | fields
    return {"kubernetes_objects": [{key: value for key, value in merged.items() if value is not None}]}


REFUSED: dict[str, tuple[list[dict[str, Any]], str]] = {
    "none": ([], "At present, the system does not support bulk entries!"),
    "two": ([experiment("a"), experiment("b")], "At present, the system does not support bulk entries!"),
    "unknown profile": (
        [experiment("a", performance_profile="mine")],
        "Not Found: performance_profile does not exist: mine",
    ),
    "profile and slo": (
        [experiment("a", slo={"direction": "minimize"})],
        "SLO Data and Performance Profile cannot exist simultaneously!",
    ),
    "neither profile nor slo": (
        [experiment("a", performance_profile=None)],
        "No Performance Profile or SLO data is Present!",
    ),
    "no name": ([experiment("a", experiment_name=None)], "Mandatory parameters missing [experiment_name] "),
    "blank name": ([experiment(" ")], "Mandatory parameters missing [experiment_name] "),
    "no mode, no target": (
        [experiment("a", mode=None, target_cluster=None)],
        "Mandatory parameters missing [mode, target_cluster] ",
    ),
    "no cluster": ([experiment("a", cluster_name=None)], "Mandatory parameters missing [cluster_name] "),
    "no version": ([experiment("a", version=None)], "Mandatory parameters missing [version] "),
    "no objects": (
        [experiment("a", kubernetes_objects=None)],
        "Mandatory parameters missing [kubernetes_objects] ",
    ),
    "no recommendation settings": (
        [experiment("a", recommendation_settings=None)],
        "Mandatory parameters missing [recommendation_settings] ",
    ),
    "bad object type": ([experiment("a", **objects(type="xyz"))], "Invalid deployment type: xyz"),
    "no object type": ([experiment("a", **objects(type=None))], "Invalid deployment type: null"),
    "no trial settings": (
        [experiment("a", trial_settings=None)],
        "Mandatory parameters missing [trial_settings] ",
    ),
    "no containers": (
        [experiment("a", **objects(containers=None))],
        "Mandatory parameters missing [containers] ",
    ),
    "empty containers": (
        [experiment("a", **objects(containers=[]))],
        "Mandatory parameters missing [containers] ",
    ),
    "container without image": (
        [experiment("a", **objects(containers=[{"container_name": "x"}]))],
        "container_image_name cannot be null or blank",
    ),
    "container with blank image": (
        [experiment("a", **objects(containers=[{"container_name": "x", "container_image_name": " "}]))],
        "container_image_name cannot be null or blank",
    ),
    "null duration": (
        [experiment("a", trial_settings={"measurement_duration": None})],
        "measurement_duration: got 'null', expected minutes such as 15min",
    ),
    **{
        f"threshold {text!r}": (
            [experiment("a", recommendation_settings={"threshold": text})],
            f"threshold: got {shown!r}, expected a number such as 0.1",
        )
        for text, shown in (
            ("", ""),
            ("xyz", "xyz"),
            (None, "null"),
            (True, "true"),
            ("nan", "nan"),
            ({}, "{}"),
            ([None], "[null]"),
        )
    },
    "unknown term": (
        [experiment("a", recommendation_settings={"term_settings": {"terms": ["short", "daily"]}})],
        "Term name is not supported. Use short, medium or long term.",
    ),
    "blank term": (
        [experiment("a", recommendation_settings={"term_settings": {"terms": [" "]}})],
        "Empty term or model value.",
    ),
    "unknown model": (
        [experiment("a", recommendation_settings={"model_settings": {"models": ["turbo"]}})],
        "Model name is not supported. Use cost or performance.",
    ),
    "null model": (
        [experiment("a", recommendation_settings={"model_settings": {"models": [None]}})],
        "Empty term or model value.",
    ),
    "no object name": ([experiment("a", **objects(name=None))], "Mandatory parameters missing [name] "),
    "two objects": (
        [experiment("a", kubernetes_objects=objects()["kubernetes_objects"] * 2)],
        "Bulk Kubernetes objects are currently unsupported!",
    ),
    "container with namespace": (
        [experiment("a", **objects(namespaces={"namespace": "shop"}))],
        "Can not specify namespace data for container experiment",
    ),
    "namespace with containers": (
        [namespace_experiment("a", **objects(namespaces={"namespace": "shop"}))],
        "Can not specify container data for namespace experiment",
    ),
    "namespace without its data": (
        [namespace_experiment("a", kubernetes_objects=[{"name": "x"}])],
        "Missing NamespaceData for experimentType: namespace",
    ),
    "namespace without its name": (
        [namespace_experiment("a", kubernetes_objects=[{"namespaces": {}}])],
        "Missing namespace for experimentType: namespace",
    ),
    "bad experiment type": ([experiment("a", experiment_type="pod")], "Invalid experiment_type : pod"),
    "container without name": (
        [experiment("a", **objects(containers=[{"container_image_name": "x"}]))],
        "container_name cannot be null or blank",
    ),
    "recreate": (
        [experiment("a", mode="recreate")],
        "Auto or recreate mode is not supported for remote monitoring use case.",
    ),
    "bad duration": (
        [experiment("a", trial_settings={"measurement_duration": "soon"})],
        "measurement_duration: got 'soon', expected minutes such as 15min",
    ),
    "long name": ([experiment("n" * 1025)], "experiment_name: expected at most 1024 bytes"),
}


async def test_an_experiment_that_cannot_be_is_refused_with_its_reason(kruize: Kruize) -> None:
    await kruize.create()
    said = {case: (await kruize.post("/createExperiment", body)).said for case, (body, _) in REFUSED.items()}
    assert said == {case: (400, text) for case, (_, text) in REFUSED.items()}
    assert (await kruize.get("/listExperiments")).json == []


async def test_a_body_that_is_no_json_is_refused(kruize: Kruize) -> None:
    bodies = [b"", b"[", b"{}", b"null", b"[1]", b'"x"', b'[{"experiment_name":"a\\u0000"}]', b"\xff\xfe"]
    for body in bodies:
        for method in ("POST", "DELETE"):
            answer = await kruize.call(method, "/createExperiment", body)
            assert answer.said == (400, "Failed to parse the JSON. Please check the input payload "), body


async def test_a_name_is_given_once(kruize: Kruize) -> None:
    await kruize.create()
    name = new_name()
    answers = await asyncio.gather(*(kruize.post("/createExperiment", [experiment(name)]) for _ in range(20)))
    said = sorted(answer.said for answer in answers)
    assert said == [REGISTERED] + [(409, f"Experiment name already exists: {name}")] * 19
    assert len((await kruize.get("/listExperiments")).json) == 1


async def test_every_kind_of_object_is_taken_in_any_case(kruize: Kruize) -> None:
    await kruize.create()
    kinds = ("deployment", "deploymentConfig", "DEPLOYMENTCONFIG", "statefulset", "replicaset")
    for kind in (*kinds, "replicationController", "daemonset", "job"):
        body = [experiment(new_name(), **objects(type=kind))]
        assert (await kruize.post("/createExperiment", body)).said == REGISTERED


async def test_a_listed_experiment_has_what_it_was_created_with(kruize: Kruize) -> None:
    name = new_name()
    await kruize.create(experiment(name, "web", "side|car"))
    (item,) = (await kruize.get("/listExperiments", experiment_name=name)).json
    assert len(item.pop("experiment_id")) == len(hashlib.sha256().hexdigest())
    assert item.pop("creation_date") == item.pop("update_date")
    assert item == {
        "version": "1.0",
        "experiment_name": name,
        "cluster_name": "12345;1b77b73f-1d3e-43c6-9f55-bcd9fb6d1a0c",
        "experiment_type": "container",
        "mode": "monitor",
        "target_cluster": "remote",
        "status": "IN_PROGRESS",
        "performance_profile": "resource-optimization-openshift",
        "trial_settings": {"measurement_duration": "15min"},
        "recommendation_settings": {"threshold": "0.1"},
        "experiment_usecase_type": {
            "remote_monitoring": True,
            "local_monitoring": False,
            "local_experiment": False,
        },
        "validation_data": {
            "success": True,
            "message": "Registered successfully with Kruize! View registered experiments at /listExperiments",
            "errorCode": 201,
        },
        "kubernetes_objects": [
            {
                "type": "deployment",
                "name": "front",
                "namespace": "shop",
                "containers": {
                    "web": {"container_image_name": "quay.io/web", "container_name": "web"},
                    "side|car": {"container_image_name": "quay.io/side|car", "container_name": "side|car"},
                },
            }
        ],
    }


async def test_the_date_of_the_last_update_moves_with_results(kruize: Kruize) -> None:
    names = [new_name(), new_name()]
    await kruize.create(*map(experiment, names))

    async def dates(name: str) -> tuple[datetime, datetime]:
        (item,) = (await kruize.get("/listExperiments", experiment_name=name)).json
        return parse_timestamp(item["creation_date"]), parse_timestamp(item["update_date"])

    made, untouched = await dates(names[0]), await dates(names[1])
    assert made[0] == made[1]
    await kruize.store([record(names[0], 0)])
    first = await dates(names[0])
    assert first[0] == made[0] < first[1]
    await kruize.post("/updateResults", [record(names[0], 0)])
    assert await dates(names[0]) == first
    await kruize.store([record(names[0], 1)])
    assert (await dates(names[0]))[1] > first[1]
    assert await dates(names[1]) == untouched


async def test_calls_that_overlap_do_not_wait_for_one_anothers_date(kruize: Kruize) -> None:
    names = [new_name() for _ in range(6)]
    await kruize.create(*map(experiment, names))
    answers = await asyncio.gather(
        *(
            kruize.post("/updateResults", [record(name, number) for name in order])
            for number, order in enumerate([names, names[::-1]] * 6)
        )
    )
    assert {answer.status for answer in answers} == {201}


async def test_a_body_says_whose_experiments_are_listed(kruize: Kruize) -> None:
    mine, other, namespace = new_name(), new_name(), new_name()
    await kruize.create(
        experiment(mine, "web", "side", cluster_name="a"),
        experiment(other, "web", cluster_name="b"),
        namespace_experiment(namespace, cluster_name="a"),
    )

    def sought(cluster: str, *containers: dict[str, str], **changed: str) -> dict[str, Any]:
        sent = {"type": "deployment", "name": "front", "namespace": "shop"} | changed
        return {"cluster_name": cluster, "kubernetes_objects": [sent | {"containers": list(containers)}]}

    web = {"container_name": "web", "container_image_name": "quay.io/web"}
    side = {"container_name": "side"}
    cases: list[tuple[dict[str, Any], set[str]]] = [
        ({"cluster_name": "a"}, {mine, namespace}),
        ({"cluster_name": "c"}, set()),
        (sought("a", web), {mine}),
        (sought("b", web), {other}),
        (sought("a", web, side), {mine}),
        (sought("b", web, side), set()),
        (sought("a", web | {"container_image_name": "else"}), set()),
        (sought("a", name="back"), set()),
        (
            {"cluster_name": None, "kubernetes_objects": [{"namespaces": {"namespace": "shop"}}]},
            {mine, other, namespace},
        ),
    ]
    for body, expected in cases:
        items = (await kruize.call("GET", "/listExperiments", body, rm="true")).json
        assert {item["experiment_name"] for item in items} == expected, body
    answer = await kruize.call("GET", "/listExperiments", {"cluster_name": "b"}, experiment_name=mine)
    assert answer.said == (400, f'Given experiment name - " {mine} " is not valid')
    (item,) = (await kruize.call("GET", "/listExperiments", {"cluster_name": "a"}, experiment_name=mine)).json
    assert item["experiment_name"] == mine
    for broken in (b"[", b"[]", b"7"):
        answer = await kruize.call("GET", "/listExperiments", broken)
        assert answer.said == (400, "Failed to parse the JSON. Please check the input payload ")


async def test_a_namespace_experiment_is_listed_with_its_namespace(kruize: Kruize) -> None:
    await kruize.create(namespace_experiment(name := new_name()))
    (item,) = (await kruize.get("/listExperiments", experiment_name=name)).json
    assert item["experiment_type"] == "namespace"
    assert item["kubernetes_objects"] == [
        {"namespace": "shop", "containers": {}, "namespaces": {"shop": {"namespace": "shop"}}}
    ]


async def test_a_deleted_experiment_is_gone_with_and_without_rm(kruize: Kruize) -> None:
    names = [new_name(), new_name()]
    await kruize.create(*map(experiment, names))
    for name in names:
        await kruize.store([record(name)])
    for name, params in zip(names, ({}, {"rm": "true"}), strict=True):
        body = [{"experiment_name": name}]
        answer = await kruize.call("DELETE", "/createExperiment", body, **params)
        deleted = "Experiment deleted successfully. View registered experiments at /listExperiments"
        assert answer.said == (201, deleted)
        again = await kruize.call("DELETE", "/createExperiment", body, **params)
        assert again.said == (400, "Experiment not found!")
    assert (await kruize.get("/listExperiments")).json == []
    for table in ("kruize_results", "kruize_containers", "kruize_recommendations"):
        assert await kruize.fetch(f"select from {table}") == []


async def test_an_experiment_made_anew_has_nothing_of_the_one_before(kruize: Kruize) -> None:
    await kruize.create(experiment(name := new_name(), version="1.0"))
    await kruize.store([record(name, 0), record(name, 1)])
    await kruize.call("DELETE", "/createExperiment", [{"experiment_name": name}])
    await kruize.create(experiment(name, version="2.0"))
    assert (await kruize.post("/updateResults", [record(name)])).status == 400
    await kruize.store([record(name, 0, version="2.0")])
    (item,) = (await kruize.get("/listExperiments", experiment_name=name, results="true")).json
    assert list(item["kubernetes_objects"][0]["containers"]["web"]["results"]) == ["2026-11-01T00:15:00.000Z"]


async def test_parameters_of_the_list_are_checked(kruize: Kruize) -> None:
    await kruize.create(experiment(name := new_name()))
    invalid = 'The query param(s) - " [{}] " is/are invalid'
    value = "The query param value(s) is/are invalid"
    cases: list[tuple[dict[str, str], str]] = [
        ({"name": "x"}, invalid.format("name")),
        ({"rm": "true", "b": "1", "a": "1"}, invalid.format("a, b")),
        ({"results": "yes"}, value),
        ({"recommendations": "True"}, value),
        ({"latest": "1"}, value),
        ({"rm": "maybe"}, value),
        ({"experiment_name": "nobody"}, 'Given experiment name - " nobody " is not valid'),
    ]
    said = [(await kruize.get("/listExperiments", **params)).said for params, _ in cases]
    assert said == [(400, text) for _, text in cases]
    allowed = {"experiment_name": name, "results": "", "recommendations": "false", "latest": "true"}
    for params in ({}, allowed, allowed | {"rm": "true"}, {"rm": "false"}):
        assert len((await kruize.get("/listExperiments", **params)).json) == 1


async def test_results_and_recommendations_are_listed_where_asked_for(kruize: Kruize) -> None:
    await kruize.create(experiment(name := new_name()), namespace_experiment(other := new_name()))
    await kruize.store([record(name, number) for number in range(4)])
    await kruize.store([namespace_record(other, number) for number in range(4)])
    await kruize.post(
        "/updateRecommendations", experiment_name=name, interval_end_time="2026-11-01T01:00:00.000Z"
    )
    params = {"results": "true", "recommendations": "true"}
    by_name = {
        item["experiment_name"]: item["kubernetes_objects"][0]
        for item in (await kruize.get("/listExperiments", **params)).json
    }
    web = by_name[name]["containers"]["web"]
    (interval,) = web["results"].values()
    assert (interval["interval_start_time"], interval["interval_end_time"]) == (
        "2026-11-01T00:45:01.000Z",
        "2026-11-01T01:00:00.000Z",
    )
    assert (interval["duration_in_seconds"], interval["duration_in_minutes"]) == (899.0, 899 / 60)
    assert interval["metrics"]["cpuThrottle"] == {
        "name": "cpuThrottle",
        "aggregation_info": {"sum": 0.48, "avg": 0.24, "max": 0.375, "format": "cores"},
        "percentile_results_available": False,
    }
    assert list(web["recommendations"]["data"]) == ["2026-11-01T01:00:00.000Z"]
    pods = by_name[other]["namespaces"]["shop"]["results"]["2026-11-01T01:00:00.000Z"]["metrics"]
    assert set(pods["namespaceTotalPods"]["aggregation_info"]) == {"avg", "max"}
    (item,) = (await kruize.get("/listExperiments", **params, latest="false", experiment_name=name)).json
    assert len(item["kubernetes_objects"][0]["containers"]["web"]["results"]) == 4


async def test_a_long_list_comes_whole(kruize: Kruize) -> None:
    await kruize.create()
    names = sorted(f"{new_name()}{'x' * 400}" for _ in range(420))
    for at in range(0, len(names), 42):
        await asyncio.gather(
            *(kruize.post("/createExperiment", [experiment(name)]) for name in names[at : at + 42])
        )
    answer = await kruize.get("/listExperiments")
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert sorted(item["experiment_name"] for item in answer.json) == names
    assert len((await kruize.get("/listRecommendations")).json) == len(names)


async def test_profiles_in_use_stay(kruize: Kruize) -> None:
    await kruize.create(experiment(name := new_name()))
    answer = await kruize.call("DELETE", "/deletePerformanceProfile", name=profile()["name"])
    name_of_profile = profile()["name"]
    assert answer.said == (
        400,
        f"Performance Profile '{name_of_profile}' cannot be deleted as it is currently associated with 1 experiment.",
    )
    await kruize.call("DELETE", "/createExperiment", [{"experiment_name": name}])
    answer = await kruize.call("DELETE", "/deletePerformanceProfile", name=profile()["name"])
    assert answer.status == 200
