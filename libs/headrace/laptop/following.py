"""Follows a payload: the statuses from the tracker, the archives from the archiver."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeVar
from urllib.parse import quote

import aiohttp
import orjson

from headrace.contracts.status import ERROR, TERMINAL
from headrace.laptop.uploads import as_organisation
from headrace.runtime.errors import Permanent, Retryable
from headrace.web.peer import reason_of

_REQUEST_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.05
_SOON_SECONDS: Final = 60.0
# More than one request: a tracker that is slow once, or starts again, ends nothing.
_SILENT_SECONDS: Final = 15.0

T = TypeVar("T")


@dataclass(frozen=True)
class Hop:
    """One status that a service reported."""

    id: int
    service: str
    status: str
    message: str
    date: datetime
    org_id: str = ""

    @property
    def tells(self) -> bool:
        """Whether a person learns something from it: an end, or a message. That work began is no news by itself."""
        return self.status in TERMINAL or bool(self.message)

    def milliseconds_after(self, start: datetime) -> int:
        """Return how long after ``start`` the status was reported."""
        return round((self.date - start).total_seconds() * 1000)


@dataclass(frozen=True)
class Archive:
    """The place of a copy of an upload."""

    service: str
    bucket: str
    key: str
    cluster_id: str = ""


@dataclass
class Trail:
    """The statuses and archives of one request; ``missing`` names the services without a final status."""

    request_id: str
    hops: list[Hop] = field(default_factory=list)
    missing: frozenset[str] = frozenset()
    archives: list[Archive] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        """Return why the payload did not arrive; nothing if it did."""
        reported = [f"{hop.service} reports: {hop.message}" for hop in self.hops if hop.status == ERROR]
        silent = [f"no final status from {', '.join(sorted(self.missing))}"] if self.missing else []
        return reported + silent


class Flow:
    """The REST APIs of the tracker and, if known, of the archiver."""

    def __init__(self, session: aiohttp.ClientSession, tracker_url: str, archiver_url: str = "") -> None:
        self._session = session
        self._tracker = tracker_url.rstrip("/")
        self._archiver = archiver_url.rstrip("/")

    async def hops(self, request_id: str, org_id: str = "") -> list[Hop]:
        """Return every status of an organisation's request, oldest first; none while the tracker does not know it.

        Without an organisation no identity is sent, and a tracker that requires one raises `Permanent`.
        """
        url = f"{self._tracker}/api/v1/payloads/{quote(request_id, safe='')}?sort_by=date&sort_dir=asc"
        answer = await self._get(url, headers=as_organisation(org_id) if org_id else None)
        return [_hop(row) for row in answer["data"]] if answer else []

    async def archives(self, request_id: str, org_id: str) -> list[Archive]:
        """The finished archives of a request, oldest first."""
        if not self._archiver:
            return []
        url = f"{self._archiver}/api/archives/v1/archives?request_id={quote(request_id, safe='')}"
        answer = await self._get(url, headers=as_organisation(org_id))
        rows = answer["data"] if answer else []
        return [
            Archive(row["service"], row["bucket"], row["key"], row["cluster_id"])
            for row in rows
            if row["copied_at"]
        ]

    async def follow(
        self,
        trail: Trail,
        *,
        services: Mapping[str, frozenset[str]],
        org_id: str = "",
        known: Collection[int] = (),
        within_seconds: float = 30.0,
    ) -> AsyncIterator[Hop]:
        """Yield each status as the tracker receives it, until every service has a final one.

        Services behind a failed one are not awaited. ``known`` are ids of earlier statuses. At the deadline
        ``trail.missing`` names the services without a final status. Raises `Retryable` when the tracker has not
        answered for 15 seconds.
        """
        answered = time.monotonic()
        deadline = answered + within_seconds
        seen = set(known)
        trail.missing = frozenset(services)
        while trail.missing and time.monotonic() < deadline:
            try:
                hops = await self.hops(trail.request_id, org_id)
            except Retryable:
                if time.monotonic() - answered > _SILENT_SECONDS:
                    raise
                hops = []
            else:
                answered = time.monotonic()
            for hop in hops:
                if hop.id in seen:
                    continue
                seen.add(hop.id)
                trail.hops.append(hop)
                if hop.status in TERMINAL:
                    trail.missing -= {hop.service}
                if hop.status == ERROR:
                    trail.missing -= {name for name, before in services.items() if hop.service in before}
                yield hop
            if trail.missing:
                await asyncio.sleep(_POLL_SECONDS)

    async def _get(self, url: str, headers: dict[str, str] | None = None) -> Any:
        timeout = aiohttp.ClientTimeout(total=_REQUEST_SECONDS)
        try:
            async with self._session.get(url, headers=headers, timeout=timeout) as response:
                body = await response.read()
                if response.status == 404:
                    return None
                if response.status == 401:
                    raise Permanent(f"{url} requires an organisation: use --org-id")
                if response.status != 200:
                    raise Retryable(
                        f"{url} answered {response.status}: {body[:300].decode(errors='replace')}"
                    )
                return orjson.loads(body)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise Retryable(f"{url} cannot be read: {reason_of(error)}") from None


async def soon(
    look: Callable[[], Awaitable[T | None]], failure: str, within_seconds: float = _SOON_SECONDS
) -> T:
    """Return the result of ``look`` when it finds something; raises `Permanent` with the failure at the deadline."""
    deadline = time.monotonic() + within_seconds
    while True:
        reason = ""
        try:
            if (found := await look()) is not None:
                return found
        except Retryable as error:
            reason = f": {error}"
        if time.monotonic() > deadline:
            raise Permanent(f"{failure}{reason}")
        await asyncio.sleep(_POLL_SECONDS)


def _hop(row: dict[str, Any]) -> Hop:
    return Hop(
        id=row["id"],
        service=row["service"],
        status=row["status"],
        message=row.get("status_msg", ""),
        date=datetime.fromisoformat(row["date"]).astimezone(UTC),
        org_id=row.get("org_id", ""),
    )
