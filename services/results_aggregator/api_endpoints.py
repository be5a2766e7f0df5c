"""The routes below a prefix: one table, from which the router and the OpenAPI document are made."""

from dataclasses import dataclass, field
from typing import Final

from services.results_aggregator.openapi_schemas import (
    CLUSTER_RECOMMENDATIONS,
    CLUSTERS,
    CLUSTERS_OR_NULL,
    ORGANIZATIONS,
    RECOMMENDATIONS,
    REPORTS,
    TEXT,
    VOTE,
    Json,
    array,
    reference,
)

PREFIXES: Final = ("/api/v1", "/api/insights-results-aggregator/v1")


@dataclass(frozen=True)
class Endpoint:
    """One route: ``operation`` names its handler, ``answer`` is what it gives beside the status."""

    operation: str
    method: str
    path: str
    summary: str
    answer: Json = field(default_factory=dict)
    # What it takes: one of the forms of `bodies`.
    body: str = ""
    body_required: bool = True
    # Which of 403 and 404 it knows: whose organisation the path names, and things that may not be there.
    has_foreign: bool = True
    has_unknown: bool = False
    is_debug: bool = False


_REPORT: Final = "organizations/{org_id}/clusters/{cluster}/users/{user_id}"
_CLUSTER_RULE: Final = "clusters/{cluster}/rules/{rule_id}/error_key/{error_key}/organizations/{org_id}"
_RULE: Final = "rules/{rule_id}/error_key/{error_key}/organizations/{org_id}"
_DISABLED_RULES: Final = {"rules": array(reference("DisabledRule"))}
_MANY_REPORTS: Final = {
    "clusters": CLUSTERS_OR_NULL,
    "errors": CLUSTERS_OR_NULL,
    "reports": REPORTS,
    "generated_at": TEXT,
}

