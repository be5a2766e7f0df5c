"""The messages with reports. No I/O.

Each is one line of JSON with its newline. Its Kafka key is the cluster id, where upstream's messages have none: so the
reports of a cluster stay in order, and no consumer of the value notices. Source: RedHatInsights/insights-ccx-messaging,
ccx_messaging/publishers.
"""

import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from headrace.bus.producer import Outgoing
from headrace.contracts.message import Message
from headrace.contracts.rules import RulesResult, WorkloadInfo, WorkloadsResult
from headrace.rules.evaluation import Evaluation
from headrace.runtime.untrusted import check_json
from headrace_services.rules_engine.messages import Upload

_COMPRESSION_LEVEL: Final = 9
_WORKLOAD_INFO_VERSION: Final = 2

Form = Callable[[Upload, str, Evaluation], Message | None]
"""Builds the message for an upload, its cluster's id and its evaluation; None without content."""


@dataclass(frozen=True)
class Publication:
    """One kind of message and its topic. ``compressed`` messages are gzip, which the topic's consumers must support."""

    topic: str
    form: Form
    compressed: bool = False

    def message(self, upload: Upload, cluster: str, evaluation: Evaluation) -> Outgoing | None:
        """Return the message about an evaluation, equal for equal evaluations; None without content."""
        body = self.form(upload, cluster, evaluation)
        if body is None:
            return None
        value = body.to_json()
        if self.compressed:
            value = gzip.compress(value, _COMPRESSION_LEVEL, mtime=0)
        return Outgoing(self.topic, value, cluster.encode(), ())


def rules_result(upload: Upload, cluster: str, evaluation: Evaluation) -> RulesResult | None:
    """Return the message for ``ccx.ocp.results``, None without a report."""
    if "reports" not in evaluation.report:
        return None
    return RulesResult(
        OrgID=upload.org_id,
        AccountNumber=upload.account,
        ClusterName=cluster,
        Report=_without(evaluation.report, "version", "workload_recommendations"),
        LastChecked=upload.timestamp,
        Version=_version(evaluation),
        RequestId=upload.request_id,
        Metadata={"gathering_time": upload.gathered_at.strftime("%Y-%m-%dT%H:%M:%SZ")},
    )


def workloads_result(upload: Upload, cluster: str, evaluation: Evaluation) -> WorkloadsResult | None:
    """Return the message for ``ccx.dvo.results``, None without recommendations for workloads."""
    if "workload_recommendations" not in evaluation.report:
        return None
    return WorkloadsResult(
        OrgID=upload.org_id,
        ClusterName=cluster,
        Metrics=_without(evaluation.report, "version", "reports"),
        RequestId=upload.request_id,
        LastChecked=upload.timestamp,
        Version=_version(evaluation),
        AccountNumber=upload.account,
    )


def workload_info(upload: Upload, cluster: str, evaluation: Evaluation) -> WorkloadInfo | None:
    """Return the message that passes on config/workload_info.json, None if that is missing or malformed."""
    try:
        text = evaluation.workload_info or b""
        check_json(text)
        images = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return WorkloadInfo(
        OrgID=upload.org_id,
        ClusterName=cluster,
        Images=images,
        LastChecked=upload.timestamp,
        Version=_WORKLOAD_INFO_VERSION,
        RequestId=upload.request_id,
        AccountNumber=upload.account,
    )


FORMS: Final[Mapping[type[Message], Form]] = {
    RulesResult: rules_result,
    WorkloadsResult: workloads_result,
    WorkloadInfo: workload_info,
}
"""The builder of each kind of message."""


def _version(evaluation: Evaluation) -> int:
    version = evaluation.report.get("version", 0)
    return version if isinstance(version, int) else 0


def _without(report: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in report.items() if name not in names}
