import json
from typing import Any

import pytest

from headrace.contracts.rules import UnjudgedResult
from headrace.runtime.errors import Poison
from headrace_services.results_aggregator.reports import EmptyReport, cluster_report

WHOLE: dict[str, Any] = {"system": {"metadata": {}, "hostname": None}, "reports": [], "fingerprints": []}
HIT: dict[str, Any] = {"component": "pack.rules.nodes.report", "key": "SMALL", "details": {"nodes": ["n1"]}}
VERSION: dict[str, Any] = {
    "info_id": "version_info|CLUSTER_VERSION_INFO", "details": {"version": "4.16.3"}
}  # fmt: skip


def incoming(report: Any) -> UnjudgedResult:
    fields = {
        "OrgID": 1,
        "ClusterName": "11111111-2222-4333-8444-555555555555",
        "Report": report,
        "LastChecked": "2026-11-21T21:28:22Z",
    }
    return UnjudgedResult.from_json(json.dumps(fields).encode())


def test_a_report_is_taken_apart() -> None:
    other = {"component": "pack.rules.etcd.report", "key": "SLOW"}
    found = cluster_report(
        incoming(WHOLE | {"reports": [HIT, other, HIT], "info": [{"info_id": "x"}, VERSION]})
    )
    assert found.hits.rule_fqdn == ["pack.rules.nodes.report", "pack.rules.etcd.report"]
    assert found.hits.error_key == ["SMALL", "SLOW"]
    assert found.hits.template_data == ['{"nodes":["n1"]}', "null"]
    assert found.hits.repeated == 1
    assert found.cluster_version == "4.16.3"
    assert json.loads(found.text)["reports"] == [HIT, other, HIT]


def test_a_report_without_hits_is_a_report() -> None:
    found = cluster_report(incoming(WHOLE))
    assert found.hits.rule_fqdn == []
    assert found.cluster_version is None


@pytest.mark.parametrize(
    "report",
    [
        {},
        {"reports": [], "fingerprints": []},
        {"system": {"metadata": {"a": 1}, "hostname": None}, "reports": []},
        {"system": {"hostname": ""}, "fingerprints": [], "info": [], "pass": {}},
        {"analysis_metadata": {"start": "2026"}},
        {"skips": None},
    ],
)
def test_a_report_of_no_rules_is_empty(report: dict[str, Any]) -> None:
    with pytest.raises(EmptyReport):
        cluster_report(incoming(report))


@pytest.mark.parametrize(
    ("report", "missing"),
    [
        ({"reports": [HIT]}, "fingerprints system"),
        ({"system": {"hostname": "h"}}, "fingerprints reports"),
        ({"system": {}, "fingerprints": [], "info": [VERSION]}, "reports"),
        ({"fingerprints": [1], "reports": []}, "system"),
    ],
)
def test_a_report_with_something_but_not_everything_is_improper(report: dict[str, Any], missing: str) -> None:
    with pytest.raises(Poison) as raised:
        cluster_report(incoming(report))
    assert str(raised.value) == f"improper report structure, missing key(s) with name '[{missing}]'"


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"reports": {}}, "reports: got {}, expected an array"),
        ({"reports": [HIT, 5]}, "reports[1]: got 5, expected an object"),
        ({"reports": [{"key": "K"}]}, "reports[0].component: got null, expected text"),
        ({"reports": [HIT | {"key": ""}]}, 'reports[0].key: got "", expected text'),
        ({"reports": [HIT | {"key": "k\0"}]}, "reports[0].key: contains a NUL character"),
        ({"reports": [HIT | {"key": "\ud800"}]}, "reports[0].key: surrogates not allowed"),
        ({"reports": [HIT | {"key": "k" * 1001}]}, "reports[0].key: got 1001 bytes, expected at most 1000"),
        ({"info": "x"}, 'info: got "x", expected an array'),
        ({"info": [VERSION | {"details": {"version": 4}}]}, "the cluster's version: got 4, expected text"),
    ],
)
def test_each_fault_says_where_it_is(changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(Poison) as raised:
        cluster_report(incoming(WHOLE | changes))
    assert str(raised.value) == fault
