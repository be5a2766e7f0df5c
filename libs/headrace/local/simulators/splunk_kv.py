"""The KV store of the Splunk simulator: collections of an app, their documents, and the lookups that read them."""

import secrets
from collections.abc import Mapping
from typing import Any, Final

import orjson
from aiohttp import web

from headrace.web.errors import json_response

_BASE: Final = "/servicesNS/{owner}/{app}"
# Splunk's own limit of one batch.
_MAX_BATCH: Final = 1000

Document = dict[str, Any]


class KvStore:
    """Documents by collection and key."""

    def __init__(self) -> None:
        self.collections: dict[str, dict[str, Document]] = {}
        self.lookups: dict[str, dict[str, str]] = {}

    def add_routes(self, app: web.Application) -> None:
        """Splunk's paths, whatever the owner and app."""
        storage = f"{_BASE}/storage/collections"
        app.router.add_post(f"{storage}/config", self._create)
        app.router.add_get(f"{storage}/data/{{collection}}", self._list)
        app.router.add_delete(f"{storage}/data/{{collection}}", self._delete)
        app.router.add_post(f"{storage}/data/{{collection}}/batch_save", self._save)
        app.router.add_post(f"{_BASE}/data/transforms/lookups", self._define_lookup)

    async def _create(self, request: web.Request) -> web.Response:
        name = str((await request.post()).get("name", ""))
        if not name or name in self.collections:
            return _refused(409 if name else 400, f"An object with name={name} already exists")
        self.collections[name] = {}
        return json_response({"entry": [{"name": name}]}, 201)

    async def _list(self, request: web.Request) -> web.Response:
        documents = self._documents(request)
        if documents is None:
            return _refused(404, "Could not find object.")
        query = orjson.loads(request.query.get("query", "{}"))
        return json_response([item for item in documents.values() if _matches(item, query)])

    async def _delete(self, request: web.Request) -> web.Response:
        documents = self._documents(request)
        if documents is None:
            return _refused(404, "Could not find object.")
        query = orjson.loads(request.query.get("query", "{}"))
        for key in [key for key, item in documents.items() if _matches(item, query)]:
            del documents[key]
        return json_response({})

    async def _save(self, request: web.Request) -> web.Response:
        documents, batch = self._documents(request), orjson.loads(await request.read())
        if documents is None:
            return _refused(404, "Could not find object.")
        if len(batch) > _MAX_BATCH:
            return _refused(400, f"Request exceeds API limits - see limits.conf for details. ({_MAX_BATCH})")
        keys = [str(item.setdefault("_key", secrets.token_hex(12))) for item in batch]
        documents.update(zip(keys, batch, strict=True))
        return json_response(keys)

    async def _define_lookup(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        name = form.pop("name", "")
        if not name or name in self.lookups:
            return _refused(409 if name else 400, f"An object with name={name} already exists")
        self.lookups[name] = form
        return json_response({"entry": [{"name": name}]}, 201)

    def _documents(self, request: web.Request) -> dict[str, Document] | None:
        return self.collections.get(request.match_info["collection"])


def _matches(document: Mapping[str, Any], query: Mapping[str, Any]) -> bool:
    """Equality, and ``{"$ne": …}``."""
    return all(
        document.get(name) != wanted["$ne"] if isinstance(wanted, dict) else document.get(name) == wanted
        for name, wanted in query.items()
    )


def _refused(status: int, text: str) -> web.Response:
    return json_response({"messages": [{"type": "ERROR", "text": text}]}, status)
