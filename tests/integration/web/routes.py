"""Every route of every service, and two organisations' requests to it."""

import asyncio
import io
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

from multidict import CIMultiDict
from yarl import URL

from headrace_services.payload_tracker import api as payload_tracker
from headrace_services.sources_api import api as sources_api
from tests.integration.web.conftest import Everything, resolved
from tests.integration.web.tenants import Organisation

# Each with the reason why no organisation is asked for.
WITHOUT_TENANTS: Final = {
    "kruize": "between services only: the network policy lets the ROS services reach it"
}
OPEN: Final = {
    r"[^{]*/openapi\.json/?": "the document, the same for everybody",
    r"[^{]*/(version|info|health|readiness|liveness)/?|/status": "probes",
    r"[^{]*/metrics/?": "counts, of no organisation",
    r"/v1/feedback/status": "whether the installation keeps feedback",
    r"/docs": "the document for people, the same for everybody",
    r"/v1/mcp/client-auth-headers": "an empty list, the same for everybody",
    r"/api/sources/v[0-9.]+/(source|application)_types(/\{id\})?": "the catalogue, the same for everybody",
    r"/|(/app/payload-tracker)?/api/v1/?": "an answer to a load balancer",
}
# Where a service serves under more of them than its document names.
PREFIXES: Final = {"sources_api": sources_api.PREFIXES, "payload_tracker": payload_tracker.PREFIXES}
AT_ONCE: Final = 16
# What names the organisation in a request.
NAMING: Final = ("org_id", "organization", "organizations", "account")
# Names in bodies of what is known by another.
SAME: Final = {"rule": "rule_selector", "source_ref": "cluster"}
# What a service takes by that name, so that it comes to asking whose a thing is.
TAKEN: Final = {
    "resource_type": "Source", "host": "x.example", "scheme": "https", "event_time": "2026-11-30T00:00:00Z",
}  # fmt: skip
WORDS: Final = {"string": "x", "integer": 1, "number": 1, "boolean": True}


@dataclass(frozen=True)
class Route:
    """One method of one path; ``item`` is the document's operation, empty where it has none."""

    service: str
    method: str
    path: str
    item: dict[str, Any] = field(hash=False, compare=False)

    @property
    def parameters(self) -> list[str]:
        return re.findall(r"\{(\w+)\}", self.path)

    @property
    def query(self) -> list[str]:
        return [item["name"] for item in self.item.get("parameters", ()) if item["in"] == "query"]

    @property
    def headers(self) -> list[str]:
        """Those of the document that say no identity."""
        names = (item["name"] for item in self.item.get("parameters", ()) if item["in"] == "header")
        return [name for name in names if "identity" not in name.lower()]

    @property
    def is_open(self) -> bool:
        return any(re.fullmatch(pattern, self.path) for pattern in OPEN)

    def __str__(self) -> str:
        return f"{self.service} {self.method} {self.path}"


# Its path with the query, its headers, its body's type and bytes.
Request = tuple[Route, str, list[tuple[str, str]], tuple[str, bytes] | None]


@dataclass(frozen=True)
class Asked:
    """A request and what became of it."""

    route: Route
    url: str
    sent: str
    status: int
    headers: str
    body: str

    def shown(self, secrets: Iterable[str]) -> set[str]:
        """Those secrets that the answer shows, unless the request named them."""
        text, sent = unquote(f"{self.headers} {self.body}").lower(), unquote(self.sent).lower()
        return {secret for secret in secrets if secret.lower() in text and secret.lower() not in sent}

    def __str__(self) -> str:
        return f"{self.route.method} {self.url}: {self.status} {self.body[-400:]!r}"


@dataclass
class Scene:
    """Every service with the data of two organisations; ``intruder`` has none, and writes.

    What a third wrote beside it does not make the second's answers name what is the first's.
    """

    everything: Everything
    ours: Organisation
    theirs: Organisation
    intruder: Organisation
    user_data: Path
    routes: list[Route]

    async def ask(self, request: Request) -> Asked:
        """Send it and read the whole answer."""
        route, path, headers, body = request
        base = self.everything.urls[route.service]
        sent = CIMultiDict(headers)
        content = b""
        if body is not None:
            sent["Content-Type"], content = body
        said = " ".join(
            (path, content.decode("latin-1"), *(f"{name}: {text}" for name, text in sent.items()))
        )
        if any(not text.isascii() for text in sent.values()):
            return Asked(route, path, said, *await _raw(URL(base), route.method, path, sent, content))
        async with self.everything.session.request(
            route.method,
            URL(base + path, encoded=True),
            headers=sent,
            data=io.BytesIO(content) if content else None,
            allow_redirects=False,
        ) as response:
            answered = (await response.read()).decode("utf-8", "replace")
            return Asked(route, path, said, response.status, str(response.headers), answered)

    async def all(self, requests: Iterable[Request]) -> list[Asked]:
        """Ask all, a few at once."""
        places = asyncio.Semaphore(AT_ONCE)

        async def one(request: Request) -> Asked:
            async with places:
                return await self.ask(request)

        return await asyncio.gather(*(one(request) for request in requests))

    def operations(self) -> list[list[Route]]:
        """Routes that are one operation in several spellings, together."""
        found: dict[tuple[str, str, int], list[Route]] = {}
        for route in self.routes:
            found.setdefault((route.service, route.method, id(route.item)), []).append(route)
        return list(found.values())

    def paths(self, route: Route, *owners: Organisation) -> list[str]:
        """With everything that the last owner has for its parameters; the first one's organisation is named."""
        first, last = owners[0], owners[-1]
        known = last.known | {name: first.known[name] for name in NAMING}
        for name in route.parameters:
            assert known.get(name), f"{route}: say in tenants.py what an organisation has as {name!r}"
        count = max([1, *(len(known[name]) for name in route.parameters)])
        return [
            re.sub(
                r"\{(\w+)\}",
                lambda found, n=number: quote(known[found[1]][n % len(known[found[1]])], safe=""),  # type: ignore[misc]
                route.path,
            )
            for number in range(count)
        ]

    def questions(self, route: Route, *owners: Organisation) -> Iterator[str]:
        """Its paths with each parameter of the query."""
        known = owners[-1].known
        for path in self.paths(route, *owners):
            for name in route.query:
                inner = re.sub(r".*\[(?:exact:)?(\w+)\]", r"\1", name)
                values = known.get(name) or known.get(inner) or known["cluster"]
                yield from (f"{path}?{quote(name)}={quote(value, safe='')}" for value in values)

    def bodies(self, route: Route, owner: Organisation) -> list[tuple[str, bytes] | None]:
        """Those that the document asks for, with everything of the owner's."""
        document = self.everything.documents[route.service]
        content = resolved(document, route.item.get("requestBody", {})).get("content", {})
        found: list[tuple[str, bytes] | None] = []
        for kind, what in content.items():
            if kind.startswith("multipart/"):
                found.append(_upload(owner))
            elif "json" in kind:
                for full in (True, False):
                    value = _made(document, what.get("schema", {}), owner.known, "", full=full)
                    found.append((kind, json.dumps(value).encode()))
            else:
                found.append((kind, b"x"))
        return found or [None]


