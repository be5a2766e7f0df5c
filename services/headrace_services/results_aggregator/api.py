"""The aggregator's REST, as clients of upstream's know it; nobody sees or changes what is another organisation's.

A row gives an operation's routes, its checks and its description in the OpenAPI document.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Handler

from headrace.database.pool import Database
from headrace.rules.catalogue import NOTHING_KNOWN, Catalogue
from headrace.web.admin import scrape
from headrace.web.caller import IDENTITY_SCHEME
from headrace.web.errors import json_errors, json_response
from headrace.web.operations import Answer, Body, Dialect, Operation, Operations, summary_of
from headrace.web.parameters import Parameter
from headrace.web.schemas import TEXT, Json, array, closed, mapping, record, reference
from headrace_services.results_aggregator import metrics
from headrace_services.results_aggregator.api_clusters import LISTED_CLUSTERS, Clusters
from headrace_services.results_aggregator.api_clusters import PARAMETERS as LIST_PARAMETERS
from headrace_services.results_aggregator.api_clusters import SCHEMAS as CLUSTER_SCHEMAS
from headrace_services.results_aggregator.api_content import DIALECT as CONTENT_DIALECT
from headrace_services.results_aggregator.api_content import RulesContent
from headrace_services.results_aggregator.api_decisions import Decided
from headrace_services.results_aggregator.api_reports import Reports
from headrace_services.results_aggregator.api_workloads import Workloads
from headrace_services.results_aggregator.bodies import CLUSTER_LIST, MAX_BODY_BYTES, RATING, text_body
from headrace_services.results_aggregator.callers import Answering, identify, of_own_organisation
from headrace_services.results_aggregator.decisions import Decisions
from headrace_services.results_aggregator.parameters import OF_ORGANISATION, PARAMETERS, VOTE, read_path
from headrace_services.results_aggregator.queries import Queries
from headrace_services.results_aggregator.refusals import error_body, forbidden
from headrace_services.results_aggregator.schemas import (
    CLUSTER_RECOMMENDATIONS,
    CLUSTERS,
    MANY_REPORTS,
    ORGANIZATIONS,
    RECOMMENDATIONS,
    SCHEMAS,
    ok,
)
from headrace_services.results_aggregator.settings import AggregatorSettings

# The forms that upstream's tables have.
_DATABASE_VERSION: Final = "32"
_WORKLOADS_DATABASE_VERSION: Final = "5"
# What the build's branch, commit and time are where nobody set them.
_NOT_SET: Final = "*not set*"

_DIALECT: Final = Dialect(
    title="Insights results aggregator",
    version="v1",
    description="The newest report of each cluster, and users' decisions about it",
    prefixes=("/api/v1", "/api/insights-results-aggregator/v1"),
    refusals={
        400: "A parameter or the body is invalid; `status` says which and why.",
        401: "The identity is missing or malformed.",
        403: "The organisation or the cluster does not belong to the client.",
        404: "The requested data does not exist.",
        408: "The body arrived too slowly.",
        413: "The body is too long.",
        503: "PostgreSQL is away; `Retry-After` says when to retry.",
    },
    error=closed(record(status=TEXT | {"description": "what is wrong"})),
    schemas=SCHEMAS | CLUSTER_SCHEMAS,
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


@dataclass(frozen=True)
class Api:
    """Every route. With ``lenient`` a request without identity acts for the organisation in its path."""

    database: Database
    settings: AggregatorSettings
    lenient: bool = False
    catalogue: Catalogue = NOTHING_KNOWN

    def application(self) -> web.Application:
        """Below both prefixes, with and without a slash at the end."""
        app = web.Application(
            middlewares=[_measured, _in_go_form, json_errors(error_body)], client_max_size=MAX_BODY_BYTES
        )
        self.operations().add_to(app)
        self.content_operations().add_to(app)
        return app

    def content_operations(self) -> Operations:
        """Every operation of upstream's smart proxy that is served here."""
        content = RulesContent(Queries(self.database), self.catalogue)
        return Operations(CONTENT_DIALECT, content.operations(self._serving))

    def operations(self) -> Operations:
        """Every operation; those for debugging only in debug mode."""
        queries, settings = Queries(self.database), self.settings
        rows = _Rows(
            Reports(queries, settings.org_overview_limit_hours),
            Decided(queries, Decisions(self.database), settings.maximum_feedback_message_length),
            Workloads(queries, self.catalogue),
            Clusters(queries, self.catalogue),
            self._serving,
        )
        prometheus = Answer(TEXT, media_type="text/plain")
        return Operations(
            _DIALECT,
            [
                Operation(
                    "GET", "/info", self.info, "Show version information", Answer(ok(info=mapping(TEXT)))
                ),
                Operation(
                    "GET",
                    "/metrics",
                    scrape,
                    summary_of(scrape),
                    prometheus,
                    name="metrics",
                    is_public=True,
                ),
                *rows.reading(),
                *rows.deciding(),
                *(rows.debugging() if settings.debug else ()),
            ],
        )

    async def info(self, request: web.Request) -> web.Response:
        """What is running."""
        self._caller(request)
        about = {
            "BuildBranch": _NOT_SET,
            "BuildCommit": _NOT_SET,
            "BuildTime": _NOT_SET,
            "BuildVersion": version("headrace"),
            "UtilsVersion": version("headrace"),
            "DB_version": _DATABASE_VERSION,
            "OCP_DB_version": _DATABASE_VERSION,
            "DVO_DB_version": _WORKLOADS_DATABASE_VERSION,
        }
        return json_response({"status": "ok", "info": about})

    def _caller(self, request: web.Request) -> int | None:
        return identify(request.headers, lenient=self.lenient) if self.settings.auth else None

    def _serving(self, answering: Answering) -> Handler:
        async def handle(request: web.Request) -> web.Response:
            caller = self._caller(request)
            asked = read_path(request.match_info, caller)
            if asked.org_id and caller is not None and asked.org_id != caller:
                raise forbidden(asked.org_id, caller)
            return json_response({"status": "ok"} | await answering(request, asked))

        return handle