_READING: Final = (
    Endpoint("main", "GET", "", "The API answers", has_foreign=False),
    Endpoint(
        "clusters",
        "GET",
        "organizations/{organization}/clusters",
        "The clusters that reported lately",
        {"clusters": CLUSTERS},
    ),
    Endpoint(
        "report",
        "GET",
        f"{_REPORT}/report",
        "A cluster's hits, with what was decided about them",
        {"report": reference("Report")},
        has_unknown=True,
    ),
    Endpoint(
        "report_info",
        "GET",
        f"{_REPORT}/report/info",
        "How many hits, and when",
        {"metainfo": reference("ReportInfo")},
        has_unknown=True,
    ),
    Endpoint(
        "rule",
        "GET",
        f"{_REPORT}/rules/{{rule_selector}}",
        "One hit",
        {"report": reference("Hit")},
        has_unknown=True,
    ),
    Endpoint(
        "reports",
        "GET",
        "organizations/{org_id}/clusters/{cluster_list}/reports",
        "Several clusters' reports as they were received",
        _MANY_REPORTS,
    ),
    Endpoint(
        "post_reports",
        "POST",
        "organizations/{org_id}/clusters/reports",
        "Several clusters' reports as they were received",
        _MANY_REPORTS,
        body="clusters",
    ),
    Endpoint(
        "recommendations",
        "POST",
        "recommendations/organizations/{org_id}/users/{user_id}/list",
        "Clusters by the rule that hits them",
        {"recommendations": RECOMMENDATIONS},
        body="clusters",
    ),
    Endpoint(
        "cluster_recommendations",
        "POST",
        "clusters/organizations/{org_id}/users/{user_id}/recommendations",
        "Rules by the cluster that they hit",
        {"clusters": CLUSTER_RECOMMENDATIONS},
        body="clusters",
    ),
    Endpoint(
        "clusters_detail",
        "GET",
        "rules/{rule_selector}/organizations/{org_id}/users/{user_id}/clusters_detail",
        "The clusters that a rule hits",
        {"clusters": array(reference("HitCluster"))},
        has_unknown=True,
    ),
    Endpoint(
        "workloads",
        "GET",
        "organization/{org_id}/workloads",
        "Namespaces with recommendations for their workloads",
        {"workloads": array(reference("Workload"))},
    ),
    Endpoint(
        "post_workloads",
        "POST",
        "organization/{org_id}/workloads",
        "The same of these clusters",
        {"workloads": array(reference("Workload"))},
        body="clusters",
    ),
    Endpoint(
        "namespace_workloads",
        "GET",
        "organization/{org_id}/namespace/{namespace}/cluster/{cluster}/workloads",
        "The recommendations for one namespace's workloads",
        {"workloads": reference("NamespaceWorkloads")},
        has_unknown=True,
    ),
)
_DECIDING: Final = (
    *(
        Endpoint(
            name,
            "PUT",
            f"{_CLUSTER_RULE}/{name}",
            f"{name.capitalize()} a rule for a cluster",
            has_unknown=True,
        )
        for name in ("enable", "disable")
    ),
    Endpoint(
        "disable_feedback",
        "POST",
        f"{_CLUSTER_RULE}/users/{{user_id}}/disable_feedback",
        "Why a rule is disabled for a cluster",
        {"message": TEXT},
        body="message",
        has_unknown=True,
    ),
    *(
        Endpoint(
            name,
            "PUT",
            f"{_CLUSTER_RULE}/users/{{user_id}}/{name}",
            "Vote on a rule",
            body="message",
            body_required=False,
            has_unknown=True,
        )
        for name in ("like", "dislike", "reset_vote")
    ),
    Endpoint("enable_system_wide", "PUT", f"{_RULE}/enable", "Enable a rule for all clusters"),
    Endpoint(
        "disable_system_wide",
        "PUT",
        f"{_RULE}/disable",
        "Disable a rule for all clusters",
        {"justification": TEXT},
        body="justification",
    ),
    Endpoint(
        "update_system_wide",
        "POST",
        f"{_RULE}/update",
        "Say anew why a rule is disabled for all clusters",
        {"justification": TEXT},
        body="justification",
        has_unknown=True,
    ),
    Endpoint(
        "read_system_wide",
        "GET",
        _RULE,
        "A rule that is disabled for all clusters",
        {"disabledRule": reference("SystemWideDisabledRule")},
        has_unknown=True,
    ),
    Endpoint(
        "disabled",
        "GET",
        "rules/organizations/{org_id}/disabled",
        "Rules disabled for a cluster",
        _DISABLED_RULES,
    ),
    Endpoint(
        "disabled_for_clusters",
        "POST",
        "rules/organizations/{org_id}/disabled_for_clusters",
        "Rules disabled for one of these clusters",
        _DISABLED_RULES,
        body="clusters",
    ),
    Endpoint(
        "disabled_clusters",
        "GET",
        "clusters/rules/{rule_id}/error_key/{error_key}/organizations/{org_id}/disabled",
        "The clusters for which a rule is disabled",
        {"clusters": array(reference("DisabledCluster"))},
    ),
    Endpoint(
        "disabled_system_wide",
        "GET",
        "rules/organizations/{org_id}/disabled_system_wide",
        "Rules disabled for all clusters",
        {"disabledRules": array(reference("SystemWideDisabledRule"))},
    ),
    Endpoint(
        "reasons",
        "GET",
        "rules/users/{user_id}/disabled/feedback",
        "Why a user disabled rules",
        {"reasons": array(reference("DisabledRuleReason"))},
        has_foreign=False,
    ),
    Endpoint(
        "rate",
        "POST",
        "rules/organizations/{org_id}/rating",
        "Rate a rule",
        {"ratings": reference("Rating")},
        body="rating",
    ),
    Endpoint(
        "rating",
        "GET",
        "rules/{rule_selector}/organizations/{org_id}/rating",
        "A rule's rating",
        {"rating": reference("Rating")},
        has_unknown=True,
    ),
)
_DEBUGGING: Final = (
    *(
        Endpoint(
            operation,
            "GET",
            f"{path}/users/{{user_id}}/get_vote",
            "A user's vote on a rule",
            {"vote": VOTE},
            has_unknown=True,
            is_debug=True,
        )
        for operation, path in (
            ("get_vote", "clusters/{cluster}/rules/{rule_id}/error_key/{error_key}"),
            ("get_vote_of_organization", _CLUSTER_RULE),
        )
    ),
    Endpoint(
        "organizations",
        "GET",
        "organizations",
        "Organisations that have a report",
        {"organizations": ORGANIZATIONS},
        has_foreign=False,
        is_debug=True,
    ),
    Endpoint(
        "delete_organizations",
        "DELETE",
        "organizations/{organizations}",
        "Forget everything about organisations",
        is_debug=True,
    ),
    Endpoint(
        "delete_clusters",
        "DELETE",
        "clusters/{clusters}",
        "Forget everything about clusters",
        is_debug=True,
    ),
)


def endpoints(*, debug: bool) -> tuple[Endpoint, ...]:
    """Those that ask who it is; the open ones are the API's own."""
    return (*_READING, *_DECIDING, *(_DEBUGGING if debug else ()))
