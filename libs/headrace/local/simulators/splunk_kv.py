"""The KV store of the Splunk simulator: collections of an app, their documents, and the lookups that read them."""

import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import orjson
from aiohttp import web

from headrace.local.simulators.spl.kinds import Command, Kind, each
from headrace.local.simulators.spl.reading import Reader, SplError, unquoted
from headrace.local.simulators.spl.values import Event, text
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

    def commands(self) -> dict[str, Kind]:
        """The search commands that read lookups."""
        return {
            "lookup": Kind(self._lookup),
            "inputlookup": Kind(self._input_lookup, shapes=True, generates=True),
        }

    def _lookup(self, reader: Reader) -> Command:
        """Fields of the document whose fields are the event's."""
        documents = self._looked_up(reader)
        sought = _aliases(reader)
        wanted = _aliases(reader) if (keep := reader.accept("OUTPUTNEW")) or reader.accept("OUTPUT") else None

        def change(event: Event) -> None:
            key = {name: event.get(field) for name, field in sought.items()}
            found = next((item for item in documents() if _fits(item, key)), None)
            if found is None:
                return
            others = {name: name for name in found if name not in sought and not name.startswith("_")}
            for name, field in (others if wanted is None else wanted).items():
                if not keep or event.get(field) is None:
                    event.set(field, found.get(name))

        return each(change)

    def _input_lookup(self, reader: Reader) -> Command:
        documents = self._looked_up(reader)
        return lambda _events: (
            Event.of({name: value for name, value in item.items() if not name.startswith("_")})
            for item in documents()
        )

    def _looked_up(self, reader: Reader) -> Callable[[], Iterator[Document]]:
        name = unquoted(reader.take())
        form = self.lookups.get(name)
        if form is None:
            raise SplError(f"The lookup table '{name}' does not exist or is not available.")
        return lambda: iter(self.collections.get(form.get("collection", ""), {}).values())

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


def _aliases(reader: Reader) -> dict[str, str]:
    """``name AS field``, or both the same."""
    found: dict[str, str] = {}
    while reader.peek() is not None and reader.peek_word() not in {"OUTPUT", "OUTPUTNEW"}:
        if not reader.accept(","):
            name = unquoted(reader.take())
            found[name] = unquoted(reader.take()) if reader.accept("AS", "as") else name
    return found


def _fits(document: Document, key: Mapping[str, Any]) -> bool:
    return all(
        value is not None and name in document and text(document[name]) == text(value)
        for name, value in key.items()
    )


def _refused(status: int, text: str) -> web.Response:
    return json_response({"messages": [{"type": "ERROR", "text": text}]}, status)
