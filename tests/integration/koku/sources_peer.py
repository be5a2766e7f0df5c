"""The wire of the Sources API as far as koku uses it, with faults on demand."""

import asyncio
import base64
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.serving import serving

PREFIX = "/api/sources/v1.0"
TYPES = {
    "source_types": [{"id": "3", "name": "amazon"}, {"id": "8", "name": "openshift"}],
    "application_types": [{"id": "1", "name": "/insights/platform/catalog"},
                          {"id": "5", "name": "/insights/platform/cost-management"}],
}  # fmt: skip


@dataclass
class SourcesPeer:
    url: str = ""
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {"sources": [], "applications": []})
    calls: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    # What every call is answered; 0: what is true.
    status: int = 0
    # POSTs wait until so many have arrived, so that they race for sure.
    rendezvous: int = 1
    _waiting: int = 0
    _all_there: asyncio.Event = field(default_factory=asyncio.Event)
    _next_id: int = 7

    def add(self, cluster_id: str, org_id: str, *, application: bool = True, **fields: Any) -> dict[str, Any]:
        source = self._insert(
            "sources",
            {"name": f"name of {cluster_id}", "source_type_id": "8", "source_ref": cluster_id} | fields,
            org_id,
        )
        if application:
            fields = {"source_id": source["id"], "application_type_id": "5"}
            self._insert("applications", fields, org_id)
        return source

    def of(self, org_id: str, collection: str = "sources") -> list[dict[str, Any]]:
        return [row for row in self.rows[collection] if row["tenant"] == org_id]

    def _insert(self, collection: str, fields: dict[str, Any], tenant: str) -> dict[str, Any]:
        row = {**fields, "id": str(self._next_id), "uid": str(uuid.uuid4()), "tenant": tenant}
        self._next_id += 1
        self.rows[collection].append(row)
        return row

    def application(self) -> web.Application:
        app = web.Application(middlewares=[self._faults])
        app.router.add_get(PREFIX + "/{collection}", self._list)
        app.router.add_post(PREFIX + "/{collection}", self._create)
        app.router.add_delete(PREFIX + "/sources/{id}", self._delete)
        return app

    @web.middleware
    async def _faults(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.calls.append(f"{request.method} {request.path.removeprefix(PREFIX)}")
        self.headers.append(dict(request.headers))
        if self.status:
            return web.json_response({"errors": [{"detail": "told so"}]}, status=self.status)
        return await handler(request)

    async def _list(self, request: web.Request) -> web.Response:
        collection = request.match_info["collection"]
        tenant = _tenant(request)
        found = TYPES[collection] if collection in TYPES else self.of(tenant, collection)
        for name, value in request.query.items():
            wanted = name.removeprefix("filter[").removesuffix("]")
            found = [row for row in found if row[wanted] == value]
        return web.json_response(
            {"data": found, "meta": {"count": len(found), "limit": 100, "offset": 0}, "links": {}}
        )

    async def _create(self, request: web.Request) -> web.Response:
        collection = request.match_info["collection"]
        fields, tenant = await request.json(), _tenant(request)
        self._waiting += 1
        if self._waiting >= self.rendezvous:
            self._all_there.set()
        await self._all_there.wait()
        if collection == "sources" and any(row["name"] == fields["name"] for row in self.of(tenant)):
            detail = "bad request: Validation failed: Name has already been taken"
            return web.json_response({"errors": [{"detail": detail, "status": "400"}]}, status=400)
        return web.json_response(self._insert(collection, fields, tenant), status=201)

    async def _delete(self, request: web.Request) -> web.Response:
        tenant, wanted = _tenant(request), request.match_info["id"]
        self.rows["sources"] = [
            row for row in self.rows["sources"] if (row["id"], row["tenant"]) != (wanted, tenant)
        ]
        return web.Response(status=204)


def _tenant(request: web.Request) -> str:
    return json.loads(base64.b64decode(request.headers["x-rh-identity"]))["identity"]["org_id"]


@asynccontextmanager
async def serving_sources() -> AsyncIterator[SourcesPeer]:
    peer = SourcesPeer()
    async with serving(peer.application()) as url:
        peer.url = url
        yield peer
