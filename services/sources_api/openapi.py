"""The API's OpenAPI document, made from the tables and bodies that the API itself reads."""

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from pydantic.json_schema import models_json_schema

from services.sources_api.bodies import (
    MAX_ID,
    ApplicationCreate,
    ApplicationEdit,
    AuthenticationCreate,
    AuthenticationEdit,
    BulkCreate,
    EndpointCreate,
    EndpointEdit,
    SourceCreate,
    SourceEdit,
)
from services.sources_api.filters import DEFAULT_LIMIT, MAX_LIMIT, MAX_OFFSET, OPERATIONS
from services.sources_api.models import (
    APPLICATION_TYPES,
    APPLICATIONS,
    AUTHENTICATIONS,
    EDITABLE,
    ENDPOINTS,
    LISTED,
    SOURCE_TYPES,
    SOURCES,
    Kind,
    Resource,
)

Json = dict[str, Any]

_TEXT: Final[Json] = {"type": "string"}
_NO_NUL: Final[Json] = {"type": "string", "pattern": "^[^\\u0000]*$"}
_SHOWN: Final[dict[Kind, Json]] = {
    Kind.ID: {"type": "string", "pattern": "^[0-9]+$"},
    Kind.INTEGER: {"type": "integer"},
    Kind.TEXT: _TEXT,
    Kind.BOOLEAN: {"type": "boolean"},
    Kind.MOMENT: {"type": "string", "format": "date-time"},
    Kind.JSON: {},
}
_FILTERED: Final[dict[Kind, Json]] = {
    Kind.ID: {"type": "integer", "minimum": 0, "maximum": MAX_ID},
    Kind.INTEGER: {"type": "integer", "minimum": 0, "maximum": 65535},
    Kind.TEXT: _NO_NUL,
    Kind.BOOLEAN: {"type": "boolean"},
    Kind.MOMENT: {"type": "string", "format": "date-time"},
    Kind.JSON: _NO_NUL,
}
_BODIES: Final = (
    (SOURCES, SourceCreate, SourceEdit),
    (APPLICATIONS, ApplicationCreate, ApplicationEdit),
    (ENDPOINTS, EndpointCreate, EndpointEdit),
    (AUTHENTICATIONS, AuthenticationCreate, AuthenticationEdit),
)
_BELOW: Final = (
    (SOURCES, APPLICATIONS),
    (SOURCES, ENDPOINTS),
    (SOURCES, AUTHENTICATIONS),
    (SOURCES, APPLICATION_TYPES),
    (SOURCE_TYPES, SOURCES),
    (APPLICATION_TYPES, SOURCES),
    (APPLICATIONS, AUTHENTICATIONS),
    (ENDPOINTS, AUTHENTICATIONS),
)
_FAILURES: Final = {
    "400": "what was sent cannot be used; the detail says why",
    "401": "nobody known asks, or may not",
    "404": "it is not there, or not yours",
    "405": "not by this kind of identity",
    "413": "the body is too long",
    "503": "an engine is away; Retry-After says when to ask again",
}
_DESCRIPTION: Final = (
    "Filters: `filter[field]=value`, `filter[field][operation]=value`, "
    "`filter[source_type|application_type][field][operation]=value`, or `field=value`. "
    f"Operations: {', '.join(OPERATIONS)}; `eq` with several values is any of them. "
    "Numbers and times know no text operations, texts of JSON no comparisons."
)


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(required: Sequence[str], properties: Json) -> Json:
    return {"type": "object", "required": list(required), "properties": properties}


def _resource(resource: Resource) -> Json:
    required = [name for name in resource.fields if name not in resource.optional]
    return _object(required, {name: _SHOWN[kind] for name, kind in resource.fields.items()})


def _page_of(item: Json) -> Json:
    number = {"type": "integer", "minimum": 0}
    return _object(
        ("data", "meta", "links"),
        {
            "data": {"type": "array", "items": item},
            "meta": _object(
                ("count", "limit", "offset"), dict.fromkeys(("count", "limit", "offset"), number)
            ),
            "links": _object(("first", "last"), dict.fromkeys(("first", "last", "prev", "next"), _TEXT)),
        },
    )


def _schemas() -> Json:
    bodies = [(kind, "validation") for _, create, edit in _BODIES for kind in (create, edit)]
    _, definitions = models_json_schema(
        [*bodies, (BulkCreate, "validation")],  # type: ignore[list-item]
        ref_template="#/components/schemas/{model}",
    )
    error = _object(("detail", "status"), {"detail": _TEXT, "status": _TEXT})
    schemas: Json = dict(definitions["$defs"])
    schemas["Error"] = _object(("errors",), {"errors": {"type": "array", "items": error}})
    for resource in LISTED:
        schemas[_name(resource)] = _resource(resource)
        schemas[_name(resource) + "Page"] = _page_of(_ref(_name(resource)))
    schemas["BulkCreated"] = _object(
        [resource.table for resource in EDITABLE],
        {resource.table: {"type": "array", "items": _ref(_name(resource))} for resource in EDITABLE},
    )
    return schemas


