"""The API's OpenAPI document, made from the tables that the API itself reads its parameters by."""

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from services.ros_api.listings import CONTAINERS, ENGINES, NAMESPACES, TERMS, WORKLOADS, Collection
from services.ros_api.parameters import DEFAULT_LIMIT, DIRECTIONS, FALSE, FORMATS, TRUE, UNLIMITED
from services.ros_api.units import CPU_UNITS, MEMORY_UNITS

Json = dict[str, Any]

OPENSHIFT: Final = "/api/cost-management/v1/recommendations/openshift"
ROS: Final = "/api/ros/v1"

_TEXT: Final[Json] = {"type": "string"}
# PostgreSQL's text has no NUL.
_VALUE: Final[Json] = {"type": "string", "pattern": "^[^\\u0000]*$"}
_UUID: Final[Json] = {"type": "string", "format": "uuid"}
_MOMENT: Final[Json] = {"type": "string", "format": "date-time"}
_LAST_REPORTED: Final[Json] = _MOMENT | {"nullable": True}
_COUNT: Final[Json] = {"type": "integer", "minimum": 0}
_HOURS: Final[Json] = {"type": "number", "minimum": 0}


def _object(required: Sequence[str] = (), *, closed: bool = False, **properties: Json) -> Json:
    schema: Json = {"type": "object", "properties": properties}
    schema |= {"required": list(required)} if required else {}
    return schema | {"additionalProperties": False} if closed else schema


