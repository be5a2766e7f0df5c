"""The API's OpenAPI document."""

from functools import cache
from typing import Any, Final

from headrace.contracts.assisted import CATEGORIES, END_STATES, MAX_MESSAGE_CHARACTERS, SEVERITIES
from services.assisted_events.bodies import MAX_CLUSTERS, MAX_EVENTS, MAX_HOSTS
from services.assisted_events.ledger import STATES

Json = dict[str, Any]

PREFIX: Final = "/api/assisted-events/v1"
MAX_LIMIT: Final = 1000

_TEXT: Final[Json] = {"type": "string"}
_MOMENT: Final[Json] = {"type": "string", "format": "date-time"}
_UUID: Final[Json] = {"type": "string", "format": "uuid"}
_COUNT: Final[Json] = {"type": "integer", "minimum": 0}


def _object(required: tuple[str, ...] = (), *, closed: bool = False, **properties: Json) -> Json:
    schema: Json = {"type": "object", "properties": properties}
    if closed:
        schema["additionalProperties"] = False
    return schema | ({"required": list(required)} if required else {})


def _nullable(schema: Json) -> Json:
    return schema | {"nullable": True}


def _list_of(schema: Json, **bounds: int) -> Json:
    return {"type": "array", "items": schema, **bounds}


def _named(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


_SENDING: Final[Json] = {
    "cluster_id": _TEXT,
    "install_started_at": _MOMENT,
    "outcome": {"type": "string", "enum": list(END_STATES)},
    "request_id": _TEXT | {"description": "of every upload of this archive"},
    "state": {"type": "string", "enum": list(STATES)},
    "reason": _TEXT | {"description": "why it is not sent (yet)"},
    "attempts": _COUNT,
    "failures": _COUNT | {"description": "attempts that count towards giving up"},
    "next_attempt_at": _MOMENT,
    "first_seen_at": _MOMENT,
    "ended_at": _nullable(_MOMENT) | {"description": "when it was sent, skipped, given up or exported"},
    "sent_at": _nullable(_MOMENT) | {"description": "when an endpoint last took it"},
    "content_sha256": _nullable(_TEXT),
    "size_bytes": _nullable(_COUNT),
    "hosts": _nullable(_COUNT),
    "events": _nullable(_COUNT),
}
_EVENT: Final = _object(
    ("name", "message", "severity", "event_time"),
    closed=True,
    name={"type": "string", "minLength": 1, "maxLength": 256},
    message={"type": "string", "maxLength": MAX_MESSAGE_CHARACTERS},
    severity={"type": "string", "enum": list(SEVERITIES)},
    category={"type": "string", "enum": list(CATEGORIES)},
    event_time=_MOMENT,
    host_id=_nullable(_UUID),
    infra_env_id=_nullable(_UUID),
    request_id=_nullable(_UUID),
    props=_nullable(_TEXT) | {"description": "the text of a JSON object"},
)
_SCHEMAS: Final[Json] = {
    "Error": _object(("message",), message=_TEXT),
    "Health": _object(("status",), status=_TEXT),
    "Sending": _object(tuple(_SENDING), **_SENDING),
    "Sendings": _object(("count", "data"), count=_COUNT, data=_list_of(_named("Sending"))),
    "Cluster": _object(
        ("id", "opted_out", "sendings"),
        id=_UUID,
        opted_out={"type": "boolean"},
        sendings=_list_of(_named("Sending")),
    ),
    "Simulation": _object(
        closed=True,
        clusters={"type": "integer", "minimum": 1, "maximum": MAX_CLUSTERS, "default": 1},
        hosts={"type": "integer", "minimum": 1, "maximum": MAX_HOSTS, "default": 3},
        events=_nullable({"type": "integer", "minimum": 1, "maximum": MAX_EVENTS}),
        end_state={"type": "string", "enum": [*END_STATES, "adding-hosts"], "default": "installed"},
        cluster_id=_nullable(_UUID),
        seed=_nullable({"type": "integer"}),
        credentials={"type": "boolean", "default": True, "description": "whether it has a pull secret"},
    ),
    "Registered": _object(
        ("clusters",),
        clusters=_list_of(
            _object(
                ("id", "hosts", "events", "discarded"),
                id=_TEXT,
                hosts=_COUNT,
                events=_COUNT,
                discarded=_COUNT,
            )
        ),
    ),
    "Events": _object(("events",), closed=True, events=_list_of(_EVENT, minItems=1, maxItems=5000)),
    "Stored": _object(("stored", "discarded"), stored=_COUNT, discarded=_COUNT),
}
_FAILURES: Final = {
    "400": "it cannot be used; the message says why",
    "401": "not the token of ASSISTED_EVENTS_TOKEN",
    "404": "no such cluster",
    "408": "the body did not come in time",
    "409": "not possible now; the message says why",
    "413": "the body is too long",
    "503": "PostgreSQL is away; Retry-After says when to ask again",
}
_CLUSTER_ID: Final[Json] = {"name": "cluster_id", "in": "path", "required": True, "schema": _UUID}


def _content(name: str) -> Json:
    return {"content": {"application/json": {"schema": _named(name)}}}


def _operation(
    summary: str,
    code: str,
    schema: str | None,
    *failures: str,
    parameters: tuple[Json, ...] = (),
    body: Json | None = None,
) -> Json:
    good: Json = {"description": summary} | (_content(schema) if schema else {})
    bad = {name: {"description": _FAILURES[name]} | _content("Error") for name in ("401", *failures, "503")}
    operation: Json = {"summary": summary, "parameters": list(parameters), "responses": {code: good} | bad}
    return operation | ({"requestBody": body} if body else {})


def _archive(summary: str, *failures: str) -> Json:
    operation = _operation(summary, "200", None, *failures)
    operation["responses"]["200"]["content"] = {
        "application/gzip": {"schema": {"type": "string", "format": "binary"}}
    }
    return operation


def _query(name: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "required": False, "schema": schema}


@cache
def document() -> Json:
    """The document, with paths relative to the prefix."""
    listing = (
        _query("cluster_id", _UUID),
        _query("state", {"type": "string", "enum": list(STATES)}),
        _query("limit", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": 100}),
        _query("offset", {"type": "integer", "minimum": 0, "maximum": (1 << 31) - 1, "default": 0}),
    )
    gzip: Json = {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
    one = "/clusters/{cluster_id}"
    paths: Json = {
        "/sendings": {
            "get": _operation("What was sent when", "200", "Sendings", "400", "404", parameters=listing)
        },
        "/simulations": {
            "post": _operation(
                "Register simulated installations", "201", "Registered", "400", "409", "413",
                body=_content("Simulation"),
            )
        },
        "/installations": {
            "post": _operation(
                "Register the installations of an archive", "201", "Registered", "400", "408", "409",
                body=gzip | {"required": True},
            )
        },
        one: {"get": _operation("What became of a cluster's installations", "200", "Cluster", "404")},
        f"{one}/events": {
            "post": _operation(
                "Store events", "201", "Stored", "400", "404", "409", "413",
                body=_content("Events") | {"required": True},
            )
        },
        f"{one}/archive": {"get": _archive("The archive that would be sent", "400", "404")},
        f"{one}/export": {
            "post": _archive("The archive, to be carried to the endpoint by hand", "400", "404", "409")
        },
        f"{one}/send": {"post": _operation("Send it (again)", "202", "Sending", "404", "409")},
        f"{one}/opt-out": {
            "put": _operation("Send nothing of this cluster", "204", None, "404"),
            "delete": _operation("Send what ends from now on", "204", None, "404"),
        },
    }  # fmt: skip
    for path, methods in paths.items():
        if path.startswith(one):
            for operation in methods.values():
                operation["parameters"].append(_CLUSTER_ID)
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "Assisted installer events",
            "version": "1",
            "description": "What is sent of installations.",
        },
        "servers": [{"url": PREFIX}],
        "paths": paths,
        "components": {"schemas": _SCHEMAS},
    }
