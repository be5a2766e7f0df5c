import json
from typing import Any

import pytest

from headrace.contracts.rules import UnjudgedWorkloads
from headrace.runtime.errors import Poison
from headrace_services.results_aggregator.workloads import cluster_workloads


def workload(space: str, uid: str) -> dict[str, str]:
    return {"namespace": space, "namespace_uid": f"{space}-uid", "kind": "Pod", "name": uid, "uid": uid}


def incoming(*recommendations: Any, metrics: Any = None) -> UnjudgedWorkloads:
    fields = {
        "OrgID": 1,
        "ClusterName": "11111111-2222-4333-8444-555555555555",
        "Metrics": metrics or {"workload_recommendations": list(recommendations)},
        "LastChecked": "2026-11-21T21:28:22Z",
    }
    return UnjudgedWorkloads.from_json(json.dumps(fields).encode())


def recommendation(rule: str, *workloads: Any) -> dict[str, Any]:
    return {"component": f"pack.{rule}.recommendation", "key": "K", "workloads": list(workloads)}


def test_recommendations_are_turned_into_namespaces() -> None:
    found = cluster_workloads(
        incoming(
            recommendation("probes", workload("web", "a"), workload("db", "c"), workload("web", "b")),
            recommendation("limits", workload("web", "a")),
        )
    ).namespaces
    assert {uid: space.name for uid, space in found.items()} == {"web-uid": "web", "db-uid": "db"}
    web = found["web-uid"]
    assert web.objects == {"a", "b"}
    assert json.loads(web.rule_hits_count) == {"pack.probes|K": 2, "pack.limits|K": 1}
    assert json.loads(web.report)["workload_recommendations"] == [
        recommendation("probes", workload("web", "a"), workload("web", "b")),
        recommendation("limits", workload("web", "a")),
    ]
    assert len(found["db-uid"].recommendations) == 1


def test_no_recommendation_is_news_too() -> None:
    assert cluster_workloads(incoming()).namespaces == {}


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        (
            incoming(metrics={"pass": []}),
            "improper report structure, missing key(s) with name '[workload_recommendations]'",
        ),
        (incoming(5), "workload_recommendations: got [5], expected an array of objects"),
        (incoming({"key": "K"}), "workload_recommendations[0].component: got null, expected text"),
        (
            incoming(recommendation("probes", {"uid": "a"})),
            "workload_recommendations[0].workloads[0].namespace_uid: got null, expected text",
        ),
        (
            UnjudgedWorkloads.from_json(b'{"OrgID":1,"ClusterName":"x"}'),
            "missing required attribute 'Metrics'",
        ),
    ],
)
def test_each_fault_says_where_it_is(message: UnjudgedWorkloads, fault: str) -> None:
    with pytest.raises(Poison) as raised:
        cluster_workloads(message)
    assert str(raised.value) == fault
