"""The parts of the OpenAPI document: forms of parameters, bodies and answers."""

from typing import Any, Final

from services.results_aggregator.parameters import (
    MAX_CLUSTERS,
    MAX_NAMESPACE_CHARACTERS,
    MAX_ORG_ID,
    MAX_RULE_CHARACTERS,
    MAX_USER_CHARACTERS,
)

Json = dict[str, Any]

TEXT: Final[Json] = {"type": "string"}
_BOOLEAN: Final[Json] = {"type": "boolean"}
_COUNT: Final[Json] = {"type": "integer", "minimum": 0}
_MOMENT: Final[Json] = {"type": "string", "format": "date-time"}
_UUID: Final[Json] = {"type": "string", "format": "uuid"}
_ORG_ID: Final[Json] = {"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_ORG_ID}
VOTE: Final[Json] = {"type": "integer", "enum": [-1, 0, 1]}
_OBJECT: Final[Json] = {"type": "object"}
_NAME: Final = f"[a-zA-Z_0-9.]{{1,{MAX_RULE_CHARACTERS}}}"
_RULE: Final[Json] = {"type": "string", "pattern": f"^{_NAME}$", "maxLength": MAX_RULE_CHARACTERS}
_SELECTOR: Final[Json] = {"type": "string", "pattern": rf"^{_NAME}\|{_NAME}$"}


def array(items: Json, **more: Any) -> Json:
    """A list."""
    return {"type": "array", "items": items, **more}


def whole(**properties: Json) -> Json:
    """All of these and nothing else."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def or_null(schema: Json) -> Json:
    """Or nothing."""
    return {**schema, "type": [schema["type"], "null"]}


def reference(name: str) -> Json:
    """One of `SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


def _map_of(values: Json) -> Json:
    return {"type": "object", "additionalProperties": values}


def _joined(item: str) -> Json:
    return {"type": "string", "pattern": f"^{item}(,{item})*$"}


_HEX_UUID: Final = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"

# By the name a path gives them.
PARAMETERS: Final[dict[str, Json]] = {
    "org_id": _ORG_ID,
    "organization": _ORG_ID,
    "organizations": _joined("[1-9][0-9]{0,8}") | {"description": "organisations, comma-separated"},
    "cluster": _UUID,
    "clusters": _joined(_HEX_UUID) | {"description": "clusters, comma-separated"},
    "cluster_list": _joined(_HEX_UUID) | {"description": "clusters, comma-separated"},
    "user_id": {
        "type": "string",
        "pattern": r"^[^\u0000\s]+$",
        "minLength": 1,
        "maxLength": MAX_USER_CHARACTERS,
    },
    "rule_id": _RULE | {"description": "the rule's component, with or without `.report`"},
    "error_key": _RULE,
    "rule_selector": _SELECTOR | {"description": "`rule|KEY`, the rule with or without `.report`"},
    "namespace": {
        "type": "string",
        "pattern": r"^[^\u0000\n]+$",
        "minLength": 1,
        "maxLength": MAX_NAMESPACE_CHARACTERS,
    },
}

_CLUSTER_LIST: Final = array(_UUID, maxItems=MAX_CLUSTERS)
# PostgreSQL's text has no NUL.
_PLAIN_TEXT: Final = or_null({"type": "string", "pattern": r"^[^\u0000]*$"})


def bodies(max_bytes: int) -> dict[str, Json]:
    """What can be sent; texts of so many bytes."""
    text = _PLAIN_TEXT | {
        "maxLength": max_bytes,
        "description": f"at most {max_bytes} bytes in UTF-8",
    }
    return {
        "clusters": {
            "oneOf": [
                _CLUSTER_LIST,
                {**_OBJECT, "properties": {"clusters": _CLUSTER_LIST}, "required": ["clusters"]},
            ]
        },
        "message": {**_OBJECT, "properties": {"message": text}},
        "justification": {**_OBJECT, "properties": {"justification": text}},
        "rating": {
            **_OBJECT,
            "properties": {"rule": _SELECTOR, "rating": VOTE},
            "required": ["rule", "rating"],
        },
    }


_NULLABLE_MOMENT: Final = whole(Time=_MOMENT, Valid=_BOOLEAN)
_CLUSTER_VERSION: Final = whole(cluster_version=TEXT)
_WORKLOAD: Final[dict[str, Json]] = {
    "cluster": whole(uuid=_UUID, display_name=TEXT),
    "namespace": whole(uuid=TEXT, name=TEXT),
    "metadata": whole(
        recommendations=_COUNT,
        objects=_COUNT,
        reported_at=_MOMENT,
        last_checked_at=_MOMENT,
        highest_severity=_COUNT,
        hits_by_severity=or_null(_map_of(_COUNT)),
    ),
}

SCHEMAS: Final[Json] = {
    "Failure": whole(status=TEXT | {"description": "what is wrong"}),
    "Hit": whole(
        component=TEXT,
        key=TEXT,
        user_vote=VOTE,
        disabled=_BOOLEAN,
        disable_feedback=TEXT,
        disabled_at=TEXT | {"description": "RFC 3339; empty where the rule is not disabled"},
        details={"description": "whatever the rule says"},
        impacted=_MOMENT,
    ),
    "Report": whole(
        meta=whole(
            cluster_name=TEXT,
            count={"type": "integer", "minimum": -1, "description": "-1: no hit"},
            last_checked_at=_MOMENT,
            gathered_at=TEXT | {"description": "RFC 3339; empty where it is not known"},
        ),
        reports=array(reference("Hit")),
    ),
    "ReportInfo": whole(
        count={"type": "integer", "minimum": -1, "description": "-1: no hit"},
        last_checked_at=_MOMENT,
        stored_at=_MOMENT,
    ),
    "ClusterRecommendations": whole(created_at=_MOMENT, meta=_CLUSTER_VERSION, recommendations=array(TEXT)),
    "HitCluster": whole(
        cluster=_UUID, cluster_name=TEXT, last_checked_at=_MOMENT, impacted=_MOMENT, meta=_CLUSTER_VERSION
    ),
    "DisabledRule": whole(
        ClusterID=_UUID,
        RuleID=TEXT,
        ErrorKey=TEXT,
        Disabled={"type": "integer", "enum": [1]},
        DisabledAt=_NULLABLE_MOMENT,
        EnabledAt=_NULLABLE_MOMENT,
        UpdatedAt=_NULLABLE_MOMENT,
    ),
    "DisabledRuleReason": whole(
        ClusterID=_UUID,
        RuleID=TEXT,
        ErrorKey=TEXT,
        Message=TEXT,
        AddedAt=_NULLABLE_MOMENT,
        UpdatedAt=_NULLABLE_MOMENT,
    ),
    "DisabledCluster": whole(cluster_id=_UUID, cluster_name=TEXT, disabled_at=_MOMENT, justification=TEXT),
    "SystemWideDisabledRule": whole(
        org_id=_ORG_ID,
        user_id=TEXT,
        rule_id=TEXT,
        error_key=TEXT,
        justification=TEXT,
        created_at=_NULLABLE_MOMENT,
        updated_at=_NULLABLE_MOMENT,
    ),
    "Rating": whole(rule=TEXT, rating=VOTE),
    "Workload": whole(**_WORKLOAD, recommendations_hit_count=_map_of(_COUNT)),
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
                extra_data=or_null(_OBJECT),
                objects=array(whole(kind=TEXT, uid=TEXT)),
            )
        ),
    ),
}

CLUSTERS: Final = array(_UUID)
CLUSTERS_OR_NULL: Final = or_null(CLUSTERS)
ORGANIZATIONS: Final = array(_ORG_ID)
REPORTS: Final = _map_of(_OBJECT)
RECOMMENDATIONS: Final = _map_of(CLUSTERS)
CLUSTER_RECOMMENDATIONS: Final = _map_of(reference("ClusterRecommendations"))
INFO: Final = _map_of(TEXT)
