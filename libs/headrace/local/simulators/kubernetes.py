"""A simulator of Kubernetes API servers, read-only: discovery, objects and lists, selectors, pages, bearer tokens.

One listener serves several clusters, each below a path of its own, as a kubeconfig may say.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

import orjson
import yaml
from aiohttp import web

from headrace.local.simulators import kubernetes_api as api
from headrace.local.simulators.selectors import Selector, labels
from headrace.local.simulators.simulator import Simulator
from headrace.web.errors import json_response

NAMESPACES: Final = api.NAMESPACE.collection
USER_SIGNUPS: Final = api.USER_SIGNUP.collection

Object = api.Object


_HEALTH: Final = frozenset({"/livez", "/readyz", "/healthz"})
# As kubectl shows them.
_REASONS: Final = {400: "BadRequest", 401: "Unauthorized", 404: "NotFound", 410: "Expired"}


class SimulatedCluster:
    """The objects of one cluster, by the path of their collection and their name."""

    def __init__(self) -> None:
        self.collections: dict[str, dict[str, Object]] = {
            resource.collection: {} for resource in api.RESOURCES
        }
        self.since = datetime.now(UTC)

    def put(self, collection: str, *objects: Object) -> None:
        """Add or replace, e.g. in ``/api/v1/namespaces``."""
        self.collections.setdefault(collection, {}).update(
            (item["metadata"]["name"], item) for item in objects
        )

    def fill(self, *, user_signups: Iterable[Object] = (), namespaces: Iterable[Object] = ()) -> None:
        """What the segment bridge reads."""
        self.put(USER_SIGNUPS, *user_signups)
        self.put(NAMESPACES, *namespaces)

    def objects(self, path: str) -> list[Object] | None:
        """Those of a collection; of a kind we know there is one in every namespace, and one of all."""
        if path in self.collections:
            return list(self.collections[path].values())
        resource = api.resource_of(path)
        if resource is None:
            return None
        kinds = [name for name in self.collections if api.resource_of(name) is resource]
        wanted = kinds if path == resource.everywhere else ()
        return [item for name in wanted for item in self.collections[name].values()]


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
        app.router.add_get("/{context:(?!(?:apis?|openapi)/)[^/]+}{path:/.+}", self._answer)
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
        return self._at(cluster, path, request)

    def _at(self, cluster: SimulatedCluster, path: str, request: web.Request) -> web.Response:
        if (found := api.about(path)) is not None:
            return json_response(found)
        if path in _HEALTH:
            return web.Response(text="ok")
        objects = cluster.objects(path)
        if objects is None:
            return _one(cluster, path, request)
        if request.query.get("watch") in {"true", "1"}:
            # Nothing ever changes.
            return web.Response(content_type="application/json")
        return self._page(path, objects, cluster, request)

    def _page(
        self, path: str, objects: Sequence[Object], cluster: SimulatedCluster, request: web.Request
    ) -> web.Response:
        query = request.query
        try:
            wanted, fields = (
                Selector(query.get("labelSelector", "")),
                Selector(query.get("fieldSelector", "")),
            )
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
            for place, item in enumerate(islice(objects, start, None), start)
            if wanted.matches(labels(item)) and fields.matches(partial(api.at, item))
        )
        page = list(islice(found, limit)) if limit else list(found)
        more = next(found, None)
        metadata = {"resourceVersion": "1"}
        if more is not None:
            metadata["continue"] = _token(more[0], fresh=False)
        return _listed(api.resource_of(path), [item for _, item in page], metadata, cluster, request)


def _one(cluster: SimulatedCluster, path: str, request: web.Request) -> web.Response:
    collection, _, name = path.rpartition("/")
    resource = api.resource_of(collection)
    found = cluster.collections.get(collection, {}).get(name)
    if found is None:
        kind = ".".join(filter(None, (resource.plural, resource.group))) if resource else ""
        reason = f'{kind} "{name}" not found' if kind else "the server could not find the requested resource"
        return _status(404, reason)
    if api.wants_table(request.headers.get("Accept", "")):
        return json_response(api.table(resource, [found], {"resourceVersion": "1"}, cluster.since))
    head = {"kind": resource.kind, "apiVersion": resource.api} if resource else {}
    return json_response({**head, **found})


def _listed(
    resource: api.Resource | None,
    items: Sequence[Object],
    metadata: Object,
    cluster: SimulatedCluster,
    request: web.Request,
) -> web.Response:
    if api.wants_table(request.headers.get("Accept", "")):
        return json_response(api.table(resource, items, metadata, cluster.since))
    kind, version = (resource.kind, resource.api) if resource else ("", "v1")
    return json_response({"kind": f"{kind}List", "apiVersion": version, "metadata": metadata, "items": items})


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
            "reason": _REASONS.get(code, ""),
            "message": message,
            "code": code,
        },
        code,
    )
