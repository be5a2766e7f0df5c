"""Results of the rules engine: topics ``ccx.ocp.results`` and ``ccx.dvo.results``.

Source: RedHatInsights/insights-ccx-messaging (publishers) and RedHatInsights/insights-results-aggregator (consumer).
"""

from typing import Any

from pydantic import Field

from headrace.contracts.message import Message


class RulesResult(Message):
    """One cluster's report. ``LastChecked`` is the announcement's timestamp, verbatim."""

    OrgID: int = Field(ge=0, le=0xFFFF_FFFF)
    AccountNumber: int | None = Field(default=None, ge=0, le=0xFFFF_FFFF)
    ClusterName: str
    Report: dict[str, Any]
    LastChecked: str = ""
    Version: int = 0
    RequestId: str | None = None
    Metadata: dict[str, Any] | None = None

    @property
    def request_id(self) -> str:
        """For the payload's status."""
        return self.RequestId or ""

    @property
    def org_id(self) -> str:
        """For the payload's status."""
        return str(self.OrgID)


class WorkloadsResult(Message):
    """One cluster's recommendations for workloads: topic ``ccx.dvo.results``."""

    OrgID: int = Field(ge=0, le=0xFFFF_FFFF)
    AccountNumber: int | None = Field(default=None, ge=0, le=0xFFFF_FFFF)
    ClusterName: str
    Metrics: dict[str, Any]
    LastChecked: str = ""
    Version: int = 0
    RequestId: str | None = None
