"""How an Insights Operator archive is told, and when it was gathered."""

import tarfile
from datetime import date, timedelta

import pytest
from insights.core import dr, hydration

from headrace.rule_pack import lifecycle
from headrace.rule_pack.rules import nodes_not_ready
from headrace.rules.contexts import InsightsOperatorContext
from headrace.samples import KINDS, SampleOptions
from tests.unit.rule_pack.archives import (
    NOW,
    PACK,
    alert,
    certificate,
    condition,
    evaluate,
    node,
    outcome,
    packed,
    rules,
    version,
    when,
)


@pytest.mark.parametrize(
    ("files", "root"),
    [
        (["/x/insights-operator/gathers.json"], "/x"),
        (["/x/insights-operator/gathering.json", "/x/y/insights-operator/gathers.json"], "/x"),
        (["/insights-operator/gathering-metadata.json"], "/"),
        (["/x/config/id", "/x/config/version"], "/x"),
        (["/x/config/id", "/x/config/version.json"], "/x"),
        (["/x/config/version.json"], None),
        (["/x/config/id", "/y/config/version.json"], None),
        (["/x/sos_commands/a", "/x/config/identity"], None),
        ([], None),
    ],
)
def test_it_is_told_by_what_the_operator_writes_alone(files, root):
    expected = (root, InsightsOperatorContext) if root else (None, None)
    assert InsightsOperatorContext.handles(files) == expected


def test_an_archive_of_another_kind_is_not_judged():
    evaluation = rules().evaluate(packed({"insights-operator/gathers.json": None, "sos_commands/date": b"x"}))
    assert evaluation.report["reports"] == []
    assert evaluation.context != f"{PACK}.contexts.InsightsOperatorContext"


@pytest.mark.parametrize(
    ("files", "ahead"),
    [
        ({}, 0),
        ({"config/metrics": None, "config/alerts.json": [alert("A")]}, 0),
        ({"config/metrics": b"", "config/node/a.json": node("a", condition("Ready", "True"))}, 0),
        (
            {"config/metrics": None, "config/version.json": version("4.20.1", condition("Failing", "False"))},
            3,
        ),
    ],
    ids=["metrics", "alerts", "nodes", "conditions"],
)
def test_the_moment_of_judgement_is_the_archives_own(files, ahead):
    # The end of 30 days is exact to the second where the witness is.
    expires = NOW + timedelta(days=30, hours=-ahead)
    for late, kind in ((-60, "reports"), (90, "pass")):
        moment = (expires + timedelta(seconds=late)).strftime("%Y-%m-%dT%H:%M:%SZ")
        certificates = {"aggregated/ingress_controllers_certs.json": [certificate("x", moment)]}
        assert outcome("certificates_expiring", files | certificates)[0] == kind


def test_without_any_time_what_needs_one_is_skipped():
    files = {
        "config/metrics": None,
        "aggregated/ingress_controllers_certs.json": [certificate("x", when(days=4))],
        "config/version.json": version("4.1.1"),
    }
    assert outcome("certificates_expiring", files)[0] == outcome("version_end_of_life", files)[0] == "skip"


def test_the_table_of_versions_is_whole_and_in_order():
    minors = sorted(lifecycle.TABLE)
    assert minors == [(4, minor) for minor in range(1, minors[-1][1] + 1)]
    assert all(
        c.extended_ends is None or c.extended_ends > c.maintenance_ends for c in lifecycle.TABLE.values()
    )
    assert date(2026, 1, 1) < lifecycle.AS_OF


@pytest.mark.parametrize(
    ("text", "minor"),
    [
        ("4.16.12", (4, 16)),
        ("4.17.0-rc.1", (4, 17)),
        ("4.9", (4, 9)),
        ("4", None),
        ("x", None),
        ("4.1234.1", None),
    ],
)
def test_versions_are_read(text, minor):
    assert lifecycle.minor_of(text) == minor


def test_what_is_no_version_is_not_judged():
    assert outcome("version_end_of_life", {"config/version.json": version("latest")})[0] is None


def test_the_sample_shows_troubles_and_health(tmp_path):
    path = KINDS["insights"].generate(tmp_path, SampleOptions())[0]
    evaluation = rules().evaluate(path.read_bytes())
    assert evaluation.exceptions == ()
    assert evaluation.on_disk is None
    hits = {entry["key"] for entry in evaluation.report["reports"]}
    passes = {entry["key"] for entry in evaluation.report["pass"]}
    assert hits == {
        "CERTIFICATES_EXPIRING",
        "CLUSTER_OPERATORS_DEGRADED",
        "CLUSTER_OPERATORS_UNAVAILABLE",
        "CLUSTER_UPDATE_FAILING",
        "CRITICAL_ALERTS_FIRING",
        "IMAGES_WITHOUT_DIGEST",
        "IMAGE_REGISTRY_WITHOUT_STORAGE",
        "NODES_NOT_READY",
        "PODS_CRASH_LOOPING",
        "PODS_OOM_KILLED",
        "SIGNING_REQUESTS_PENDING",
        "VERSION_END_OF_LIFE",
    }
    assert len(passes) == 8
    assert [entry["key"] for entry in evaluation.report["info"]] == ["CLUSTER_VERSION_INFO"]


def test_insights_core_itself_finds_the_files_on_disk(tmp_path):
    rules()
    path = KINDS["insights"].generate(tmp_path, SampleOptions())[0]
    with tarfile.open(path) as archive:
        archive.extractall(tmp_path / "x", filter="data")
    context, broker = hydration.initialize_broker(str(tmp_path / "x"))
    assert isinstance(context, InsightsOperatorContext)
    found = dr.run(dr.get_dependency_graph(nodes_not_ready.report), broker)[nodes_not_ready.report]
    assert [one["name"] for one in found["nodes"]] == ["worker-1.demo.example.com"]


def test_a_cluster_of_more_nodes_than_insights_core_would_read_is_judged():
    files = {f"config/node/{n}.json": node(f"n{n}", condition("Ready", "True")) for n in range(1500)}
    entries = evaluate(files).report["pass"]
    assert {"NODES_READY": 1500}.items() <= {
        one["key"]: one["details"].get("nodes") for one in entries
    }.items()
