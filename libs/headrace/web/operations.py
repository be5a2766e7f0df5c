"""HTTP operations, declared once: their routes and their OpenAPI 3.1 document are derived from the same rows.

A service lists its `Operation`s, each with its handler; `Dialect` contains what its API has in common: prefixes, form
of refusals, security. Statuses, texts and bodies are those of each API.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from headrace.web.errors import json_response
from headrace.web.parameters import Parameter
from headrace.web.schemas import OBJECT, Json, reference

JSON: Final = "application/json"
_ERROR: Final = "Error"
_LICENSE: Final = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
# Every operation that is not public needs an engine.
_UNAVAILABLE: Final = 503


@dataclass(frozen=True)
class Answer:
    """A successful answer of an operation; without a ``schema`` it has no body."""

    schema: Json | None = None
    status: int = 200
    media_type: str = JSON
    # Further media types of the answer, with their schemas.
    also: Mapping[str, Json] = field(default_factory=dict)
    # Empty: the operation's summary.
    description: str = ""


@dataclass(frozen=True)
class Header:
    """A header of all answers, or of those with one of ``statuses``."""

    name: str
    schema: Json
    description: str
    statuses: tuple[int, ...] = ()


@dataclass(frozen=True)
class Body:
    """The body of a request: a schema, or a pydantic model that reads it."""

    schema: Json | type[BaseModel]
    media_type: str = JSON
    is_required: bool = True
    # Further media types that are accepted, with their schemas.
    also: Mapping[str, Json] = field(default_factory=dict)
    # The content type of each part of a form, by its name.
    part_types: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Operation:
    """One method of one path, relative to the API's prefixes; ``{name}`` in it is a parameter."""

    method: str
    path: str
    handler: Handler
    summary: str
    answer: Answer
    refusals: tuple[int, ...] = ()
    parameters: tuple[Parameter[Any], ...] = ()
    body: Body | None = None
    # Empty: the handler's name.
    name: str = ""
    # Whether it is answered without authentication.
    is_public: bool = False
    # Whether HEAD is answered like GET.
    answers_head: bool = True
    description: str = ""
    # Further successful answers.
    more_answers: tuple[Answer, ...] = ()

    @property
    def operation_id(self) -> str:
        """The operation's id, unique in the document."""
        return self.name or getattr(self.handler, "__name__", "")

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods in the router."""
        return ("GET", "HEAD") if self.method == "GET" and self.answers_head else (self.method,)

    @property
    def route(self) -> str:
        """The path in the router."""
        path = self.path
        for parameter in self.parameters:
            if parameter.is_rest:
                path = path.replace(f"{{{parameter.name}}}", f"{{{parameter.name}:.+}}")
        return path


def summary_of(handler: Callable[..., Any]) -> str:
    """Return the first line of a handler's docstring, the default summary of a row."""
    return (handler.__doc__ or "").partition("\n")[0].removesuffix(".")


@dataclass(frozen=True, kw_only=True)
class Routing:
    """The prefixes and spellings of routes: sufficient for operations that no document describes."""

    prefixes: tuple[str, ...] = ("",)
    # Whether a path also matches with a slash at its end.
    takes_slash: bool = False
    # Whether HEAD is answered like GET by default.
    answers_head: bool = True

    def route(self, app: web.Application, operations: Iterable[Operation]) -> None:
        """Route every operation, below every prefix."""
        for prefix, operation in product(self.prefixes, operations):
            methods = operation.methods if self.answers_head else (operation.method,)
            for spelling, method in product(self.spellings(prefix + operation.route), methods):
                app.router.add_route(method, spelling, operation.handler)

    def spellings(self, path: str) -> tuple[str, ...]:
        """Return the forms in which a client may write the path."""
        if not self.takes_slash:
            return (path,)
        bare = path.removesuffix("/")
        return (bare, f"{bare}/") if bare else ("/",)


@dataclass(frozen=True)
class Dialect(Routing):
    """The common properties of one API's operations."""

    title: str
    version: str
    # The reason of each status, for the document.
    refusals: Mapping[int, str]
    # The JSON Schema of a refusal.
    error: Json
    # The JSON Schemas of refusals whose status has another form.
    errors: Mapping[int, Json] = field(default_factory=dict)
    error_media_type: str = JSON
    description: str = ""
    # The path of the document, below each prefix.
    document_path: str = "/openapi.json"
    document_name: str = "openapi"
    schemas: Mapping[str, Json] = field(default_factory=dict)
    security: Mapping[str, Json] = field(default_factory=dict)
    # The statuses with which every operation that is not public may refuse.
    common_refusals: tuple[int, ...] = (_UNAVAILABLE,)
    # The statuses with which every operation may refuse, including public ones.
    refusals_to_all: tuple[int, ...] = ()
    # Parameters that every operation accepts in addition to its own, and headers that answers contain.
    parameters: tuple[Parameter[Any], ...] = ()
    headers: tuple[Header, ...] = ()


