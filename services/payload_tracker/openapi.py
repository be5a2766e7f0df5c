"""The API's OpenAPI document, made from the tables that the API itself reads its parameters by."""

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from services.payload_tracker.filters import (
    DIRECTIONS,
    MAX_PAGE,
    MAX_PAGE_SIZE,
    MAX_VERBOSITY,
    PAYLOAD_SORTS,
    PAYLOADS,
    STATUSES,
    Shape,
)

Json = dict[str, Any]

_TEXT: Final[Json] = {"type": "string"}
_MOMENT: Final[Json] = {"type": "string", "format": "date-time"}
_ID: Final[Json] = {"type": "integer", "format": "int64"}


def _object(required: Sequence[str] = (), **properties: Json) -> Json:
    schema: Json = {"type": "object", "properties": properties}
    return schema | {"required": list(required)} if required else schema


def _texts(*names: str) -> dict[str, Json]:
    return dict.fromkeys(names, _TEXT)


_PAYLOAD_FIELDS: Final = _texts("request_id", "account", "inventory_id", "system_id", "org_id")
_STATUS: Final = _object(
    ("date",),
    id=_ID,
    **_texts("service", "source", "status", "status_msg"),
    **_PAYLOAD_FIELDS,
    created_at=_MOMENT,
    date=_MOMENT,
)


def _page_of(item: Json) -> Json:
    return _object(
        ("count", "elapsed", "data"),
        count={"type": "integer", "description": "how many match, on all pages"},
        elapsed={"type": "number", "description": "seconds"},
        data={"type": "array", "items": item},
    )


_SCHEMAS: Final[Json] = {
    "Error": _object(("title", "message", "status"), title=_TEXT, message=_TEXT, status={"type": "integer"}),
    "Payloads": _page_of(_object(("id", *_PAYLOAD_FIELDS), id=_ID, **_PAYLOAD_FIELDS, created_at=_MOMENT)),
    "Statuses": _page_of(_STATUS | {"properties": _STATUS["properties"] | {"id": _TEXT}}),
    "Payload": _object(
        ("data", "duration"),
        data={"type": "array", "items": _STATUS},
        duration={
            "type": "object",
            "description": "HH:MM:SS.ffffff within each `service:source`, their sum and the whole",
            "additionalProperties": _TEXT,
        },
    ),
    "Link": _object(("url",), url=_TEXT),
    "Allowed": _object(("allowed",), allowed={"type": "boolean"}),
}

_FAILURES: Final = {
    "400": "a parameter cannot be used; the message names it",
    "401": "no identity, or a bad one",
    "403": "an identity without the role, or of nobody",
    "404": "no such payload",
    "501": "not configured",
    "503": "an engine is away; Retry-After says when to ask again",
}


def _or_empty(**schema: Any) -> Json:
    """A parameter without a value counts as not given."""
    return {"anyOf": [schema, {"type": "string", "maxLength": 0}]}


def _parameter(name: str, schema: Json, *, where: str = "query", description: str = "") -> Json:
    item: Json = {"name": name, "in": where, "required": where == "path", "schema": schema}
    return item | {"description": description} if description else item


def _sorting(names: Sequence[str], default: str) -> list[Json]:
    return [
        _parameter("sort_by", _or_empty(type="string", enum=list(names), default=default)),
        _parameter("sort_dir", _or_empty(type="string", enum=list(DIRECTIONS), default="desc")),
    ]


def _listing(shape: Shape) -> list[Json]:
    return [
        _parameter("page", _or_empty(type="integer", minimum=0, maximum=MAX_PAGE, default=0)),
        _parameter("page_size", _or_empty(type="integer", minimum=1, maximum=MAX_PAGE_SIZE, default=10)),
        *_sorting(list(shape.sorts), shape.default_sort),
        # PostgreSQL's text has no NUL.
        *(_parameter(name, _TEXT | {"pattern": "^[^\\u0000]*$"}) for name in shape.texts),
        *(_parameter(name, _or_empty(**_MOMENT)) for name in shape.moment_parameters),
    ]


_REQUEST_ID: Final = _parameter(
    "request_id", _TEXT | {"minLength": 1}, where="path", description="percent-encode it; any form"
)


def _get(summary: str, schema: str, parameters: Sequence[Json], *failures: str) -> Json:
    def answer(description: str, name: str) -> Json:
        content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}
        return {"description": description, "content": content}

    responses = {"200": answer(summary, schema)} | {
        code: answer(_FAILURES[code], "Error") for code in failures
    }
    return {"get": {"summary": summary, "parameters": list(parameters), "responses": responses}}


@cache
def document(prefix: str) -> Json:
    """The document, with paths relative to ``prefix``."""
    of_payload = [_REQUEST_ID, *_sorting(list(PAYLOAD_SORTS), "date")]
    verbosity = _parameter(
        "verbosity",
        _or_empty(type="integer", minimum=0, maximum=MAX_VERBOSITY, default=0),
        description="higher numbers leave out more",
    )
    identified = ("401", "403")
    return {
        "openapi": "3.0.3",
        "info": {"title": "Payload tracker", "version": "1", "description": "Where is my payload?"},
        "servers": [{"url": prefix}],
        "paths": {
            "/payloads": _get("Payloads", "Payloads", _listing(PAYLOADS), "400", *identified, "503"),
            "/payloads/{request_id}": _get(
                "A payload's statuses",
                "Payload",
                [*of_payload, verbosity],
                "400",
                *identified,
                "404",
                "503",
            ),
            "/payloads/{request_id}/archiveLink": _get(
                "A short-lived link to the upload",
                "Link",
                [_REQUEST_ID],
                *identified,
                "404",
                "503",
            ),
            "/payloads/{request_id}/kibanaLink": _get(
                "A link to the payload's log lines",
                "Link",
                [_REQUEST_ID, _parameter("service", _TEXT)],
                *identified,
                "404",
                "501",
                "503",
            ),
            "/roles/archiveLink": _get("Whether archive links are yours to have", "Allowed", [], *identified),
            "/statuses": _get(
                "Statuses of all payloads",
                "Statuses",
                _listing(STATUSES),
                "400",
                *identified,
                "503",
            ),
        },
        "security": [{"identity": []}],
        "components": {
            "schemas": _SCHEMAS,
            "securitySchemes": {"identity": {"type": "apiKey", "in": "header", "name": "x-rh-identity"}},
        },
    }
