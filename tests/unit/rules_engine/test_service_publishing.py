import gzip
import json
from typing import Any

import pytest

from headrace.contracts.announcement import UnjudgedAnnouncement
from headrace.contracts.message import Message
from headrace.contracts.rules import RulesResult
from headrace.rules.evaluation import Evaluation
from headrace_services.rules_engine.messages import Upload, upload_of
from headrace_services.rules_engine.publishing import (
    Publication,
    rules_result,
    workload_info,
    workloads_result,
)
from tests.unit.rules_engine.test_service_messages import CLUSTER, record

REPORT: dict[str, Any] = {"system": {"metadata": {}, "hostname": None}, "reports": [], "fingerprints": []}


def evaluated(report: Any = None, workloads: bytes | None = None) -> Evaluation:
    return Evaluation(
        report=REPORT | {"version": 2} if report is None else report,
        cluster_id=None, hypershift=False, workload_info=workloads, remote_configuration_version=None,
        exceptions=(), skips=(), context=None, empty_because=None, on_disk=None, seconds=0.0,
    )  # fmt: skip


def body_of(result: Message | None) -> dict[str, Any]:
    """What is on the wire."""
    assert result is not None
    return json.loads(result.to_json())


@pytest.fixture
def upload() -> Upload:
    return upload_of(UnjudgedAnnouncement.from_json(record(request_id="b44bfb83")))


def test_a_rules_result_has_upstreams_fields_in_upstreams_order(upload):
    body = body_of(rules_result(upload, CLUSTER, evaluated()))
    assert list(body.items()) == [
        ("OrgID", 12383032),
        ("AccountNumber", 6212377),
        ("ClusterName", CLUSTER),
        ("Report", REPORT),
        ("LastChecked", "2020-01-23T16:15:59.478901889Z"),
        ("Version", 2),
        ("RequestId", "b44bfb83"),
        ("Metadata", {"gathering_time": "2020-01-23T16:15:59Z"}),
    ]


def test_what_is_not_known_is_null_or_absent():
    upload = upload_of(UnjudgedAnnouncement.from_json(record({"internal": {"org_id": "1"}})))
    body = body_of(rules_result(upload, CLUSTER, evaluated(REPORT)))
    assert "AccountNumber" not in body
    assert (body["RequestId"], body["Version"]) == (None, 0)


def test_a_report_without_reports_gives_no_message(upload):
    assert rules_result(upload, CLUSTER, evaluated({"version": 2})) is None
    assert Publication("t", rules_result).message(upload, CLUSTER, evaluated({})) is None


def test_recommendations_for_workloads_are_a_message_of_their_own(upload):
    recommendations = [{"key": "K", "workloads": []}]
    evaluation = evaluated(REPORT | {"version": 2, "workload_recommendations": recommendations})
    assert body_of(rules_result(upload, CLUSTER, evaluation))["Report"] == REPORT
    body = body_of(workloads_result(upload, CLUSTER, evaluation))
    assert list(body) == [
        "OrgID", "ClusterName", "Metrics", "RequestId", "LastChecked", "Version", "AccountNumber"
    ]  # fmt: skip
    assert body["Metrics"]["workload_recommendations"] == recommendations
    assert not {"reports", "version"} & body["Metrics"].keys()
    assert workloads_result(upload, CLUSTER, evaluated()) is None


def test_workload_info_is_passed_on(upload):
    body = body_of(workload_info(upload, CLUSTER, evaluated(workloads=b'{"pods": 1}')))
    assert (body["Images"], body["Version"]) == ({"pods": 1}, 2)
    assert body_of(workload_info(upload, CLUSTER, evaluated(workloads=b"null")))["Images"] is None
    assert workload_info(upload, CLUSTER, evaluated()) is None
    assert workload_info(upload, CLUSTER, evaluated(workloads=b"{")) is None


def test_a_message_is_a_line_keyed_by_the_cluster(upload):
    message = Publication("results", rules_result).message(upload, CLUSTER, evaluated())
    assert (message.topic_name, message.key, message.headers) == ("results", CLUSTER.encode(), ())
    assert message.value.endswith(b"}\n")
    assert message.value.count(b"\n") == 1


def test_a_compressed_message_is_gzip_of_the_same_line(upload):
    plain, packed = (
        Publication("t", rules_result, compressed).message(upload, CLUSTER, evaluated()).value
        for compressed in (False, True)
    )
    assert gzip.decompress(packed) == plain
    assert (
        packed == Publication("t", rules_result, compressed=True).message(upload, CLUSTER, evaluated()).value
    )


def test_integers_of_any_length_are_written():
    result = RulesResult(OrgID=1, ClusterName=CLUSTER, Report={"n": 2**70})
    assert body_of(result)["Report"] == {"n": 2**70}
