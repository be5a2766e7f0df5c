"""The operations of the API, one row each, and what they have in common.

A row gives the routes, the checks and the description in the OpenAPI document.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Handler

from headrace.web.caller import IDENTITY_SCHEME
from headrace.web.operations import Answer, Body, Dialect, Operation, summary_of
from headrace.web.schemas import TEXT, Json, array, closed, record, reference
from headrace_services.results_aggregator.api_decisions import Decided
from headrace_services.results_aggregator.api_reports import Reports
from headrace_services.results_aggregator.api_schemas import (
    CLUSTER_RECOMMENDATIONS,
    CLUSTERS,
    MANY_REPORTS,
    ORGANIZATIONS,
    RECOMMENDATIONS,
    SCHEMAS,
    ok,
)
from headrace_services.results_aggregator.api_workloads import Workloads
from headrace_services.results_aggregator.bodies import CLUSTER_LIST, RATING, text_body
from headrace_services.results_aggregator.parameters import PARAMETERS, VOTE, Asked

DIALECT: Final = Dialect(
    title="Insights results aggregator",
    version="v1",
    description="The newest report of each cluster, and what users decide about it",
    prefixes=("/api/v1", "/api/insights-results-aggregator/v1"),
    refusals={
        400: "A parameter or the body cannot be used; `status` says which and why.",
        401: "The identity is missing or malformed.",
        403: "The organisation or the cluster is not the caller's.",
        404: "No such thing is stored.",
        408: "The body took too long.",
        413: "The body is too long.",
        503: "PostgreSQL is away; `Retry-After` says when to ask again.",
    },
    error=closed(record(status=TEXT | {"description": "what is wrong"})),
    schemas=SCHEMAS,
    security={"identity": IDENTITY_SCHEME},
    common_refusals=(401,),
    takes_slash=True,
    answers_head=False,
)

_REPORT: Final = "/organizations/{org_id}/clusters/{cluster}/users/{user_id}"
_CLUSTER_RULE: Final = "/clusters/{cluster}/rules/{rule_id}/error_key/{error_key}/organizations/{org_id}"
_RULE: Final = "/rules/{rule_id}/error_key/{error_key}/organizations/{org_id}"
_DISABLED_RULES: Final = {"rules": array(reference("DisabledRule"))}
_WORKLOADS: Final = {"workloads": array(reference("Workload"))}
_NAMING_ORGANISATIONS: Final = {"org_id", "organization", "organizations"}

# A handler that is given the caller and what the path names.
Answering = Callable[[web.Request, Asked], Awaitable[dict[str, Any]]]


@dataclass(frozen=True)
class Rows:
    """Makes the rows; ``serve`` turns a handler of ours into one that checks identity and path first."""

    reports: Reports
    decided: Decided
    workloads: Workloads
    serve: Callable[[Answering], Handler]

    def reading(self) -> list[Operation]:
        """Operations that read reports and recommendations."""
        get, post = partial(self._row, "GET"), partial(self._row, "POST")
        reports, workloads = self.reports, self.workloads
        return [
            get("/", reports.main),
            get("/organizations/{organization}/clusters", reports.clusters, {"clusters": CLUSTERS}),
            get(f"{_REPORT}/report", reports.report, {"report": reference("Report")}, 404),
            get(f"{_REPORT}/report/info", reports.report_info, {"metainfo": reference("ReportInfo")}, 404),
            get(f"{_REPORT}/rules/{{rule}}", reports.rule, {"report": reference("Hit")}, 404),
            get("/organizations/{org_id}/clusters/{cluster_list}/reports", reports.reports, MANY_REPORTS),
            post(
                "/organizations/{org_id}/clusters/reports",
                reports.post_reports,
                MANY_REPORTS,
                body=CLUSTER_LIST,
            ),
            post(
                "/recommendations/organizations/{org_id}/users/{user_id}/list",
                reports.recommendations,
                {"recommendations": RECOMMENDATIONS},
                body=CLUSTER_LIST,
            ),
            post(
                "/clusters/organizations/{org_id}/users/{user_id}/recommendations",
                reports.cluster_recommendations,
                {"clusters": CLUSTER_RECOMMENDATIONS},
                body=CLUSTER_LIST,
            ),
            get(
                "/rules/{rule_selector}/organizations/{org_id}/users/{user_id}/clusters_detail",
                reports.clusters_detail,
                {"clusters": array(reference("HitCluster"))},
                404,
            ),
            get("/organization/{org_id}/workloads", workloads.workloads, _WORKLOADS),
            post("/organization/{org_id}/workloads", workloads.post_workloads, _WORKLOADS, body=CLUSTER_LIST),
            get(
                "/organization/{org_id}/namespace/{namespace}/cluster/{cluster}/workloads",
                workloads.namespace_workloads,
                {"workloads": reference("NamespaceWorkloads")},
                404,
            ),
        ]

    def deciding(self) -> list[Operation]:
        """Operations on what users decide about rules."""
        get, post, put = partial(self._row, "GET"), partial(self._row, "POST"), partial(self._row, "PUT")
        decided = self.decided
        message = text_body("message", decided.max_text_bytes)
        optional_message = text_body("message", decided.max_text_bytes, is_required=False)
        justification = text_body("justification", decided.max_text_bytes)
        of_user = f"{_CLUSTER_RULE}/users/{{user_id}}"
        justified = {"justification": TEXT}
        return [
            put(f"{_CLUSTER_RULE}/enable", decided.enable, {}, 404),
            put(f"{_CLUSTER_RULE}/disable", decided.disable, {}, 404),
            post(
                f"{of_user}/disable_feedback", decided.disable_feedback, {"message": TEXT}, 404, body=message
            ),
            put(f"{of_user}/like", decided.like, {}, 404, body=optional_message),
            put(f"{of_user}/dislike", decided.dislike, {}, 404, body=optional_message),
            put(f"{of_user}/reset_vote", decided.reset_vote, {}, 404, body=optional_message),
            put(f"{_RULE}/enable", decided.enable_system_wide),
            put(f"{_RULE}/disable", decided.disable_system_wide, justified, body=justification),
            post(f"{_RULE}/update", decided.update_system_wide, justified, 404, body=justification),
            get(_RULE, decided.read_system_wide, {"disabledRule": reference("SystemWideDisabledRule")}, 404),
            get("/rules/organizations/{org_id}/disabled", decided.disabled, _DISABLED_RULES),
            post(
                "/rules/organizations/{org_id}/disabled_for_clusters",
                decided.disabled_for_clusters,
                _DISABLED_RULES,
                body=CLUSTER_LIST,
            ),
            get(
                "/clusters/rules/{rule_id}/error_key/{error_key}/organizations/{org_id}/disabled",
                decided.disabled_clusters,
                {"clusters": array(reference("DisabledCluster"))},
            ),
            get(
                "/rules/organizations/{org_id}/disabled_system_wide",
                decided.disabled_system_wide,
                {"disabledRules": array(reference("SystemWideDisabledRule"))},
            ),
            get(
                "/rules/users/{user_id}/disabled/feedback",
                decided.reasons,
                {"reasons": array(reference("DisabledRuleReason"))},
            ),
            post(
                "/rules/organizations/{org_id}/rating",
                decided.rate,
                {"ratings": reference("Rating")},
                body=RATING,
            ),
            get(
                "/rules/{rule_selector}/organizations/{org_id}/rating",
                decided.rating,
                {"rating": reference("Rating")},
                404,
            ),
        ]

    def debugging(self) -> list[Operation]:
        """Operations that exist in debug mode only."""
        get, delete = partial(self._row, "GET"), partial(self._row, "DELETE")
        decided, vote = self.decided, {"vote": VOTE}
        of_rule = "/clusters/{cluster}/rules/{rule_id}/error_key/{error_key}"
        return [
            get(f"{of_rule}/users/{{user_id}}/get_vote", decided.get_vote, vote, 403, 404),
            get(
                f"{_CLUSTER_RULE}/users/{{user_id}}/get_vote",
                decided.get_vote,
                vote,
                404,
                name="get_vote_of_organization",
            ),
            get("/organizations", self.reports.organizations, {"organizations": ORGANIZATIONS}),
            delete("/organizations/{organizations}", decided.delete_organizations),
            delete("/clusters/{clusters}", decided.delete_clusters, {}, 403),
        ]

    def _row(
        self,
        method: str,
        path: str,
        answering: Answering,
        properties: dict[str, Json] | None = None,
        *refusals: int,
        body: Body | None = None,
        name: str = "",
    ) -> Operation:
        """One row; ``refusals`` come on top of those that follow from the path's parameters and the body."""
        parameters = tuple(PARAMETERS[part] for part in re.findall(r"{(\w+)}", path))
        more = {503}
        more |= {400} if parameters or body else set()
        more |= {403} if any(part.name in _NAMING_ORGANISATIONS for part in parameters) else set()
        more |= {408, 413} if body else set()
        return Operation(
            method,
            path,
            self.serve(answering),
            summary_of(answering),
            Answer(ok(**(properties or {}))),
            (*refusals, *more),
            parameters,
            body,
            name or getattr(answering, "__name__", ""),
        )