class Operations:
    """An API: its dialect and its operations."""

    def __init__(self, dialect: Dialect, operations: Sequence[Operation]) -> None:
        self._dialect = dialect
        self._operations = (
            *operations,
            Operation(
                "GET",
                dialect.document_path,
                self._openapi,
                "This document",
                Answer(OBJECT),
                name=dialect.document_name,
                is_public=True,
            ),
        )

    def add_to(self, app: web.Application) -> None:
        """Route every operation and the document."""
        self._dialect.route(app, self._operations)

    @cached_property
    def document(self) -> Json:
        """Return the OpenAPI document; its paths are below each of its servers."""
        dialect = self._dialect
        paths: Json = {}
        for operation in self._operations:
            paths.setdefault(operation.path, {})[operation.method.lower()] = self._described(operation)
        schemas = {**dialect.schemas, **_models(self._operations), _ERROR: dialect.error}
        about = {"title": dialect.title, "version": dialect.version, "description": dialect.description}
        return {
            "openapi": "3.1.0",
            "info": {name: text for name, text in about.items() if text} | {"license": _LICENSE},
            "servers": [{"url": prefix or "/"} for prefix in dialect.prefixes],
            "paths": paths,
            "components": {"schemas": schemas, "securitySchemes": dict(dialect.security)},
        }

    async def _openapi(self, _request: web.Request) -> web.Response:
        return json_response(self.document)

    def _described(self, operation: Operation) -> Json:
        dialect = self._dialect
        described: Json = {
            "operationId": operation.operation_id,
            "summary": operation.summary,
            "security": [] if operation.is_public else [{name: []} for name in dialect.security],
            "parameters": [item.document for item in (*dialect.parameters, *operation.parameters)],
            "responses": self._responses(operation),
        }
        if operation.description:
            described["description"] = operation.description
        if operation.body is not None:
            described["requestBody"] = _request_body(operation.body)
        return described

    def _responses(self, operation: Operation) -> Json:
        dialect = self._dialect
        common = () if operation.is_public else dialect.common_refusals
        responses = {
            answer.status: self._response(
                answer.status, answer.description or operation.summary, _content(answer)
            )
            for answer in (operation.answer, *operation.more_answers)
        }
        for status in sorted({*operation.refusals, *common, *dialect.refusals_to_all}):
            schema = dialect.errors.get(status, reference(_ERROR))
            content = {"content": {dialect.error_media_type: {"schema": schema}}}
            responses[status] = self._response(status, dialect.refusals[status], content)
        return {str(status): response for status, response in responses.items()}

    def _response(self, status: int, description: str, content: Json) -> Json:
        headers = {
            header.name: {"description": header.description, "schema": header.schema}
            for header in self._dialect.headers
            if not header.statuses or status in header.statuses
        }
        return {"description": description, **content} | ({"headers": headers} if headers else {})


def _content(answer: Answer) -> Json:
    if answer.schema is None:
        return {}
    forms = {answer.media_type: answer.schema, **answer.also}
    return {"content": {media_type: {"schema": schema} for media_type, schema in forms.items()}}


def _request_body(body: Body) -> Json:
    content = {body.media_type: {"schema": _schema(body.schema)}}
    if body.part_types:
        content[body.media_type]["encoding"] = {
            name: {"contentType": content_type} for name, content_type in body.part_types.items()
        }
    content |= {media_type: {"schema": schema} for media_type, schema in body.also.items()}
    return {"required": body.is_required, "content": content}


def _schema(schema: Json | type[BaseModel]) -> Json:
    return schema if isinstance(schema, dict) else reference(schema.__name__)


def _models(operations: Sequence[Operation]) -> Json:
    """Return the schemas of every model that reads a body, with the schemas that they refer to."""
    models = [
        operation.body.schema
        for operation in operations
        if operation.body is not None and not isinstance(operation.body.schema, dict)
    ]
    if not models:
        return {}
    unique = list(dict.fromkeys(models))
    _, made = models_json_schema(
        [(model, "validation") for model in unique], ref_template="#/components/schemas/{model}"
    )
    return dict(made["$defs"])
