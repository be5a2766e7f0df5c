"""The API's OpenAPI document; requests are described by the models that read them."""

from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.metadata import version
from typing import Any, Final

from pydantic.json_schema import models_json_schema

from services.ols.bodies import FeedbackRequest, LLMRequest

Json = dict[str, Any]

_TEXT: Final[Json] = {"type": "string"}
_COUNT: Final[Json] = {"type": "integer", "minimum": 0}
_FLAG: Final[Json] = {"type": "boolean"}
_CAUSE: Final = "Cause"
_DETAIL: Final = "Detail"
_FAILURES: Final = {
    "400": ("the conversation id is none", _CAUSE),
    "401": ("no credential, or none that can be read", _DETAIL),
    "403": ("the credential is not known or does not allow it, or feedback is disabled", _DETAIL),
    "408": ("the body did not come in time", _DETAIL),
    "413": ("the question does not fit into the LLM, or the body is too long", _CAUSE),
    "422": ("the body, or what it asks for, cannot be used", "Unprocessable"),
    "500": ("the LLM gives no answer, or the disk takes no file", _CAUSE),
    "503": ("the LLM or the Kubernetes API is away or busy; Retry-After says when to ask again", _CAUSE),
}
_ASKING: Final = ("401", "403", "408", "413", "422", "500", "503")


def _object(**properties: Json) -> Json:
    return {"type": "object", "required": list(properties), "properties": properties}


def _list(items: Json) -> Json:
    return {"type": "array", "items": items}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _schemas() -> Json:
    _, definitions = models_json_schema(
        [(LLMRequest, "validation"), (FeedbackRequest, "validation")],
        ref_template="#/components/schemas/{model}",
    )
    place: Json = {"anyOf": [_TEXT, {"type": "integer"}]}
    document = _object(doc_url=_TEXT, doc_title=_TEXT)
    validation = _object(type=_TEXT, loc=_list(place), msg=_TEXT)
    schemas: Json = dict(definitions["$defs"])
    schemas |= {
        _DETAIL: _object(detail=_TEXT),
        _CAUSE: _object(detail=_object(response=_TEXT, cause=_TEXT)),
        "HTTPValidationError": _object(detail=_list(validation)),
        "Unprocessable": {"anyOf": [_ref("HTTPValidationError"), _ref(_CAUSE)]},
        "LLMResponse": _object(
            conversation_id=_TEXT,
            response=_TEXT,
            referenced_documents=_list(document),
            truncated=_FLAG,
            input_tokens=_COUNT,
            output_tokens=_COUNT,
            available_quotas={"type": "object"},
            tool_calls=_list({"type": "object"}),
            tool_results=_list({"type": "object"}),
        ),
        "FeedbackResponse": _object(response=_TEXT),
        "StatusResponse": _object(functionality=_TEXT, status=_object(enabled=_FLAG)),
        "AuthorizationResponse": _object(user_id=_TEXT, username=_TEXT, skip_user_id_check=_FLAG),
        "ClientAuthHeadersResponse": _object(servers=_list({"type": "object"})),
        "ReadinessResponse": _object(ready=_FLAG, reason=_TEXT),
        "LivenessResponse": _object(alive=_FLAG),
    }
    return schemas


def _content(schema: Json, media_type: str = "application/json") -> Json:
    return {media_type: {"schema": schema}}


@dataclass(frozen=True)
class _Operation:
    """One row of the document; ``failures`` are the statuses besides 200."""

    method: str
    path: str
    name: str
    summary: str
    content: Json
    failures: tuple[str, ...] = ()
    body: str = ""
    # Whether callers are authenticated, and may name themselves where they are not.
    asks: bool = False

    def document(self) -> Json:
        responses: Json = {"200": {"description": "success", "content": self.content}}
        for status in self.failures:
            description, schema = _FAILURES[status]
            responses[status] = {"description": description, "content": _content(_ref(schema))}
        operation: Json = {"operationId": self.name, "summary": self.summary, "responses": responses}
        if self.body:
            operation["requestBody"] = {"required": True, "content": _content(_ref(self.body))}
        if self.asks:
            operation["parameters"] = [_USER_ID]
        else:
            operation["security"] = []
        return operation


_USER_ID: Final[Json] = {
    "name": "user_id",
    "in": "query",
    "required": False,
    "schema": _TEXT,
    "description": "who asks, where nobody is authenticated",
}
_EVENTS: Final = _content(_TEXT, "text/plain") | _content(_TEXT)
_OPERATIONS: Final = (
    _Operation(
        "post", "/v1/query", "query", "Ask, and wait for the answer",
        _content(_ref("LLMResponse")), ("400", *_ASKING), "LLMRequest", asks=True,
    ),
    _Operation(
        "post", "/v1/streaming_query", "streamingQuery",
        "Ask, and get the answer piece by piece: text, or server-sent events, as media_type says",
        _EVENTS, ("400", *_ASKING), "LLMRequest", asks=True,
    ),
    _Operation(
        "post", "/v1/feedback", "feedback", "Say what an answer is worth",
        _content(_ref("FeedbackResponse")), _ASKING, "FeedbackRequest", asks=True,
    ),
    _Operation(
        "get", "/v1/feedback/status", "feedbackStatus", "Whether feedback is kept",
        _content(_ref("StatusResponse")),
    ),
    _Operation(
        "post", "/authorized", "authorized", "Who the caller is",
        _content(_ref("AuthorizationResponse")), ("401", "403", "503"), asks=True,
    ),
    _Operation(
        "get", "/v1/mcp/client-auth-headers", "clientAuthHeaders", "MCP servers that want headers of the caller",
        _content(_ref("ClientAuthHeadersResponse")), ("401", "403", "503"), asks=True,
    ),
    _Operation("get", "/docs", "docs", "This document for people", _content(_TEXT, "text/html")),
    _Operation("get", "/readiness", "readiness", "Ready?", _content(_ref("ReadinessResponse")), ("503",)),
    _Operation("get", "/liveness", "liveness", "Alive?", _content(_ref("LivenessResponse"))),
    _Operation("get", "/metrics", "metrics", "Prometheus' text", _content(_TEXT, "text/plain")),
    _Operation("get", "/openapi.json", "openapi", "This document", _content({"type": "object"})),
)  # fmt: skip


@cache
def document() -> Json:
    """The document."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "ols", "version": version("headrace")},
        "paths": {row.path: {row.method: row.document()} for row in _OPERATIONS},
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"bearer": []}, {}],
    }


@cache
def page() -> str:
    """The document's operations as a page."""
    rows = "".join(
        f"<tr><td>{row.method.upper()}</td><td><code>{escape(row.path)}</code></td><td>{escape(row.summary)}</td></tr>"
        for row in _OPERATIONS
    )
    return (
        '<!DOCTYPE html><html lang="en"><head><title>ols</title></head><body><h1>OpenShift LightSpeed</h1>'
        f'<table>{rows}</table><p><a href="/openapi.json">openapi.json</a></p></body></html>'
    )
