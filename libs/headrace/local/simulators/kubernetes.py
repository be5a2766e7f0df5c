"""A simulator of Kubernetes API servers, read-only: objects and lists, label selectors, pages, bearer tokens.

One listener serves several clusters, each below a path of its own, as a kubeconfig may say.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final

import orjson
import yaml
from aiohttp import web

from headrace.local.simulators.simulator import Simulator
from headrace.web.errors import json_response

NAMESPACES: Final = "/api/v1/namespaces"
USER_SIGNUPS: Final = (
    "/apis/toolchain.dev.openshift.com/v1alpha1/namespaces/toolchain-host-operator/usersignups"
)
# The collections a server has even when they are empty.
_KINDS: Final = {NAMESPACES: "NamespaceList", USER_SIGNUPS: "UserSignupList"}

Object = Mapping[str, Any]


class SimulatedCluster:
    """The objects of one cluster, by the path of their collection and their name."""

    def __init__(self) -> None:
        self.collections: dict[str, dict[str, Object]] = {path: {} for path in _KINDS}

    def put(self, collection: str, *objects: Object) -> None:
        """Add or replace, e.g. in ``/api/v1/namespaces``."""
        self.collections.setdefault(collection, {}).update(
            (item["metadata"]["name"], item) for item in objects
        )

    def fill(self, *, user_signups: Iterable[Object] = (), namespaces: Iterable[Object] = ()) -> None:
        """What the segment bridge reads."""
        self.put(USER_SIGNUPS, *user_signups)
        self.put(NAMESPACES, *namespaces)


class KubernetesSimulator(Simulator):
    """Clusters by the name of their context."""

    def __init__(self, *contexts: str, port: int = 0) -> None:
        super().__init__(port)
        self.clusters = {name: SimulatedCluster() for name in contexts or ("simulated",)}
        # What requests must show, if anything. A client shows it over TLS only, which a test puts before us.
        self.token = ""
        self.requests: list[str] = []
        # Statuses that the next requests get instead of an answer, with their headers.
        self.faults: list[tuple[int, Mapping[str, str]]] = []
        # The list that pages come from is dropped after so many pages, once.
        self.expire_after_pages = 0
        self.offer_newer_list = True

    def application(self) -> web.Application:
        """Every path of every cluster."""
        app = web.Application()
        app.router.add_get("/{context:(?!apis?/)[^/]+}{path:/.+}", self._answer)
        # What a pod asks: no path before the API's, the first cluster.
        app.router.add_get("/{path:.+}", self._answer)
        return app

    def write_kubeconfig(self, path: Path) -> Path:
        """A file with a context a cluster, the first one current."""
        names = list(self.clusters)
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": names[0],
            "clusters": [{"name": name, "cluster": {"server": f"{self.url}/{name}"}} for name in names],
            "contexts": [{"name": name, "context": {"cluster": name, "user": ""}} for name in names],
        }
        path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
        return path

    async def _answer(self, request: web.Request) -> web.Response:
        self.requests.append(request.path_qs)
        if self.faults:
            status, headers = self.faults.pop(0)
            answer = _status(status, "told so")
            answer.headers.update(headers)
            return answer
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            return _status(401, "Unauthorized")
        cluster = self.clusters.get(request.match_info.get("context", next(iter(self.clusters))))
        path = f"/{request.match_info['path'].lstrip('/')}"
        if cluster is None:
            return _status(404, "the server could not find the requested resource")
        if path in cluster.collections:
            return self._page(path, cluster.collections[path], request.query)
        collection, _, name = path.rpartition("/")
        found = cluster.collections.get(collection, {}).get(name)
        return json_response(found) if found else _status(404, f'"{name}" not found')

    def _page(self, path: str, objects: Mapping[str, Object], query: Mapping[str, str]) -> web.Response:
        try:
            wanted = _Selector(query.get("labelSelector", ""))
            limit = int(query.get("limit") or 0)
            start, fresh = _decoded(query["continue"]) if query.get("continue") else (0, True)
        except ValueError as error:
            return _status(400, str(error))
        if start and not fresh and self.expire_after_pages == 1:
            self.expire_after_pages = 0
            return _status(
                410,
                "The provided continue parameter is too old to display a consistent list result.",
                {"continue": _token(start, fresh=True)} if self.offer_newer_list else {},
            )
        self.expire_after_pages = max(0, self.expire_after_pages - 1)
        found = (
            (place, item)
            for place, item in enumerate(islice(objects.values(), start, None), start)
            if wanted.matches(item)
        )
        page = list(islice(found, limit)) if limit else list(found)
        more = next(found, None)
        metadata = {"resourceVersion": "1"}
        if more is not None:
            metadata["continue"] = _token(more[0], fresh=False)
        kind = _KINDS.get(path, "List")
        return json_response({"kind": kind, "metadata": metadata, "items": [item for _, item in page]})


class _Selector:
    """``k=v``, ``k==v``, ``k!=v``, ``k``, ``!k``, joined by commas."""

    def __init__(self, text: str) -> None:
        self._terms = [_term(part) for part in text.split(",") if part]

    def matches(self, item: Object) -> bool:
        labels = item["metadata"].get("labels") or {}
        return all(
            ((name in labels) if value is None else labels.get(name) == value) is wanted
            for name, value, wanted in self._terms
        )


def _term(text: str) -> tuple[str, str | None, bool]:
    if "(" in text or " " in text:
        raise ValueError(f"unable to parse requirement: this simulator knows no {text!r}")
    for operator, wanted in (("!=", False), ("==", True), ("=", True)):
        if operator in text:
            name, _, value = text.partition(operator)
            return name, value, wanted
    return text.lstrip("!"), None, not text.startswith("!")


def _token(start: int, *, fresh: bool) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([start, fresh])).decode()


def _decoded(token: str) -> tuple[int, bool]:
    try:
        start, fresh = orjson.loads(base64.urlsafe_b64decode(token))
    except (binascii.Error, ValueError):
        raise ValueError("continue key is not valid") from None
    return start, fresh


def _status(code: int, message: str, metadata: Mapping[str, str] | None = None) -> web.Response:
    return json_response(
        {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": dict(metadata or {}),
            "status": "Failure",
            "message": message,
            "code": code,
        },
        code,
    )
