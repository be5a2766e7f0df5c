"""The schemas of the answers."""

from typing import Final

from headrace.web.schemas import (
    BOOLEAN,
    COUNT,
    MOMENT,
    OBJECT,
    TEXT,
    UUID,
    Json,
    array,
    mapping,
    nullable,
    reference,
    whole,
)
from headrace_services.results_aggregator.parameters import ORG_ID_SCHEMA, VOTE


def ok(**properties: Json) -> Json:
    """The body of a successful answer: a status and these properties."""
    return whole(status=TEXT, **properties)


_NULLABLE_MOMENT: Final = whole(Time=MOMENT, Valid=BOOLEAN)
_CLUSTER_VERSION: Final = whole(cluster_version=TEXT)
_WORKLOAD: Final[dict[str, Json]] = {
    "cluster": whole(uuid=UUID, display_name=TEXT),
    "namespace": whole(uuid=TEXT, name=TEXT),
    "metadata": whole(
        recommendations=COUNT,
        objects=COUNT,
        reported_at=MOMENT,
        last_checked_at=MOMENT,
        highest_severity=COUNT,
        hits_by_severity=nullable(mapping(COUNT)),
    ),
}

SCHEMAS: Final[Json] = {
    "Hit": whole(
        component=TEXT,
        key=TEXT,
        user_vote=VOTE,
        disabled=BOOLEAN,
        disable_feedback=TEXT,
        disabled_at=TEXT | {"description": "RFC 3339; empty if the rule is not disabled"},
        details={"description": "what the rule found, in the form that the rule chose"},
        impacted=MOMENT,
    ),
    "Report": whole(
        meta=whole(
            cluster_name=TEXT,
            count={"type": "integer", "minimum": -1, "description": "-1 if the cluster has no hit"},
            last_checked_at=MOMENT,
            gathered_at=TEXT | {"description": "RFC 3339; empty if it is not known"},
        ),
        reports=array(reference("Hit")),
    ),
    "ReportInfo": whole(
        count={"type": "integer", "minimum": -1, "description": "-1 if the cluster has no hit"},
        last_checked_at=MOMENT,
        stored_at=MOMENT,
    ),
    "ClusterRecommendations": whole(created_at=MOMENT, meta=_CLUSTER_VERSION, recommendations=array(TEXT)),
    "HitCluster": whole(
        cluster=UUID, cluster_name=TEXT, last_checked_at=MOMENT, impacted=MOMENT, meta=_CLUSTER_VERSION
    ),
    "DisabledRule": whole(
        ClusterID=UUID,
        RuleID=TEXT,
        ErrorKey=TEXT,
        Disabled={"type": "integer", "enum": [1]},
        DisabledAt=_NULLABLE_MOMENT,
        EnabledAt=_NULLABLE_MOMENT,
        UpdatedAt=_NULLABLE_MOMENT,
    ),
    "DisabledRuleReason": whole(
        ClusterID=UUID,
        RuleID=TEXT,
        ErrorKey=TEXT,
        Message=TEXT,
        AddedAt=_NULLABLE_MOMENT,
        UpdatedAt=_NULLABLE_MOMENT,
    ),
    "DisabledCluster": whole(cluster_id=UUID, cluster_name=TEXT, disabled_at=MOMENT, justification=TEXT),
    "SystemWideDisabledRule": whole(
        org_id=ORG_ID_SCHEMA,
        user_id=TEXT,
        rule_id=TEXT,
        error_key=TEXT,
        justification=TEXT,
        created_at=_NULLABLE_MOMENT,
        updated_at=_NULLABLE_MOMENT,
    ),
    "Rating": whole(rule=TEXT, rating=VOTE),
    "Workload": whole(**_WORKLOAD, recommendations_hit_count=mapping(COUNT)),
    "NamespaceWorkloads": whole(
        status=TEXT,
        **_WORKLOAD,
        recommendations=array(
            whole(
                check=TEXT | {"description": "`rule|KEY`"},
                details=TEXT,
                resolution=TEXT,
                modified=TEXT,
                more_info=TEXT,
                extra_data=nullable(OBJECT),
                objects=array(whole(kind=TEXT, uid=TEXT)),
            )
        ),
    ),
}

CLUSTERS: Final = array(UUID)
_CLUSTERS_OR_NULL: Final = nullable(CLUSTERS)
ORGANIZATIONS: Final = array(ORG_ID_SCHEMA)
MANY_REPORTS: Final[dict[str, Json]] = {
    "clusters": _CLUSTERS_OR_NULL,
    "errors": _CLUSTERS_OR_NULL,
    "reports": mapping(OBJECT),
    "generated_at": TEXT,
}
RECOMMENDATIONS: Final = mapping(CLUSTERS)
CLUSTER_RECOMMENDATIONS: Final = mapping(reference("ClusterRecommendations"))
