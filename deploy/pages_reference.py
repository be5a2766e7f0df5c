"""The site's reference of HTTP APIs and topics, in Markdown, from the documents that the services themselves serve."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from inspect import isclass
from pathlib import Path
from typing import Any, get_type_hints
from unittest.mock import AsyncMock

from headrace.laptop.reference import table
from headrace.runtime.settings import Settings
from headrace.service.row import Service
from headrace_services.registry import SERVICES

Json = dict[str, Any]


async def api_pages() -> dict[Path, str]:
    """Return a page for each service with an HTTP API, by its path in the site."""
    return {
        Path("api") / f"{row.name}.md": api_page(row, await document_of(row))
        for row in SERVICES
        if row.port is not None
    }


async def document_of(row: Service) -> Json:
    """Return the OpenAPI document that a service serves, without what the service stands on."""
    (api,) = (
        each
        for each in vars(row.module("api")).values()
        if isclass(each) and is_dataclass(each) and hasattr(each, "application")
    )
    kinds = get_type_hints(api)
    given = {
        each.name: kind() if isclass(kind := kinds[each.name]) and issubclass(kind, Settings) else AsyncMock()
        for each in fields(api)
        if each.init
    }
    for route in api(**given).application().router.routes():
        if route.method == "GET" and route.resource and route.resource.canonical == row.openapi_path:
            answer: Any = await route.handler(None)
            found: Json = json.loads(answer.body)
            return found
    raise LookupError(f"{row.name} has no document at {row.openapi_path}")


def api_page(row: Service, document: Json) -> str:
    """Return the page of one API."""
    about = document["info"]
    parts = [
        f"# {about['title']}\n",
        f"{about.get('description') or row.summary}\n",
        (
            f"`{row.name}` listens at port {row.port} in the local shape and serves this document at "
            f"`{row.openapi_path}` (OpenAPI {document['openapi']}, version {about['version']}).\n"
        ),
        "Paths are below " + ", ".join(f"`{server['url']}`" for server in document["servers"]) + ".\n",
    ]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts += _operation(method.upper(), path, operation)
    if schemas := document["components"]["schemas"]:
        parts.append("## Schemas\n")
        parts += [f"### {name}\n\n{_code(schema)}" for name, schema in sorted(schemas.items())]
    return "\n".join(parts)


def _operation(method: str, path: str, operation: Json) -> Iterator[str]:
    yield f"## {method} {path}\n\n{operation['summary']}.\n"
    if words := operation.get("description"):
        yield f"{words}\n"
    if parameters := operation.get("parameters"):
        rows = [
            (
                f"`{item['name']}`",
                item["in"] + (", required" if item.get("required") else ""),
                _kind(item.get("schema", {})),
                _cell(item.get("description", "")),
            )
            for item in parameters
        ]
        yield table(("parameter", "in", "type", "meaning"), rows)
    if body := operation.get("requestBody"):
        forms = [(f"`{name}`", _kind(form["schema"])) for name, form in body["content"].items()]
        yield table(("body", "schema"), forms)
    answers = [
        (
            status,
            _cell(answer["description"]),
            "; ".join(
                f"`{name}` {_kind(form['schema'])}" for name, form in answer.get("content", {}).items()
            ),
        )
        for status, answer in operation["responses"].items()
    ]
    yield table(("status", "when", "body"), answers)


def topics_page(text: str) -> str:
    """Return the page of the topics, from the AsyncAPI document."""
    document = json.loads(text)
    parts = [
        "# Topics and messages\n",
        (
            f"{document['info']['description']} [asyncapi.json](asyncapi.json) is the document itself "
            f"(AsyncAPI {document['asyncapi']}).\n"
        ),
    ]
    for name, channel in document["channels"].items():
        ways = [
            (operation["action"], f"`{each.split('.')[0]}`")
            for each, operation in document["operations"].items()
            if operation["channel"]["$ref"].endswith(f"/{name}")
        ]
        messages = ", ".join(f"[{message}](#{message.lower()})" for message in channel["messages"])
        parts.append(f"## {name}\n\nMessages: {messages}. {channel['description']}\n")
        parts.append(table(("action", "service"), ways))
    parts.append("## Messages\n")
    schemas = document["components"]["schemas"]
    parts += [f"### {name}\n\n{_code(schemas.get(name, {}))}" for name in document["components"]["messages"]]
    return "\n".join(parts)


def _kind(schema: Json) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "items" in schema:
        return f"list of {_kind(schema['items'])}"
    kinds: Sequence[str] | str = schema.get("type", "any")
    return kinds if isinstance(kinds, str) else " or ".join(kinds)


def _code(schema: Json) -> str:
    return f"```json\n{json.dumps(schema, indent=2, ensure_ascii=False)}\n```\n"


def _cell(text: str) -> str:
    return " ".join(text.split())
