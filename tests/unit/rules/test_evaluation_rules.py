import gc
import json
import pickle
import sys

import pytest

from headrace.rules.evaluation import Evaluation, Rules, RulesConfig
from tests.unit.rules import evaluation_archives as archives
from tests.unit.rules.evaluation_processes import evaluations, in_new_process

PACK = "tests.unit.rules.evaluation_pack"
CLUSTER_ID = "11111111-2222-4333-8444-555555555555"


@pytest.fixture(scope="module")
def rules() -> Rules:
    return Rules.load(RulesConfig((f"{PACK}.rules",), target_components=(f"{PACK}.rules",)))


@pytest.fixture(scope="module")
def demo(rules) -> Evaluation:
    return rules.evaluate(archives.demo())


def facts(rules: Rules, **files: bytes) -> Evaluation:
    return rules.evaluate(archives.tar({"demo/marker.txt": b""} | files))


def test_an_evaluation_crosses_a_pipe_unchanged(demo):
    assert pickle.loads(pickle.dumps(demo)) == demo  # noqa: S301
    assert json.loads(json.dumps(demo.report)) == demo.report


def test_the_context_is_named(demo):
    assert (
        demo.context == f"{PACK}.specs.DemoContext" == demo.report["analysis_metadata"]["execution_context"]
    )
    assert demo.on_disk is demo.empty_because is None
    assert 0 < demo.seconds < 60


def test_metadata_keys_are_at_the_top_and_metadata_below_system(demo):
    assert demo.report["version"] == 2
    assert demo.report["system"] == {"metadata": {"size": 3, "tuple": [1, 2]}, "hostname": None}


def test_rules_that_fail_are_told_with_where_they_did(demo):
    failures = dict(demo.exceptions)
    text = failures[f"{PACK}.rules.fails_itself"]
    assert text.startswith("ValueError: 6 lines (")
    assert text.rpartition(":")[0].endswith("evaluation_pack/rules.py")
    assert failures[f"{PACK}.rules.of_the_wrong_kind"].startswith(
        "Exception: rules must return Response objects."
    )
    assert f"{PACK}.rules.report_absent" not in failures


def test_rules_that_could_not_run_are_told_with_what_they_missed(demo):
    skips = dict(demo.skips)
    assert skips[f"{PACK}.rules.report_absent"] == f"All: ['{PACK}.rules.Shown_absent'] Any: "
    assert f"{PACK}.rules.report_text" not in skips
    assert "skips" not in demo.report


def test_an_archive_packed_again_says_why_its_report_is_empty(rules):
    evaluation = rules.evaluate(archives.tar({"demo/marker.txt": b"", "demo/text.txt": b"1", "log.gz": b""}))
    assert "'log.gz' at its top" in evaluation.empty_because
    assert evaluation.context is None
    assert evaluation.report["reports"] == []


def test_facts_of_an_operators_archive(rules):
    files = {
        "config/id": CLUSTER_ID.encode() + b"\n",
        "config/infrastructure.json": b"{}",
        "config/workload_info.json": b'{"pods": 1}',
        "insights-operator/remote-configuration.json": b'{"version": "1.2.3"}',
    }
    found = facts(rules, **files)
    assert (found.cluster_id, found.hypershift) == (CLUSTER_ID, True)
    assert (found.workload_info, found.remote_configuration_version) == (b'{"pods": 1}', "1.2.3")


@pytest.mark.parametrize("content", [b"", b"1234", b"x" * 36, b"\xff" * 40, CLUSTER_ID.encode()[:35]])
def test_what_is_no_uuid_is_no_cluster(rules, content):
    assert facts(rules, **{"config/id": content}).cluster_id is None


@pytest.mark.parametrize(("content", "version"), [(b"{}", "None"), (b"[]", "None"), (b"{", None)])
def test_a_remote_configuration_without_a_version(rules, content, version):
    found = facts(rules, **{"insights-operator/remote-configuration.json": content})
    assert found.remote_configuration_version == version


def test_an_archive_without_any_of_it(demo):
    assert (demo.cluster_id, demo.hypershift) == (None, False)
    assert (demo.workload_info, demo.remote_configuration_version) == (None, None)


def test_what_json_cannot_hold_is_left_out_with_its_reason():
    config = RulesConfig((f"{PACK}.unreportable",))
    found = in_new_process(evaluations, config, {"demo": archives.demo()})["demo"]
    assert [entry["key"] for entry in found.report["reports"]] == ["FINE", "WITH_NAN"]
    assert found.report["reports"][1]["details"]["ratio"] is None
    assert found.report["info"] == []
    assert found.report["system"]["metadata"] == {"even": 2}
    failures = dict(found.exceptions)
    unfit = "its response is not JSON: Object of type"
    assert failures[f"{PACK}.unreportable.with_an_object"].startswith(f"{unfit} Odd")
    assert failures[f"{PACK}.unreportable.with_a_set"].startswith(f"{unfit} set")
    assert failures["metadata odd"].startswith(f"{unfit} Odd")


def test_real_files_are_gone_afterwards(tmp_path):
    target = (f"{PACK}.on_disk",)
    config = RulesConfig(target, target_components=target, extract_directory=str(tmp_path))
    uploads = {"on disk": archives.on_disk(), "in memory": archives.demo()}
    found = in_new_process(evaluations, config, uploads)
    assert found["on disk"].on_disk is not None
    assert len(found["on disk"].report["info"]) == 3
    assert list(tmp_path.iterdir()) == []


def test_seeds_are_what_rules_may_ask_for(rules):
    assert rules.evaluate(archives.demo(), seeds={"org_id": "1", "cluster_id": None}).report["reports"]


def test_nothing_is_left_that_only_the_collector_could_find(rules):
    """Exceptions hold frames, frames hold brokers, brokers hold whole archives."""
    uploads = [archives.demo(), archives.demo("top/"), archives.tar({"x/log.gz": b"", "top.gz": b""})]
    for upload in uploads:
        rules.evaluate(upload)
    gc.collect()
    gc.disable()
    try:
        before = len(gc.get_objects())
        for _ in range(20):
            for upload in uploads:
                rules.evaluate(upload)
        after = len(gc.get_objects())
    finally:
        gc.enable()
    assert after - before < 500


def test_tracebacks_are_short_only_while_it_runs(rules):
    rules.evaluate(archives.demo())
    assert not hasattr(sys, "tracebacklimit")


def test_opening_a_path_of_the_archive_by_other_means_is_not_a_file_error():
    from headrace.rules.evaluation.virtual import ROOT, NeedsDisk, was_needed, watch_paths

    watch_paths()
    was_needed()
    with pytest.raises(NeedsDisk):
        open(f"{ROOT}/x")  # noqa: PTH123, SIM115
    assert was_needed()
    assert not was_needed()
    with pytest.raises(FileNotFoundError):
        open("/nonexistent/elsewhere")  # noqa: PTH123, SIM115
