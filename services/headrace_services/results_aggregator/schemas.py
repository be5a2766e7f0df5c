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
    closed,
    mapping,
    nullable,
    record,
    reference,
)
from headrace_services.results_aggregator.parameters import ORG_ID_SCHEMA, VOTE


def ok(**properties: Json) -> Json:
    """The body of a successful answer: a status and these properties."""
    return _whole(status=TEXT, **properties)


def _whole(**properties: Json) -> Json:
    """An object with all of these properties and no others."""
    return closed(record(**properties))


_NULLABLE_MOMENT: Final = _whole(Time=MOMENT, Valid=BOOLEAN)
_CLUSTER_VERSION: Final = _whole(cluster_version=TEXT)
_WORKLOAD: Final[dict[str, Json]] = {
    "cluster": _whole(uuid=UUID, display_name=TEXT),
    "namespace": _whole(uuid=TEXT, name=TEXT),
    "metadata": _whole(
        recommendations=COUNT,
        objects=COUNT,
        reported_at=MOMENT,
        last_checked_at=MOMENT,
        highest_severity=COUNT,
        hits_by_severity=nullable(mapping(COUNT)),
    ),
}

SCHEMAS: Final[Json] = {
    "Hit": _whole(
        component=TEXT,
        key=TEXT,
        user_vote=VOTE,
        disabled=BOOLEAN,
        disable_feedback=TEXT,
        disabled_at=TEXT | {"description": "RFC 3339; empty where the rule is not disabled"},
        details={"description": "what the rule found, in the form that the rule chose"},
        impacted=MOMENT,
    ),
    "Report": _whole(
        meta=_whole(
            cluster_name=TEXT,
            count={"type": "integer", "minimum": -1, "description": "-1 where the cluster has no hit"},
            last_checked_at=MOMENT,
            gathered_at=TEXT | {"description": "RFC 3339; empty where it is not known"},
        ),
        reports=array(reference("Hit")),
    ),
    "ReportInfo": _whole(
        count={"type": "integer", "minimum": -1, "description": "-1 where the cluster has no hit"},
        last_checked_at=MOMENT,
        stored_at=MOMENT,
    ),
    "ClusterRecommendations": _whole(created_at=MOMENT, meta=_CLUSTER_VERSION, recommendations=array(TEXT)),
    "HitCluster": _whole(
        cluster=UUID, cluster_name=TEXT, last_checked_at=MOMENT, impacted=MOMENT, meta=_CLUSTER_VERSION
    ),
    "DisabledRule": _whole(
        ClusterID=UUID,
        RuleID=TEXT,
        ErrorKey=TEXT,
        Disabled={"type": "integer", "enum": [1]},
        DisabledAt=_NULLABLE_MOMENT,
        EnabledAt=_NULLABLE_MOMENT,
        UpdatedAt=_NULLABLE_MOMENT,
    ),
    "DisabledRuleReason": _whole(
        ClusterID=UUID,
        RuleID=TEXT,
        ErrorKey=TEXT,
        Message=TEXT,
        AddedAt=_NULLABLE_MOMENT,
        UpdatedAt=_NULLABLE_MOMENT,
    ),
    "DisabledCluster": _whole(cluster_id=UUID, cluster_name=TEXT, disabled_at=MOMENT, justification=TEXT),
    "SystemWideDisabledRule": _whole(
        org_id=ORG_ID_SCHEMA,
        user_id=TEXT,
        rule_id=TEXT,
        error_key=TEXT,
        justification=TEXT,
        created_at=_NULLABLE_MOMENT,
        updated_at=_NULLABLE_MOMENT,
    ),
    "Rating": _whole(rule=TEXT, rating=VOTE),
    "Workload": _whole(**_WORKLOAD, recommendations_hit_count=mapping(COUNT)),
    "NamespaceWorkloads": _whole(
        status=TEXT,
        **_WORKLOAD,
        recommendations=array(
            _whole(
                check=TEXT | {"description": "`rule|KEY`"},
                details=TEXT,
                resolution=TEXT,
                modified=TEXT,
                more_info=TEXT,
                extra_data=nullable(OBJECT),
                objects=array(_whole(kind=TEXT, uid=TEXT)),
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