def _reference(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _whole(**properties: Json) -> Json:
    """All of these and nothing else."""
    return _object(tuple(properties), closed=True, **properties)


def _page_of(item: str) -> Json:
    return _whole(
        data={"type": "array", "items": _reference(item)},
        meta=_whole(count=_COUNT, limit={"type": "integer", "minimum": UNLIMITED}, offset=_COUNT),
        links=_object(("first", "last"), closed=True, first=_TEXT, previous=_TEXT, next=_TEXT, last=_TEXT),
    )


_CLUSTER: Final[dict[str, Json]] = {
    "cluster_alias": _TEXT, "cluster_uuid": _TEXT, "source_id": _TEXT, "last_reported": _LAST_REPORTED
}  # fmt: skip
_WORKLOAD: Final[dict[str, Json]] = {"project": _TEXT, "workload": _TEXT, "workload_type": _TEXT}

_SCHEMAS: Final[Json] = {
    "Status": _whole(**{"api-server": _TEXT}),
    "Error": _whole(status={"type": "string", "enum": ["error", "not_found"]}, message=_TEXT),
    "Amount": _object(amount={"type": "number"}, format=_TEXT),
    "Resources": _object(cpu=_reference("Amount"), memory=_reference("Amount")),
    "Config": _object(requests=_reference("Resources"), limits=_reference("Resources")),
    "Notifications": {
        "type": "object",
        "additionalProperties": _object(type=_TEXT, message=_TEXT, code={"type": "integer"}),
    },
    "Engine": _object(
        config=_reference("Config"),
        variation=_reference("Config"),
        notifications=_reference("Notifications"),
    ),
    "Term": _object(
        duration_in_hours=_HOURS,
        monitoring_start_time=_MOMENT,
        notifications=_reference("Notifications"),
        recommendation_engines={
            "type": "object",
            "properties": {engine: _reference("Engine") for engine in ENGINES},
        },
        plots={"type": "object", "description": "box plots of the usage; in a single recommendation only"},
    ),
    "Recommendation": _object(
        monitoring_end_time=_MOMENT,
        current=_reference("Config"),
        notifications=_reference("Notifications"),
        recommendation_terms={
            "type": "object",
            "properties": {term: _reference("Term") for term in TERMS},
        },
    ),
    "Container": _whole(
        id=_UUID, **_CLUSTER, **_WORKLOAD, container=_TEXT, recommendations=_reference("Recommendation")
    ),
    "Namespace": _whole(id=_UUID, **_CLUSTER, project=_TEXT, recommendations=_reference("Recommendation")),
    "Workload": _whole(
        id={"type": "integer", "format": "int64"},
        **_CLUSTER,
        **_WORKLOAD,
        experiment_name=_TEXT,
        containers={"type": "array", "items": _TEXT},
        metrics_upload_at=_LAST_REPORTED,
    ),
    "Containers": _page_of("Container"),
    "Namespaces": _page_of("Namespace"),
    "Workloads": _page_of("Workload"),
}

_FAILURES: Final = {
    "400": "a parameter cannot be used; the message names it",
    "401": "no identity, or a bad one",
    "403": "RBAC lets the user see nothing",
    "404": "no such recommendation",
    "406": "there is no CSV of this",
    "503": "PostgreSQL or RBAC is away; Retry-After says when to ask again",
}
_DETAIL_FAILURES: Final = ("400", "401", "403", "404", "503")
_LIST_FAILURES: Final = ("400", "401", "403", "503")


def _parameter(name: str, schema: Json, description: str = "", *, where: str = "query") -> Json:
    item: Json = {"name": name, "in": where, "required": where == "path", "schema": schema}
    return item | {"description": description} if description else item


def _or_empty(values: Sequence[str], default: str) -> Json:
    """A parameter without a value counts as not given."""
    return {"type": "string", "enum": [*values, ""], "default": default}


_IDENTITY: Final = _parameter("X-Rh-Identity", _TEXT, "base64 of JSON", where="header")
_RECOMMENDATION_ID: Final = _parameter("recommendation_id", _UUID, where="path")


def _units(memory: str) -> list[Json]:
    return [
        _parameter("cpu-unit", _or_empty(list(CPU_UNITS), "cores")),
        _parameter("memory-unit", _or_empty(list(MEMORY_UNITS), memory)),
        _parameter(
            "true-units", _or_empty((*TRUE, *FALSE), "false"), "units' own names, not Kubernetes' spelling"
        ),
    ]


def _filters(collection: Collection, max_values: int) -> list[Json]:
    found = []
    for name, item in collection.filters.items():
        value = _or_empty(collection.types, "") if item.kind == "type" else _VALUE
        values = {"type": "array", "items": value, "maxItems": max_values}
        meaning = "equal" if item.kind == "type" else "contained"
        if item.kind == "cluster":
            meaning = "a UUID, or contained in the alias"
        found += [
            _parameter(name, values, f"any of these: {meaning}; or any of the exact ones"),
            _parameter(f"filter[{name}]", values, f"the same as {name}"),
            _parameter(f"filter[exact:{name}]", values, "any of these: equal"),
            _parameter(f"exclude[{name}]", values, "none of these; must not be asked for as well"),
        ]
    return found


def _listing(collection: Collection, max_values: int, window: str) -> list[Json]:
    day: Json = {"anyOf": [{"type": "string", "format": "date"}, {"type": "string", "maxLength": 0}]}
    return [
        _IDENTITY,
        _parameter(
            "limit",
            {"type": "integer", "minimum": UNLIMITED, "default": DEFAULT_LIMIT},
            "-1 is all; what is no number counts as not given",
        ),
        _parameter("offset", {"type": "integer", "default": 0}, "what is no number or negative counts as 0"),
        _parameter("order_by", _or_empty(list(collection.sorts), collection.default_sort)),
        _parameter("order_how", _or_empty(DIRECTIONS, "desc"), "in any case"),
        _parameter("format", _or_empty(FORMATS, "json"), "where the Accept header names neither"),
        _parameter("start_date", day, f"first day of {collection.moment.partition('.')[2]}{window}"),
        _parameter("end_date", day, "last day, included"),
        *_filters(collection, max_values),
        *_units("bytes"),
    ]


def _detail(collection: Collection) -> list[Json]:
    return [_RECOMMENDATION_ID, _IDENTITY, *_units(collection.detail_memory)]


def _get(
    operation: str, summary: str, schema: str, parameters: Sequence[Json], *failures: str, csv: bool = False
) -> Json:
    def answer(description: str, name: str) -> Json:
        return {"description": description, "content": {"application/json": {"schema": _reference(name)}}}

    responses = {"200": answer(summary, schema)} | {
        code: answer(_FAILURES[code], "Error") for code in failures
    }
    if csv:
        responses["200"]["content"]["text/csv"] = {"schema": _TEXT}
    return {
        "get": {
            "operationId": operation,
            "summary": summary,
            "parameters": list(parameters),
            "responses": responses,
        }
    }


@cache
def document(max_values: int) -> Json:
    """The document; a filter takes so many values."""
    window = ", without it that of this month"
    containers = _listing(CONTAINERS, max_values, window)
    open_json = {
        "200": {"description": "This", "content": {"application/json": {"schema": {"type": "object"}}}}
    }
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "Resource optimization for OpenShift",
            "version": "v1",
            "description": "Workloads and what their containers and namespaces should request",
        },
        "paths": {
            "/status": _get("getStatus", "The API is alive", "Status", ()),
            f"{OPENSHIFT}/openapi.json": {"get": {"operationId": "getOpenapi", "responses": open_json}},
            OPENSHIFT: _get(
                "getRecommendationList", "Containers", "Containers", containers, *_LIST_FAILURES, csv=True
            ),
            f"{OPENSHIFT}/container": _get(
                "getContainerList", "Containers", "Containers", containers, *_LIST_FAILURES, csv=True
            ),
            f"{OPENSHIFT}/container/{{recommendation_id}}": _get(
                "getContainerById", "A container", "Container", _detail(CONTAINERS), *_DETAIL_FAILURES
            ),
            f"{OPENSHIFT}/namespace": _get(
                "getNamespaceList",
                "Namespaces",
                "Namespaces",
                _listing(NAMESPACES, max_values, window),
                *_LIST_FAILURES,
                "406",
            ),
            f"{OPENSHIFT}/namespace/{{recommendation_id}}": _get(
                "getNamespaceById", "A namespace", "Namespace", _detail(NAMESPACES), *_DETAIL_FAILURES
            ),
            f"{OPENSHIFT}/{{recommendation_id}}": _get(
                "getRecommendationById", "A container", "Container", _detail(CONTAINERS), *_DETAIL_FAILURES
            ),
            f"{ROS}/recommendations": _get(
                "getStoredRecommendations",
                "Containers, of any time",
                "Containers",
                _listing(CONTAINERS, max_values, ""),
                *_LIST_FAILURES,
                csv=True,
            ),
            f"{ROS}/workloads": _get(
                "getWorkloads",
                "Workloads, those without a recommendation too",
                "Workloads",
                _listing(WORKLOADS, max_values, ""),
                *_LIST_FAILURES,
                "406",
            ),
        },
        "components": {"schemas": _SCHEMAS},
    }
