import importlib
import json
import pkgutil

import pytest

from headrace.rule_pack import rules as rules_package
from tests.unit.rule_pack.archives import (
    PACK,
    alert,
    condition,
    evaluate,
    events,
    made,
    metrics,
    node,
    outcome,
    pod,
    signing_request,
    version,
    when,
)
from tests.unit.rule_pack.samples import HITS, PASSES, READY, UNKNOWN

NAMES = sorted(module.name for module in pkgutil.iter_modules(rules_package.__path__))
JUDGING = [name for name in NAMES if name != "version_info"]


def module_of(name):
    return importlib.import_module(f"{PACK}.rules.{name}")


def test_every_rule_has_a_sample_that_it_hits_and_one_that_it_passes():
    assert {name for name, _, _ in HITS} == {name for name, _, _ in PASSES} == set(JUDGING)
    assert len(JUDGING) >= 18


@pytest.mark.parametrize(("name", "files", "details"), HITS, ids=[name for name, _, _ in HITS])
def test_it_hits_with_details(name, files, details):
    kind, key, found = outcome(name, files)
    assert (kind, key) == ("reports", module_of(name).ERROR_KEY)
    assert {field: found[field] for field in details} == details
    for field in ("count", "total"):
        assert found.get(field, 1) > 0


@pytest.mark.parametrize(("name", "files", "key"), PASSES, ids=[name for name, _, _ in PASSES])
def test_it_passes(name, files, key):
    assert outcome(name, files)[:2] == ("pass", key)


@pytest.mark.parametrize(("name", "files"), UNKNOWN, ids=[name for name, _ in UNKNOWN])
def test_what_nobody_told_is_no_pass(name, files):
    assert outcome(name, files)[0] in {"skip", None}


def test_a_pass_counts_what_told_and_what_did_not():
    files = {"config/node/a.json": READY, "config/node/b.json": node("worker-1")}
    _, key, details = outcome("nodes_not_ready", files)
    assert (key, details["nodes"], details["untold"]) == ("NODES_READY", 1, 1)
    young = {"config/certificatesigningrequests/a.json": signing_request("a", created=when(minutes=2))}
    assert outcome("signing_requests_pending", young)[2]["pending"] == 1
    silenced = {"config/alerts.json": [alert("Down", "critical", "suppressed")]}
    assert outcome("critical_alerts_firing", silenced)[2]["silenced"] == 1


@pytest.mark.parametrize("name", NAMES)
def test_without_its_files_it_is_skipped_or_silent(name):
    assert outcome(name, {"config/metrics": None})[0] == "skip"


def test_the_version_is_told_for_the_aggregator():
    files = {"config/version.json": version("4.20.1", desired="4.20.2")}
    assert outcome("version_info", files) == (
        "info",
        "CLUSTER_VERSION_INFO",
        {"version": "4.20.1", "type": "info", "info_key": "CLUSTER_VERSION_INFO"},
    )
    entry = evaluate(files).report["info"][0]
    assert entry["info_id"] == "version_info|CLUSTER_VERSION_INFO"


def test_before_the_first_update_is_completed_the_version_is_the_desired_one():
    files = {"config/version.json": version("4.20.1", desired="4.20.1", completed=False)}
    assert outcome("version_info", files)[2]["version"] == "4.20.1"


def test_the_pack_tells_its_version():
    assert (
        evaluate({})
        .report["analysis_metadata"]["plugin_sets"]["headrace_rules_ocp"]["version"]
        .startswith("headrace_rules_ocp-")
    )


def test_details_are_bounded_and_counted():
    name = "n" * 253
    files = {
        f"config/node/{number}.json": node(
            f"{number:04}{name}", condition("Ready", "False", "r" * 9000, "m" * 9000)
        )
        for number in range(1200)
    }
    _, key, details = outcome("nodes_not_ready", files)
    assert (key, details["count"], details["total"]) == ("NODES_NOT_READY", 1200, 1200)
    assert len(details["nodes"]) == 20
    assert len(json.dumps(details)) < 20_000
    assert [one["name"][:4] for one in details["nodes"]] == [f"{number:04}" for number in range(20)]


