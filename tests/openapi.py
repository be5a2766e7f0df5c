"""What every HTTP API has to be like, held against the document that its service serves.

A service's test derives from `Conformance` and adds only its own facts.
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import aiohttp
import pytest
import schemathesis
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case
from schemathesis.specs.openapi.checks import ignored_auth, negative_data_rejection, positive_data_acceptance

# What an API stands on, where only its routes are asked for.
ABSENT: Any = None
# HEAD comes with GET; a route of every method redirects to another.
_ALSO = frozenset({"HEAD", "*"})


@dataclass(frozen=True)
class Served:
    """A running service, and how it is asked."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    # These path parameters stand in for made-up ones most of the time, or nothing but refusals would be seen.
    known: Mapping[str, Any] = field(default_factory=dict)


class Conformance:
    """The tests of a document. The fixture ``served``, of any scope, is the running service."""

    # The service draws its jitter in the same process, while hypothesis watches for just that.
    pytestmark: ClassVar[list[pytest.MarkDecorator]] = [
        pytest.mark.filterwarnings("ignore:Do not use the `random` module")
    ]

    # Below what the document's paths are.
    prefix: ClassVar[str] = ""
    # Where it is, below the prefix.
    document_path: ClassVar[str] = "/openapi.json"
    # How many requests are made up for each operation.
    examples: ClassVar[int]
    # A service says why each of these is not checked.
    not_checked: ClassVar[Sequence[Callable[..., Any]]] = (
        ignored_auth,
        positive_data_acceptance,
        negative_data_rejection,
    )
    # The names of the operations, where clients know them.
    operations: ClassVar[frozenset[str] | None] = None
    # The paths of routes that no document describes.
    unlisted: ClassVar[frozenset[str]] = frozenset()
    # Schemas that a description names, as no other schema can.
    in_words: ClassVar[frozenset[str]] = frozenset()

    def application(self) -> web.Application:
        """The API without what it stands on: its routes."""
        raise NotImplementedError

    def narrowed(self, document: dict[str, Any]) -> dict[str, Any]:
        """The document for made-up requests, where some that it allows would take too long."""
        return document

    async def test_every_answer_is_in_the_document(self, served: Served) -> None:
        address = f"{served.url}{self.prefix}{self.document_path}"
        async with aiohttp.ClientSession() as session, session.get(address) as response:
            document: dict[str, Any] = json.loads(await response.read())
        assert self.prefix in {server["url"].removesuffix("/") for server in document["servers"]}
        checked = await asyncio.to_thread(self._check_all, served, self.narrowed(document))
        names = _names(document)
        assert len(checked) == len(names)
        assert self.operations in {None, frozenset(names)}

    async def test_every_route_is_in_the_document(self) -> None:
        described = {
            (method.upper(), f"{server['url'].removesuffix('/')}{path}".rstrip("/"))
            for document in (await self._documents()).values()
            for server in document["servers"]
            for path, item in document["paths"].items()
            for method in item
        }
        routes = {(method, path.rstrip("/")) for method, path in self._routes() if method not in _ALSO}
        assert routes >= described
        assert {path for _, path in routes - described} == {path.rstrip("/") for path in self.unlisted}

    async def test_every_reference_leads_somewhere_and_every_schema_is_used(self) -> None:
        document = await self._document()
        named = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
        assert _references(document) == named - {f"#/components/schemas/{name}" for name in self.in_words}

    async def test_operations_are_named_once(self) -> None:
        names = _names(await self._document())
        assert len(set(names)) == len(names)

    async def _document(self) -> dict[str, Any]:
        return (await self._documents())[self.prefix + self.document_path]

    async def _documents(self) -> dict[str, dict[str, Any]]:
        """Every document, by its path; an API may have one for each of its prefixes."""
        found = {}
        for (method, path), handler in self._routes().items():
            if method == "GET" and path.endswith(self.document_path):
                response = await handler(None)
                found[path] = json.loads(response.body)
        return found

    def _routes(self) -> dict[tuple[str, str], Any]:
        """The handlers, by method and path."""
        routes = self.application().router.routes()
        return {(route.method, route.resource.canonical): route.handler for route in routes if route.resource}

    def _check_all(self, served: Served, document: dict[str, Any]) -> list[str]:
        """Ask for every operation in many ways; returns the names of the operations."""
        schema = schemathesis.openapi.from_dict(document)
        schema.config.update(base_url=f"{served.url}{self.prefix}")
        left_out = st.sets(st.sampled_from(sorted(served.known))) if served.known else st.just(set())
        checked = []
        found: Any
        for found in schema.get_all_operations():
            operation: Any = found.ok()  # type: ignore[union-attr]
            checked.append(operation.definition.raw["operationId"])

            @settings(
                max_examples=self.examples,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(), made_up=left_out)
            def check(case: Case[Any], made_up: set[str]) -> None:
                for name in case.path_parameters or {}:
                    if name in served.known and name not in made_up:
                        case.path_parameters[name] = served.known[name]
                response = case.call(headers=dict(served.headers), timeout=60)
                case.validate_response(response, excluded_checks=list(self.not_checked))

            check()
        return checked


def _names(document: dict[str, Any]) -> list[str]:
    return [operation["operationId"] for item in document["paths"].values() for operation in item.values()]


def _references(part: Any) -> set[str]:
    if isinstance(part, dict):
        own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
        return own.union(*(_references(item) for item in part.values()))
    return set().union(*(_references(item) for item in part)) if isinstance(part, list) else set()
