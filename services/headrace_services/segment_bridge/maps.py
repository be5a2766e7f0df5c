"""``get-uid-map`` and ``get-workspace-map``: users and their workspaces according to Kubernetes.

Objects that cannot become an entry are left out and counted by reason; reasons contain no names of people.
"""

import json
from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final

from headrace.kubernetes import Cluster
from headrace.runtime.settings import load
from headrace_services.segment_bridge.kv_store import Lookup, upload
from headrace_services.segment_bridge.settings import HOST_NAMESPACE, MapSettings, SplunkSettings
from headrace_services.segment_bridge.splunk import Splunk

_GROUP: Final = "toolchain.dev.openshift.com"
_USER_SIGNUPS: Final = f"/apis/{_GROUP}/v1alpha1/namespaces/{HOST_NAMESPACE}/usersignups"
_NAMESPACES: Final = "/api/v1/namespaces"
_TENANTS: Final = f"{_GROUP}/type=tenant"
_ID: Final = f"{_GROUP}/sso-user-id"
_SPACE: Final = f"{_GROUP}/space"


@dataclass
class FoundMap:
    """One map. ``skipped`` counts objects without an entry, ``replaced`` entries that a later one replaced."""

    entries: dict[str, str | int] = field(default_factory=dict, repr=False)
    skipped: Counter[str] = field(default_factory=Counter)
    replaced: int = 0

    def add(self, name: str, value: str | int) -> None:
        """Add an entry; a later value replaces an earlier one."""
        self.replaced += self.entries.get(name, value) != value
        self.entries[name] = value

    def json(self) -> bytes:
        """Return one JSON object on a line, as the scripts print it."""
        # orjson cannot write ids with more than 64 bits.
        return json.dumps(self.entries, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


async def uid_map(settings: MapSettings | None = None, *, upload_to_splunk: bool = False) -> FoundMap:
    """Return user names with SSO user ids, from the UserSignups of the host cluster.

    Raises `ConfigurationError` if no cluster is known, `Retryable` and `Permanent` as `Cluster` does.
    """
    settings = settings or load(MapSettings)
    found = FoundMap()
    async with _cluster(settings, settings.host_context) as cluster:
        async for signup in cluster.items(_USER_SIGNUPS):
            _add_user(found, signup, numeric=settings.numeric_ids)
    if upload_to_splunk:
        await _upload(found, user_ids=True)
    return found


async def workspace_map(settings: MapSettings | None = None, *, upload_to_splunk: bool = False) -> FoundMap:
    """Return tenants' namespaces with workspaces, of every context in ``CONTEXTS``; later ones win.

    Raises like `uid_map`.
    """
    settings = settings or load(MapSettings)
    found = FoundMap()
    contexts = settings.contexts.split() or [""]
    async with AsyncExitStack() as opened:
        # All contexts are resolved first, so that a wrong name fails before any request.
        clusters = [await opened.enter_async_context(_cluster(settings, context)) for context in contexts]
        for cluster in clusters:
            async for namespace in cluster.items(_NAMESPACES, _TENANTS):
                _add_namespace(found, namespace)
    if upload_to_splunk:
        await _upload(found, user_ids=False)
    return found


def _cluster(settings: MapSettings, context: str) -> Cluster:
    if settings.kubeconfig:
        return Cluster.from_kubeconfig(settings.kubeconfig, context or None)
    return Cluster.find(context or None)


def _add_user(found: FoundMap, signup: Mapping[str, Any], *, numeric: bool) -> None:
    name = (signup.get("status") or {}).get("compliantUsername")
    user_id = ((signup.get("metadata") or {}).get("annotations") or {}).get(_ID)
    if not name:
        found.skipped["UserSignup without compliantUsername"] += 1
    elif not user_id:
        found.skipped[f"UserSignup without annotation {_ID}"] += 1
    else:
        found.add(name, _number(user_id) if numeric else user_id)


def _number(user_id: str) -> str | int:
    """Return a number as upstream writes it, unless that would not be JSON."""
    return (
        int(user_id) if user_id.isascii() and user_id.isdigit() and str(int(user_id)) == user_id else user_id
    )


def _add_namespace(found: FoundMap, namespace: Mapping[str, Any]) -> None:
    metadata = namespace.get("metadata") or {}
    space = (metadata.get("labels") or {}).get(_SPACE)
    if space:
        found.add(metadata["name"], space)
    else:
        found.skipped[f"tenant namespace without label {_SPACE}"] += 1


async def _upload(found: FoundMap, *, user_ids: bool) -> None:
    settings = load(SplunkSettings)
    lookup = (
        Lookup(settings.collection, "username", "uid")
        if user_ids
        else Lookup(settings.workspace_collection, "namespace", "workspace")
    )
    async with Splunk(settings) as splunk:
        await upload(splunk, lookup, found.entries)