def _name(resource: Resource) -> str:
    return resource.singular.title().replace(" ", "")


def _parameter(name: str, schema: Json, *, where: str = "query", description: str = "") -> Json:
    item: Json = {"name": name, "in": where, "required": where == "path", "schema": schema}
    return item | {"description": description} if description else item


def _listing(resource: Resource) -> list[Json]:
    fields = "|".join(resource.fields)
    return [
        _parameter(
            "limit",
            {"type": "integer", "minimum": 1, "maximum": MAX_ID, "default": DEFAULT_LIMIT},
            description=f"more than {MAX_LIMIT} counts as {MAX_LIMIT}",
        ),
        _parameter("offset", {"type": "integer", "minimum": 0, "maximum": MAX_OFFSET, "default": 0}),
        _parameter("sort_by", {"type": "string", "pattern": f"^({fields})(:(asc|desc))?$"}),
        *(_parameter(f"filter[{name}]", _FILTERED[kind]) for name, kind in resource.fields.items()),
    ]


def _answer(description: str, schema: Json | None = None) -> Json:
    if schema is None:
        return {"description": description}
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _operation(
    summary: str,
    success: tuple[str, Json | None],
    *failures: str,
    parameters: Sequence[Json] = (),
    body: str = "",
) -> Json:
    status, schema = success
    responses = {status: _answer(summary, schema)}
    responses |= {code: _answer(_FAILURES[code], _ref("Error")) for code in (*failures, "503")}
    operation: Json = {"summary": summary, "parameters": list(parameters), "responses": responses}
    if body:
        content = {"application/json": {"schema": _ref(body)}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


_ID: Final = _parameter("id", {"type": "integer", "minimum": 1, "maximum": MAX_ID}, where="path")
_WRITE: Final = ("400", "401", "405")


def _reading(resource: Resource) -> Json:
    who = ("401",) if resource.scoped else ()
    page = ("200", _ref(_name(resource) + "Page"))
    row = ("200", _ref(_name(resource)))
    return {
        f"/{resource.table}": {
            "get": _operation(f"List {resource.singular}s", page, "400", *who, parameters=_listing(resource))
        },
        f"/{resource.table}/{{id}}": {
            "get": _operation(f"One {resource.singular}", row, "400", *who, "404", parameters=[_ID])
        },
    }


def _writing(paths: Json) -> None:
    for resource, create, edit in _BODIES:
        row = _ref(_name(resource))
        paths[f"/{resource.table}"]["post"] = _operation(
            f"Create: {resource.singular}", ("201", row), *_WRITE, "413", body=create.__name__
        )
        paths[f"/{resource.table}/{{id}}"] |= {
            "patch": _operation(
                f"Change: {resource.singular}",
                ("200", row),
                *_WRITE,
                "404",
                "413",
                parameters=[_ID],
                body=edit.__name__,
            ),
            "delete": _operation(
                f"Remove: {resource.singular}, and all that hangs on it",
                ("204", None),
                *_WRITE,
                "404",
                parameters=[_ID],
            ),
        }
    paths["/bulk_create"] = {
        "post": _operation(
            "Create all or nothing", ("201", _ref("BulkCreated")), *_WRITE, "413", body="BulkCreate"
        )
    }


def _actions(paths: Json) -> None:
    for resource in (SOURCES, APPLICATIONS):
        for action in ("pause", "unpause"):
            paths[f"/{resource.table}/{{id}}/{action}"] = {
                "post": _operation(action.title(), ("204", None), *_WRITE, "404", parameters=[_ID])
            }
    paths["/sources/{id}/check_availability"] = {
        "post": _operation(
            "Ask for a check",
            ("202", {"type": "object", "maxProperties": 0}),
            "400",
            "401",
            "404",
            parameters=[_ID],
        )
    }


@cache
def document(prefix: str) -> Json:
    """The document, with paths relative to ``prefix``."""
    paths: Json = {}
    for resource in LISTED:
        paths |= _reading(resource)
    _writing(paths)
    _actions(paths)
    for above, below in _BELOW:
        page = ("200", _ref(_name(below) + "Page"))
        paths[f"/{above.table}/{{id}}/{below.table}"] = {
            "get": _operation(
                f"List {below.singular}s of one {above.singular}",
                page,
                "400",
                "401",
                "404",
                parameters=[_ID, *_listing(below)],
            )
        }
    paths["/openapi.json"] = {"get": _operation("This document", ("200", {"type": "object"}))}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Sources", "version": "3.1", "description": _DESCRIPTION},
        "servers": [{"url": prefix}],
        "security": [{"identity": []}, {"key": []}],
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {
                "identity": {"type": "apiKey", "in": "header", "name": "x-rh-identity"},
                "key": {"type": "apiKey", "in": "header", "name": "x-rh-sources-psk"},
            },
        },
    }
