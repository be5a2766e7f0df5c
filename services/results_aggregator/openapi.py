"""The API's OpenAPI document, made from the table that the router is made from."""

import re
from functools import cache
from typing import Any, Final

from services.results_aggregator.api_endpoints import PREFIXES, Endpoint, endpoints
from services.results_aggregator.openapi_schemas import (
    INFO,
    PARAMETERS,
    SCHEMAS,
    TEXT,
    Json,
    bodies,
    reference,
    whole,
)

_FAILURES: Final = {
    "400": "a parameter or the body cannot be used; the status says what and why",
    "401": "no identity, or a bad one",
    "403": "another organisation's",
    "404": "there is no such thing",
    "408": "the body took too long",
    "413": "the body is too long",
    "503": "PostgreSQL is away; Retry-After says when to ask again",
}
_IDENTITY: Final[Json] = {
    "name": "x-rh-identity",
    "in": "header",
    "required": False,
    "schema": TEXT,
    "description": "base64 of JSON that says whose request it is",
}


@cache
def document(*, debug: bool, max_text_bytes: int) -> Json:
    """The document; its paths are below each of the servers."""
    paths: Json = {
        "/info": {"get": _info()},
        "/metrics": {"get": _open("metrics", "In Prometheus' text format", "text/plain", TEXT)},
        "/openapi.json": {"get": _open("openapi", "This", "application/json", {"type": "object"})},
    }
    for endpoint in endpoints(debug=debug):
        operation = _operation(endpoint, bodies(max_text_bytes))
        paths.setdefault(f"/{endpoint.path}", {})[endpoint.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Insights results aggregator",
            "version": "v1",
            "description": "The newest report of each cluster, and what users decide about it",
        },
        "servers": [{"url": prefix} for prefix in PREFIXES],
        "paths": paths,
        "components": {"schemas": SCHEMAS},
    }


def _ok(**answer: Json) -> Json:
    return whole(status=TEXT, **answer)


def _response(description: str, schema: Json, media_type: str = "application/json") -> Json:
    return {"description": description, "content": {media_type: {"schema": schema}}}


def _open(operation: str, summary: str, media_type: str, schema: Json) -> Json:
    return {
        "operationId": operation,
        "summary": summary,
        "responses": {"200": _response(summary, schema, media_type)},
    }


def _info() -> Json:
    """Fixed, and yet not for everybody."""
    operation = _open("info", "What is running", "application/json", _ok(info=INFO))
    refused = {"401": _response(_FAILURES["401"], reference("Failure"))}
    return operation | {"parameters": [_IDENTITY], "responses": operation["responses"] | refused}


def _failures(endpoint: Endpoint) -> list[str]:
    found = ["401", "503"]
    found += ["400"] if "{" in endpoint.path or endpoint.body else []
    found += ["403"] if endpoint.has_foreign else []
    found += ["404"] if endpoint.has_unknown else []
    return found + (["408", "413"] if endpoint.body else [])


def _operation(endpoint: Endpoint, forms: dict[str, Json]) -> Json:
    names = re.findall(r"{(\w+)}", endpoint.path)
    operation: dict[str, Any] = {
        "operationId": endpoint.operation,
        "summary": endpoint.summary,
        "parameters": [
            *({"name": name, "in": "path", "required": True, "schema": PARAMETERS[name]} for name in names),
            _IDENTITY,
        ],
        "responses": {
            "200": _response(endpoint.summary, _ok(**endpoint.answer)),
            **{
                code: _response(_FAILURES[code], reference("Failure")) for code in sorted(_failures(endpoint))
            },
        },
    }
    if endpoint.body:
        operation["requestBody"] = {
            "required": endpoint.body_required,
            "content": {"application/json": {"schema": forms[endpoint.body]}},
        }
    return operation
