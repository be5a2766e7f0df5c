"""The messages that reports become. No I/O.

Each is one line of JSON, its newline included. They carry the cluster id as Kafka key, where upstream's have none: the
reports of a cluster stay in order on their way, and no consumer of the value can tell.
Source: RedHatInsights/insights-ccx-messaging, ccx_messaging/publishers.
"""

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import orjson

from headrace.bus.producer import Outgoing
from headrace.rules.evaluation import Evaluation
from headrace.runtime.untrusted import check_json
from headrace_services.rules_engine.messages import Upload

_COMPRESSION_LEVEL: Final = 9
_WORKLOAD_INFO_VERSION: Final = 2

Form = Callable[[Upload, str, Evaluation], dict[str, Any] | None]
"""Of an upload, its cluster's id and its evaluation; None where there is nothing to say."""


@dataclass(frozen=True)
class Publication:
    """One kind of message and its topic. ``compressed``: gzip, as consumers of that topic must expect."""

    topic: str
    form: Form
    compressed: bool = False

    def message(self, upload: Upload, cluster: str, evaluation: Evaluation) -> Outgoing | None:
        """The message about an evaluation; equal for equal evaluations."""
        body = self.form(upload, cluster, evaluation)
        if body is None:
            return None
        value = to_line(body)
        if self.compressed:
            value = gzip.compress(value, _COMPRESSION_LEVEL, mtime=0)
        return Outgoing(self.topic, value, cluster.encode(), ())


def rules_result(upload: Upload, cluster: str, evaluation: Evaluation) -> dict[str, Any] | None:
    """Make the message for ``ccx.ocp.results``."""
    if "reports" not in evaluation.report:
        return None
    return {
        "OrgID": upload.org_id,
        **_account(upload),
        "ClusterName": cluster,
        "Report": _without(evaluation.report, "version", "workload_recommendations"),
        "LastChecked": upload.timestamp,
        "Version": _version(evaluation),
        "RequestId": upload.request_id,
        "Metadata": {"gathering_time": upload.gathered_at.strftime("%Y-%m-%dT%H:%M:%SZ")},
    }


def workloads_result(upload: Upload, cluster: str, evaluation: Evaluation) -> dict[str, Any] | None:
    """Make the message for ``ccx.dvo.results``: recommendations for workloads."""
    if "workload_recommendations" not in evaluation.report:
        return None
    return {
        "OrgID": upload.org_id,
        "ClusterName": cluster,
        "Metrics": _without(evaluation.report, "version", "reports"),
        "RequestId": upload.request_id,
        "LastChecked": upload.timestamp,
        "Version": _version(evaluation),
        **_account(upload),
    }


def workload_info(upload: Upload, cluster: str, evaluation: Evaluation) -> dict[str, Any] | None:
    """Make the message that passes on config/workload_info.json: which images run where."""
    try:
        text = evaluation.workload_info or b""
        check_json(text)
        images = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return {
        "OrgID": upload.org_id,
        "ClusterName": cluster,
        "Images": images,
        "LastChecked": upload.timestamp,
        "Version": _WORKLOAD_INFO_VERSION,
        "RequestId": upload.request_id,
        **_account(upload),
    }


def to_line(body: dict[str, Any]) -> bytes:
    """Encode as one line."""
    try:
        return orjson.dumps(body, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # integers beyond 64 bits
        return json.dumps(body).encode() + b"\n"


def _account(upload: Upload) -> dict[str, int]:
    return {} if upload.account is None else {"AccountNumber": upload.account}


def _version(evaluation: Evaluation) -> int:
    version = evaluation.report.get("version", 0)
    return version if isinstance(version, int) else 0


def _without(report: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in report.items() if name not in names}
