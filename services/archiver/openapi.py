"""The API's OpenAPI document."""

from importlib.metadata import version
from typing import Any, Final

Json = dict[str, Any]

PATH: Final = "/api/archives/v1/openapi.json"

_TEXT: Final[Json] = {"type": "string"}
_MOMENT: Final[Json] = {"type": "string", "format": "date-time"}
_REQUEST_ID: Final[Json] = {
    "name": "request_id", "in": "query", "required": True,
    "schema": {"type": "string", "minLength": 1, "maxLength": 1024, "pattern": "^[^\\u0000]*$"},
}  # fmt: skip
_ARCHIVE: Final[Json] = {
    "type": "object",
    "required": ["request_id", "bucket", "key", "service", "org_id", "copied_at"],
    "properties": {
        "request_id": _TEXT,
        "service": _TEXT,
        "org_id": _TEXT,
        "endpoint": {"type": "string", "description": "name in ARCHIVER_ENDPOINTS; empty: the platform's own S3"},
        "bucket": _TEXT,
        "key": _TEXT,
        "copied_at": _MOMENT | {"nullable": True},
    },
}  # fmt: skip


def document() -> Json:
    """The document."""
    return {
        "openapi": "3.0.3",
        "info": {"title": "Archiver", "version": version("headrace"), "license": {"name": "Apache-2.0"}},
        "paths": {
            "/": {"get": _operation("The process answers", {"status": _TEXT}, identity=False)},
            PATH: {"get": _operation("This document", {"openapi": _TEXT}, identity=False)},
            "/api/archives/v1/archives": {
                "get": _asking(
                    "A request's archives, also those not copied yet",
                    {
                        "count": {"type": "integer", "minimum": 0},
                        "data": {"type": "array", "items": {"$ref": "#/components/schemas/Archive"}},
                    },
                )
            },
            "/archive/url": {"get": _url()},
            "/archive/url/": {"get": _url()},
        },
        "components": {
            "schemas": {
                "Archive": _ARCHIVE,
                "Error": {"type": "object", "required": ["message"], "properties": {"message": _TEXT}},
            },
            "securitySchemes": {"identity": {"type": "apiKey", "in": "header", "name": "x-rh-identity"}},
        },
    }


def _url() -> Json:
    return _asking(
        "A short-lived URL of a request's newest archive",
        {"request_id": _TEXT, "url": _TEXT, "timeout": {"type": "integer", "minimum": 1}},
    )


def _asking(summary: str, properties: Json) -> Json:
    operation = _operation(summary, properties, identity=True)
    operation["parameters"] = [_REQUEST_ID]
    operation["responses"] |= {
        "400": _error("No such archive, or no request id"),
        "401": _error("No identity that can be read"),
        "503": _error("PostgreSQL is away"),
    }
    return operation


def _operation(summary: str, properties: Json, *, identity: bool) -> Json:
    schema = {"type": "object", "required": list(properties), "properties": properties}
    return {
        "summary": summary,
        "security": [{"identity": []}] if identity else [],
        "responses": {
            "200": {"description": summary, "content": {"application/json": {"schema": schema}}}
        },
    }  # fmt: skip


def _error(text: str) -> Json:
    schema = {"$ref": "#/components/schemas/Error"}
    return {"description": text, "content": {"application/json": {"schema": schema}}}
