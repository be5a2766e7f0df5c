"""What the Kubernetes simulator says of itself, so that kubectl finds its way: discovery, and lists as tables."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

Object = Mapping[str, Any]

_HOST: Final = "toolchain-host-operator"
# The release that the document's container has.
_VERSION: Final = {"major": "1", "minor": "27", "gitVersion": "v1.27.3", "platform": "linux/amd64"}
_VERBS: Final = ["get", "list"]


@dataclass(frozen=True)
class Resource:
    """A kind of object. ``columns`` are those of its table between name and age: heading and dotted path."""

    group: str
    version: str
    plural: str
    kind: str
    short: tuple[str, ...] = ()
    namespace: str = ""
    columns: tuple[tuple[str, str], ...] = ()

    @property
    def api(self) -> str:
        """``v1``, ``example.com/v1``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def base(self) -> str:
        """The path of its group's version."""
        return f"/apis/{self.api}" if self.group else f"/api/{self.version}"

    @property
    def collection(self) -> str:
        """The path of its objects, those of its own namespace if it has one."""
        return f"{self.base}/{f'namespaces/{self.namespace}/' * bool(self.namespace)}{self.plural}"

    @property
    def everywhere(self) -> str:
        """The path of its objects in every namespace."""
        return f"{self.base}/{self.plural}"

    def of_discovery(self) -> dict[str, Any]:
        """As a list of resources has it."""
        return {
            "name": self.plural, "singularName": self.kind.lower(), "namespaced": bool(self.namespace),
            "kind": self.kind, "verbs": _VERBS, "shortNames": list(self.short),
        }  # fmt: skip


NAMESPACE: Final = Resource(
    "", "v1", "namespaces", "Namespace", ("ns",), columns=(("Status", "status.phase"),)
)
USER_SIGNUP: Final = Resource(
    "toolchain.dev.openshift.com", "v1alpha1", "usersignups", "UserSignup", namespace=_HOST,
    columns=(("Username", "spec.username"), ("CompliantUsername", "status.compliantUsername")),
)  # fmt: skip
RESOURCES: Final = (NAMESPACE, USER_SIGNUP)


def resource_of(collection: str) -> Resource | None:
    """The kind of a collection's objects, if it is one of ours, whatever the namespace."""
    for resource in RESOURCES:
        inside = collection.startswith(f"{resource.base}/namespaces/") and resource.namespace
        if collection == resource.everywhere or (inside and collection.endswith(f"/{resource.plural}")):
            return resource
    return None


def about(path: str) -> dict[str, Any] | None:
    """The answer to a path of discovery, None for any other."""
    return _DISCOVERY.get(path.rstrip("/"), lambda: None)()


def _versions(*resources: Resource) -> dict[str, Any]:
    found = [{"groupVersion": resource.api, "version": resource.version} for resource in resources]
    return {"name": resources[0].group, "versions": found, "preferredVersion": found[0]}


def _groups() -> dict[str, Any]:
    groups = [_versions(resource) for resource in RESOURCES if resource.group]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def _group(resource: Resource) -> Callable[[], dict[str, Any]]:
    return lambda: {"kind": "APIGroup", "apiVersion": "v1", **_versions(resource)}


def _resources(api: str) -> Callable[[], dict[str, Any]]:
    found = [resource.of_discovery() for resource in RESOURCES if resource.api == api]
    return lambda: {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api, "resources": found}


_DISCOVERY: Final[Mapping[str, Callable[[], dict[str, Any] | None]]] = {
    "/version": lambda: dict(_VERSION),
    "/api": lambda: {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []},
    "/apis": _groups,
    "/openapi/v3": lambda: {"paths": {}},
    **{resource.base: _resources(resource.api) for resource in RESOURCES},
    **{f"/apis/{resource.group}": _group(resource) for resource in RESOURCES if resource.group},
}


def wants_table(accept: str) -> bool:
    """Whether a client would have a list as kubectl prints it."""
    return "as=Table" in accept


def table(
    resource: Resource | None, items: Iterable[Object], metadata: Object, since: datetime
) -> dict[str, Any]:
    """Objects as rows; what has no time of its creation is as old as the cluster."""
    columns = resource.columns if resource else ()
    headings = ("Name", *(heading for heading, _ in columns), "Age")
    rows = [
        {
            "cells": [item["metadata"]["name"], *(at(item, path) or "" for _, path in columns), _age(item, since)],
            "object": {
                "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": item["metadata"],
            },
        }
        for item in items
    ]  # fmt: skip
    definitions = [
        {"name": heading, "type": "string", "format": "name" * (heading == "Name"), "description": heading,
         "priority": 0}
        for heading in headings
    ]  # fmt: skip
    return {
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
        "columnDefinitions": definitions, "rows": rows,
    }  # fmt: skip


def at(item: Object, path: str) -> Any:
    """What stands at a dotted path."""
    found: Any = item
    for key in path.split("."):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


def _age(item: Object, since: datetime) -> str:
    created = item["metadata"].get("creationTimestamp")
    born = datetime.fromisoformat(created) if created else since
    return age(int((datetime.now(UTC) - born).total_seconds()))


def age(seconds: int) -> str:
    """As kubectl tells an age: two units while the second one says something."""
    for unit, length, smaller, size, both_below, alone_below in _UNITS:
        if seconds < alone_below:
            whole, rest = divmod(seconds, length)
            rest //= size
            return f"{whole}{unit}{f'{rest}{smaller}' if rest and seconds < both_below else ''}"
    return f"{seconds // (365 * 86_400)}y"


_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
# Unit, its length, the smaller one and its length; below the first bound both are told, below the second this one.
_UNITS: Final = (
    ("s", 1, "", 1, 0, 2 * _MINUTE),
    ("m", _MINUTE, "s", 1, 10 * _MINUTE, 3 * _HOUR),
    ("h", _HOUR, "m", _MINUTE, 8 * _HOUR, 2 * _DAY),
    ("d", _DAY, "h", _HOUR, 8 * _DAY, 2 * 365 * _DAY),
)