def _upload(owner: Organisation) -> tuple[str, bytes]:
    metadata = json.dumps({"cluster_id": owner.cluster, "account": owner.account})
    text = (
        '--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n'
        "Content-Type: application/vnd.redhat.ols.periodic+tar\r\n\r\nbytes\r\n"
        f'--b\r\nContent-Disposition: form-data; name="metadata"\r\n\r\n{metadata}\r\n--b--\r\n'
    )
    return "multipart/form-data; boundary=b", text.encode()


def _made(
    document: dict[str, Any],
    schema: Any,
    known: dict[str, list[str]],
    name: str,
    *,
    full: bool,
    depth: int = 0,
) -> Any:
    """A value of the schema; what has the name of something known is that."""
    schema = resolved(document, schema)
    for key in {"allOf", "anyOf", "oneOf"} & schema.keys():
        return _made(document, schema[key][0], known, name, full=full, depth=depth)
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        wanted = schema.get("properties", {}) if depth < 5 else {}
        return {
            key: _made(document, item, known, key, full=full, depth=depth + 1)
            for key, item in wanted.items()
            if full or key in schema.get("required", ())
        }
    if kind == "array":
        return [_made(document, schema.get("items", {}), known, name, full=full, depth=depth + 1)]
    values = known.get(SAME.get(name, name)) or (known["id"] if name.endswith("_id") else None)
    if not values and (schema.get("format") == "uuid" or "cluster" in name):
        values = known["cluster"]
    value = values[0] if values else TAKEN.get(name, schema.get("minimum", WORDS.get(kind, "x")))
    return int(value) if kind == "integer" and str(value).isdigit() else value


async def _raw(
    url: URL, method: str, path: str, headers: CIMultiDict[str], content: bytes
) -> tuple[int, str, str]:
    """Status, headers and body of a request that no client library sends."""
    reader, writer = await asyncio.open_connection(url.host, url.port)
    lines = [f"{method} {path} HTTP/1.1", f"Host: {url.authority}", "Connection: close"]
    lines += [f"{name}: {text}" for name, text in headers.items()]
    lines += [f"Content-Length: {len(content)}", "", ""]
    try:
        writer.write("\r\n".join(lines).encode("utf-8", "surrogateescape") + content)
        async with asyncio.timeout(60):
            answer = (await reader.read()).decode("utf-8", "replace")
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
    head, _, body = answer.partition("\r\n\r\n")
    return int(head.split(" ", 2)[1]), head, body


def routes_of(everything: Everything) -> list[Route]:
    """Every route of every router, with the document's operation where it has one."""
    found = []
    for context in everything.host.contexts:
        if not context.listeners:
            continue
        service = context.row.name
        described = described_by(everything, service)
        for route in context.listeners[0]._runner.app.router.routes():
            assert route.resource is not None
            path = re.sub(r"\{(\w+):[^}]*\}", r"{\1}", route.resource.canonical)
            # A route may be there twice, with a slash at its end and without.
            known = any(
                (one.service, one.method, f"{one.path}/") == (service, route.method, path) for one in found
            )
            if not known and route.method not in {"HEAD", "OPTIONS", "*"}:
                found.append(
                    Route(service, route.method, path, described.get((route.method, plain(path)), {}))
                )
    return found


def described_by(everything: Everything, service: str) -> dict[tuple[str, str], dict[str, Any]]:
    """The document's operations by method and path, under every prefix that they are served under."""
    document = everything.documents[service]
    first = _paths_of(document)
    prefixes = PREFIXES.get(service, first)
    return {
        (method, plain(prefix + path.removeprefix(first[0]))): item
        for of, method, path, item in everything.operations
        if of == service
        for prefix in prefixes
    }


def _paths_of(document: dict[str, Any]) -> list[str]:
    return [URL(server["url"]).path.rstrip("/") for server in document.get("servers") or [{"url": "/"}]]


def plain(path: str) -> str:
    """Without the names of parameters: a document may name them otherwise."""
    return re.sub(r"\{\w+\}", "{}", path).rstrip("/") or "/"
