"""The API's OpenAPI document: what Kruize's clients in the resource optimization use."""

from importlib.metadata import version
from typing import Any, Final

from services.kruize.settings import KruizeSettings

Json = dict[str, Any]

_TEXT: Final[Json] = {"type": "string"}
_MOMENT: Final[Json] = {"type": "string", "description": "UTC, such as 2026-01-01T00:00:00.000Z"}
_FLAG: Final[Json] = {"type": "string", "enum": ["true", "false"]}
_LIST: Final[Json] = {"type": "array", "items": {"type": "object"}}
_ANSWERED: Final[Json] = {
    "type": "object",
    "required": ["message", "httpcode", "documentationLink", "status"],
    "properties": {
        "message": _TEXT,
        "httpcode": {"type": "integer"},
        "documentationLink": _TEXT,
        "status": {"type": "string", "enum": ["SUCCESS", "ERROR"]},
        "data": {"description": "which records failed, and why"},
    },
}
_EXPERIMENT: Final[Json] = {
    "type": "object",
    "required": [
        "experiment_name",
        "cluster_name",
        "performance_profile",
        "mode",
        "target_cluster",
        "version",
    ],
    "properties": {
        "version": _TEXT,
        "experiment_name": _TEXT,
        "cluster_name": _TEXT,
        "performance_profile": _TEXT,
        "mode": {"type": "string", "enum": ["monitor"]},
        "target_cluster": {"type": "string", "enum": ["remote"]},
        "kubernetes_objects": {"type": "array", "minItems": 1, "maxItems": 1, "items": {"type": "object"}},
        "trial_settings": {"type": "object", "properties": {"measurement_duration": _TEXT}},
        "recommendation_settings": {"type": "object", "properties": {"threshold": _TEXT}},
    },
}
_RECORD: Final[Json] = {
    "type": "object",
    "required": ["experiment_name", "interval_start_time", "interval_end_time", "kubernetes_objects"],
    "properties": {
        "version": _TEXT,
        "experiment_name": _TEXT,
        "interval_start_time": _MOMENT,
        "interval_end_time": _MOMENT,
        "kubernetes_objects": {"type": "array", "items": {"type": "object"}},
    },
}
_PROFILE: Final[Json] = {
    "type": "object",
    "required": ["name", "profile_version", "slo"],
    "properties": {
        "name": _TEXT,
        "profile_version": {"type": "number"},
        "k8s_type": _TEXT,
        "slo": {
            "type": "object",
            "required": ["direction", "objective_function", "function_variables"],
            "properties": {"function_variables": {"type": "array", "items": {"type": "object"}}},
        },
    },
}


def document(settings: KruizeSettings) -> Json:
    """The document; ``settings`` give the limits."""
    return {
        "openapi": "3.0.3",
        "info": {"title": "Kruize", "version": version("headrace"), "license": {"name": "Apache-2.0"}},
        "paths": {
            "/health": {"get": _operation("The database answers", {"200": _plain("UP")})},
            "/metrics": {"get": _operation("The metrics of the process", {"200": _plain("Prometheus' text")})},
            "/openapi.json": {"get": _operation("This document", {"200": _json({"type": "object"})})},
            "/createExperiment": {
                "post": _sending("Register an experiment", _one("Experiment"), "201", also=("409",)),
                "delete": _sending("Remove an experiment and its results", _one("Name"), "201"),
            },
            "/listExperiments": {"get": _listing(
                "Experiments, with results and recommendations where they are asked for",
                experiment_name=_TEXT, results=_FLAG, recommendations=_FLAG, latest=_FLAG, rm=_FLAG,
            )},
            "/updateResults": {
                "post": _sending(
                    "Usage of intervals",
                    _array("Record") | {"minItems": 1, "maxItems": settings.bulk_results_limit},
                    "201",
                    also=("409",),
                )
            },
            "/updateRecommendations": {"post": _computing("Compute as of a time", mandatory_end=True)},
            "/generateRecommendations": {
                "post": _computing("Compute as of a time, else of the newest result", mandatory_end=False)
            },
            "/listRecommendations": {"get": _listing(
                "What was computed last, at one time, or ever",
                experiment_name=_TEXT, monitoring_end_time=_MOMENT, latest=_FLAG,
            )},
            "/listPerformanceProfiles": {"get": _listing("Every performance profile")},
            "/createPerformanceProfile": {
                "post": _sending("Make a profile", _reference("Profile"), "201", also=("409",))
            },
            "/updatePerformanceProfile": {"put": _sending("Replace a profile", _reference("Profile"), "200")},
            "/deletePerformanceProfile": {
                "delete": _operation("Remove a profile that no experiment uses", _answers("200"), name=_TEXT)
            },
        },
        "components": {"schemas": {
            "Answered": _ANSWERED, "Experiment": _EXPERIMENT, "Record": _RECORD, "Profile": _PROFILE,
            "Name": {"type": "object", "required": ["experiment_name"], "properties": {"experiment_name": _TEXT}},
        }},
    }  # fmt: skip


def _listing(summary: str, **parameters: Json) -> Json:
    return _operation(summary, {"200": _json(_LIST)} | _errors(), **parameters)


def _computing(summary: str, *, mandatory_end: bool) -> Json:
    operation = _operation(
        summary, {"201": _json(_LIST)} | _errors(), experiment_name=_TEXT, interval_end_time=_MOMENT
    )
    for parameter in operation["parameters"]:
        parameter["required"] = mandatory_end or parameter["name"] == "experiment_name"
    return operation


def _sending(summary: str, body: Json, status: str, *, also: tuple[str, ...] = ()) -> Json:
    operation = _operation(summary, _answers(status, *also))
    operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return operation


def _operation(summary: str, responses: Json, **parameters: Json) -> Json:
    return {
        "summary": summary,
        "parameters": [
            {"name": name, "in": "query", "schema": schema} for name, schema in parameters.items()
        ],
        "responses": responses,
    }


def _answers(*statuses: str) -> Json:
    return {status: _json(_reference("Answered")) for status in statuses} | _errors()


def _errors() -> Json:
    """Refused, too large, no database, a fault of ours."""
    return {status: _json(_reference("Answered")) for status in ("400", "404", "408", "413", "500", "503")}


def _json(schema: Json) -> Json:
    return {"description": "JSON", "content": {"application/json": {"schema": schema}}}


def _plain(text: str) -> Json:
    return {"description": text, "content": {"text/plain": {"schema": _TEXT}}}


def _reference(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _array(name: str) -> Json:
    return {"type": "array", "items": _reference(name)}


def _one(name: str) -> Json:
    return _array(name) | {"minItems": 1, "maxItems": 1}