@pytest.mark.parametrize("name", sorted({name for name, _, _ in HITS}))
def test_a_flood_of_offenders_stays_below_what_insights_core_reports(name):
    files = flood(next(files for one, files, _ in HITS if one == name))
    kind, _, details = outcome(name, files)
    assert kind == "reports"
    assert "max_detail_length_error" not in details
    assert len(str(details)) < 32_000


def flood(files):
    """Copies of each file under other names, of each element of its lists, and text as long as it may be."""
    flooded = {}
    for path, content in files.items():
        for number in range(30):
            folder, _, file = path.rpartition("/")
            flooded[path if number == 0 else f"{folder}/{number}{file}"] = swollen(content, number)
    return flooded


def swollen(value, number):
    match value:
        case {"type": _, "status": _}:
            return value | {"message": value.get("message", "") + "\u20ac" * 999}
        case dict():
            return {
                key: f"{inner}{number}{'x' * 600}" if key == "name" else swollen(inner, number)
                for key, inner in value.items()
            }
        case list():
            return [swollen(inner, number) for inner in value] * 8
        case _:
            return value


def test_the_most_restarted_container_comes_first():
    looping = {"waiting": {"reason": "CrashLoopBackOff"}}
    files = {
        f"config/pod/x/{name}.json": pod(name, state=looping, restarts=restarts)
        for name, restarts in (("a", 3), ("b", 90), ("c", 3))
    }
    details = outcome("pods_crash_looping", files)[2]
    assert [one["pod"] for one in details["containers"]] == ["b", "a", "c"]


def test_active_alerts_are_preferred_to_the_metric():
    files = {
        "config/alerts.json": [alert("Slow")],
        "config/metrics": metrics('ALERTS{alertname="Down",alertstate="firing",severity="critical"} 1'),
    }
    assert outcome("critical_alerts_firing", files)[2]["warnings"] == 1


def test_a_label_may_hold_quotes_braces_and_commas():
    line = r'ALERTS{alertname="Down",text="a \"b\" } , c=\"d\"",alertstate="firing",severity="critical"} 1'
    details = outcome("critical_alerts_firing", {"config/metrics": metrics(line)})[2]
    assert details["alerts"][0]["name"] == "Down"


def test_a_webhook_that_denies_is_one_that_answers():
    files = {"events/demo.json": events('admission webhook "x" denied the request: no')}
    assert outcome("webhooks_failing_closed", files)[0] == "pass"


def test_other_objects_beside_the_operators_of_old_archives_are_passed_over():
    files = {
        "config/clusteroperator/dns": {
            "kind": "DNS",
            "metadata": {"name": "d"},
            "status": {"conditions": [condition("Degraded", "True")]},
        },
        "config/clusteroperator/x": made("ClusterOperator", "x", condition("Degraded", "False")),
    }
    assert outcome("cluster_operators_degraded", files)[:2] == ("pass", "CLUSTER_OPERATORS_NOT_DEGRADED")


def test_a_configured_storage_that_does_not_exist_does_not_pass():
    files = {
        "config/clusteroperator/imageregistry.operator.openshift.io/config/cluster.json": {
            "kind": "Config",
            "metadata": {"name": "cluster"},
            "spec": {"managementState": "Managed", "storage": {"pvc": {"claim": "registry"}}},
            "status": {"conditions": [condition("StorageExists", "False", "PVC not found")]},
        }
    }
    kind, key, found = outcome("image_registry_without_storage", files)
    assert (kind, key, found["storage"]) == ("reports", "IMAGE_REGISTRY_WITHOUT_STORAGE", "pvc")
    assert (found["reason"], found["message"]) == ("PVC not found", "It is so.")
