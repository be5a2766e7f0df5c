"""The permissions of a client, from RBAC. If RBAC does not answer, the client sees nothing."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from headrace.runtime.errors import Permanent, Retryable
from headrace.runtime.logging import get_logger
from headrace.web.errors import Refusal
from headrace.web.peer import Peer
from headrace_services.ros_api.callers import Caller

_log = get_logger(__name__)

FIRST_PAGE: Final = "/api/rbac/v1/access/?application=cost-management&limit=100"
_MAX_PAGES: Final = 50
_REFUSED: Final = "User is not authorized"
_UNANSWERED: Final = "unable to ask RBAC what the user may see"
_CLUSTER: Final = "openshift.cluster"
_PROJECT: Final = "openshift.project"
_NODE: Final = "openshift.node"
_ALL: Final = "*"


@dataclass(frozen=True)
class Access:
    """Cluster UUIDs (lower case) and projects a caller may see; None is all of them."""

    clusters: frozenset[str] | None = None
    projects: frozenset[str] | None = None


EVERYTHING: Final = Access()


def access_of(entries: Iterable[Any]) -> Access | None:
    """What RBAC's entries allow together; None is nothing."""
    granted: dict[str, set[str]] = {}
    for entry in entries:
        if not isinstance(entry, dict):
            continue
        parts = str(entry.get("permission", "")).split(":")
        if len(parts) > 1 and parts[1] in {_CLUSTER, _PROJECT, _NODE, _ALL}:
            granted.setdefault(parts[1], set()).update(_values(entry.get("resourceDefinitions")))
    # Rows know no node: who may see some nodes only may see none of them, who may see all, all.
    if _ALL in granted or (_ALL in granted.get(_NODE, ()) and not granted.keys() & {_CLUSTER, _PROJECT}):
        return EVERYTHING
    if not granted.keys() & {_CLUSTER, _PROJECT}:
        return None
    clusters = _limited(granted.get(_CLUSTER))
    return Access(
        clusters=None if clusters is None else frozenset(value.lower() for value in clusters),
        projects=_limited(granted.get(_PROJECT)),
    )


def _limited(values: set[str] | None) -> frozenset[str] | None:
    return None if values is None or _ALL in values else frozenset(values)


def _values(definitions: Any) -> Iterator[str]:
    """The resources that definitions name; no definitions at all name every one."""
    if not definitions:
        yield _ALL
        return
    for definition in definitions if isinstance(definitions, list) else ():
        chosen = definition.get("attributeFilter") if isinstance(definition, dict) else None
        value = chosen.get("value") if isinstance(chosen, dict) else None
        if isinstance(value, str):
            yield from value.split(",")
        elif isinstance(value, list):
            yield from (str(item) for item in value if item is not None)


class Rbac:
    """RBAC's access endpoint."""

    def __init__(self, peer: Peer, *, within_seconds: float) -> None:
        self._peer = peer
        self._within_seconds = within_seconds

    async def access(self, caller: Caller) -> Access:
        """What the caller may see; raises 403 for nothing, `Retryable` when RBAC does not tell."""
        try:
            async with asyncio.timeout(self._within_seconds):
                entries = await self._entries(caller)
        except (Retryable, Permanent, TimeoutError) as error:
            _log.warning("rbac_unavailable", reason=str(error) or type(error).__name__)
            raise Retryable(_UNANSWERED) from error
        access = access_of(entries)
        if access is None:
            raise Refusal(403, _REFUSED)
        return access

    async def _entries(self, caller: Caller) -> list[Any]:
        entries: list[Any] = []
        path = FIRST_PAGE
        for _ in range(_MAX_PAGES):
            answer = await self._peer.call("GET", path, headers=caller.headers)
            if answer.status in {401, 403}:
                return []
            body = answer.body
            if answer.status != 200 or not isinstance(body, dict) or not isinstance(body.get("data"), list):
                raise Permanent(f"RBAC answered {answer.shown}")
            entries += body["data"]
            links = body.get("links")
            following = links.get("next") if isinstance(links, dict) else None
            if not following:
                return entries
            # Its own host may be written in it; we stay with the one we were told.
            parts = urlsplit(str(following))
            path = f"/{parts.path.lstrip('/')}?{parts.query}"
        raise Permanent(f"RBAC sent more than {_MAX_PAGES} pages")