@dataclass(frozen=True)
class _Rows:
    """Makes the rows; ``serve`` turns a handler of ours into one that checks identity and path first."""

    reports: Reports
    decided: Decided
    workloads: Workloads
    clusters: Clusters
    serve: Callable[[Answering], Handler]

    def reading(self) -> list[Operation]:
        """Operations that read reports and recommendations."""
        get, post = partial(self._row, "GET"), partial(self._row, "POST")
        reports, workloads, clusters = self.reports, self.workloads, self.clusters
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
            self._own("/headrace/clusters", clusters.listed_clusters, LISTED_CLUSTERS, *LIST_PARAMETERS),
            self._own(
                "/headrace/clusters/{cluster}",
                clusters.described_cluster,
                {"cluster": reference("DescribedCluster")},
            ),
            self._own(
                "/headrace/requests/{request_id}",
                clusters.reports_of_request,
                {"reports": array(reference("ReportOfRequest"))},
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

    def _own(
        self,
        path: str,
        answering: Answering,
        properties: dict[str, Json],
        *parameters: Parameter[Any],
    ) -> Operation:
        """A row of ours, about the client's own organisation, which no path of ours names."""
        named = tuple(PARAMETERS[part] for part in re.findall(r"{(\w+)}", path))
        return Operation(
            "GET",
            path,
            self.serve(of_own_organisation(answering)),
            summary_of(answering),
            Answer(ok(**properties)),
            (400, 403, 404, 503) if "{cluster}" in path else (400, 403, 503),
            (*named, OF_ORGANISATION, *parameters),
            None,
            getattr(answering, "__name__", ""),
        )

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


@web.middleware
async def _measured(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count and time every answer by its route, never by what a client wrote in the path."""
    began = time.perf_counter()
    resource = request.match_info.route.resource
    endpoint = resource.canonical if resource else "unmatched"
    metrics.REQUESTS.labels(endpoint).inc()
    response = await handler(request)
    metrics.RESPONSE_TIME.labels(endpoint).observe((time.perf_counter() - began) * 1e6)
    metrics.STATUS_CODES.labels(response.status).inc()
    return response


@web.middleware
async def _in_go_form(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What upstream's router answers itself, and the type as its writer names it.

    A browser's question before the real one carries no identity.
    """
    refused = request.match_info.http_exception
    if isinstance(refused, web.HTTPNotFound):
        return web.Response(status=refused.status, text="404 page not found\n")
    if request.method == "OPTIONS" and isinstance(refused, web.HTTPMethodNotAllowed):
        return web.Response(headers={"Allow": refused.headers["Allow"]})
    response = await handler(request)
    if response.content_type == "application/json":
        response.charset = "utf-8"
    return response
