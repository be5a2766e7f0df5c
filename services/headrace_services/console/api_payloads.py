"""Payloads: the list, and one payload's way with every reason."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from aiohttp import web

from headrace.archives import ArchiveLimits, ArchiveRejected, read_members
from headrace.contracts.message import utc_now
from headrace.objects.errors import ObjectNotFound
from headrace.objects.store import OCTETS, ObjectInfo, ObjectStore
from headrace.runtime.errors import Permanent
from headrace.service.flow import consumers_of
from headrace.service.row import Service
from headrace.web.errors import Refusal
from headrace.web.parameters import Choice, Parameter, Text
from headrace_services.console import words
from headrace_services.console.api_flow import SINCE
from headrace_services.console.callers import Viewer
from headrace_services.console.letters import Letters
from headrace_services.console.peers import Aggregator, Archiver, Tracker
from headrace_services.console.site import Site
from headrace_services.console.sources import Panel, panel
from headrace_services.console.waterfall import bars_of, hops_of, waterfall

REQUEST_ID: Final = Parameter(
    "request_id", Text(min_characters=1, max_bytes=1024), "", where="path", is_rest=True
)
STATES: Final = ("in_progress", "done", "failed", "silent")
_TEXT: Final = Text(max_bytes=1024)
FILTERS: Final = (
    Parameter("request_id", _TEXT, "", "beginning of a request id"),
    Parameter("cluster", _TEXT, "", "cluster id"),
    Parameter("service", _TEXT, "", "a service that reported"),
    Parameter("upload_service", _TEXT, "", "service in the content type of the upload"),
    Parameter("state", Choice(STATES), "", "state of the payload"),
    Parameter("refused", Choice(("true", "false")), "", "whether ingress refused it"),
    Parameter("cursor", Text(max_bytes=512), "", "where the page begins"),
)
_PAGE: Final = 50
# What a page shows of an archive; reading to its end would cost as much as handling it.
_MEMBERS: Final = 200
_LIMITS: Final = ArchiveLimits(max_members=2_000, max_total_bytes=256 << 20, host_tree=True)
_READ_SECONDS: Final = 4.0


@dataclass(frozen=True)
class Contents:
    """The members of an archive, as far as they were looked at; ``problem`` says why not further."""

    members: Sequence[tuple[str, int]]
    is_whole: bool
    problem: str = ""


@dataclass(frozen=True)
class PayloadPages:
    """The handlers and what they stand on."""

    site: Site
    rows: Sequence[Service]
    tracker: Tracker
    archiver: Archiver
    aggregator: Aggregator
    letters: Letters
    objects: ObjectStore
    bucket: str

    async def payloads(self, request: web.Request) -> web.Response:
        """Show payloads, newest first, those that the filters leave."""
        viewer = self.site.viewer(request)
        asked = {item.name: str(text) for item in FILTERS if (text := item.read(request.query))}
        since = SINCE.read(request.query)
        query = asked | {"limit": str(_PAGE)}
        if viewer.is_operator and viewer.org_id:
            query["org_id"] = viewer.org_id
        if since:
            query["created_since"] = since.isoformat()
        found = await panel("payload_tracker", self.tracker.payloads(viewer, query))
        return self.site.page(
            request,
            "payloads.html",
            viewer,
            title="Payloads",
            live="" if asked.get("cursor") else "payloads",
            found=found,
            asked={item.name: asked.get(item.name, "") for item in FILTERS},
            since=request.query.get("since", ""),
            is_filtered=bool(asked.keys() - {"cursor"}) or bool(since),
            states=STATES,
            services=[
                row.name.replace("_", "-") for row in self.rows if row.topics and row.name != "console"
            ],
        )

    async def payload(self, request: web.Request) -> web.Response:
        """Show what became of one payload: reasons first, then every service, its object and what came of it."""
        viewer = self.site.viewer(request)
        request_id = REQUEST_ID.read(request.match_info)
        found = await panel("payload_tracker", self.tracker.payload(viewer, request_id))
        if not found.problem and found.value is None:
            return self.site.page(
                request,
                "payload_unknown.html",
                viewer,
                title=request_id,
                live=f"payload:{request_id}",
                status=404,
                request_id=request_id,
            )
        payloads: list[dict[str, Any]] = found.value["payloads"] if found.value else []
        owner = str(payloads[0].get("org_id") or "") if len(payloads) == 1 else ""
        refused = bool(payloads) and all(item.get("refused") for item in payloads)
        now = utc_now()
        archives, stored, reports, letters = await asyncio.gather(
            panel("archiver", self.archiver.archives(viewer, owner, request_id)),
            panel("S3", self._stored(viewer, request_id, found), seconds=8.0),
            self._reports(viewer, owner, request_id, payloads),
            self._letters(viewer, request_id),
        )
        return self.site.page(
            request,
            "payload.html",
            viewer,
            title=request_id,
            live=f"payload:{request_id}",
            now=now,
            request_id=request_id,
            found=found,
            payloads=payloads,
            refused=refused,
            flows=self._waterfalls(found.value, now) if found.value else [],
            archives=archives,
            stored=stored,
            reports=reports,
            letters=letters,
        )

    def _waterfalls(self, document: Mapping[str, Any], now: datetime) -> list[Any]:
        """Return a picture for each organisation's payload."""
        drawn = []
        for payload in document["payloads"]:
            org_id = payload.get("org_id") or ""
            several = len(document["payloads"]) > 1
            rows = [
                row for row in document["statuses"] if not several or row.get("org_id") in {org_id, "", None}
            ]
            upstream = consumers_of(self.rows, payload.get("upload_service") or "")
            silent = [] if payload.get("refused") else payload.get("silent") or []
            hops = hops_of(rows)
            drawn.append((payload, waterfall(bars_of(hops, upstream, silent, now), now), rows))
        return drawn

    async def _stored(
        self, viewer: Viewer, request_id: str, found: Panel[dict[str, Any] | None]
    ) -> tuple[ObjectInfo, Contents] | None:
        """Return the upload's object and its members; nothing if it is not there or nobody says whose it is."""
        if not self._may_read(viewer, found.value):
            return None
        info = await self.objects.head(self.bucket, request_id)
        return None if info is None else (info, await self._contents(request_id))

    @staticmethod
    def _may_read(viewer: Viewer, document: Mapping[str, Any] | None) -> bool:
        """Whether the object is the viewer's: its key is the request id, which several organisations may have used."""
        if document is None:
            return False
        owners = {str(item.get("org_id") or "") for item in document["payloads"] if not item.get("refused")}
        if viewer.is_operator:
            return not viewer.org_id or viewer.org_id in owners
        return owners == {viewer.org_id}

    async def _contents(self, request_id: str) -> Contents:
        members: list[tuple[str, int]] = []
        try:
            async with (
                asyncio.timeout(_READ_SECONDS),
                self.objects.get(self.bucket, request_id, timeout_seconds=_READ_SECONDS) as chunks,
                aclosing(read_members(chunks, _LIMITS)) as found,
            ):
                async for member in found:
                    members.append((member.name, member.size_bytes))
                    if len(members) >= _MEMBERS:
                        return Contents(members, is_whole=False)
        except ArchiveRejected as error:
            return Contents(members, is_whole=False, problem=str(error))
        except (TimeoutError, ObjectNotFound):
            return Contents(members, is_whole=False, problem="the object could not be read in time")
        return Contents(members, is_whole=True)

    async def _reports(
        self, viewer: Viewer, owner: str, request_id: str, payloads: Sequence[Mapping[str, Any]]
    ) -> Panel[list[dict[str, Any]]] | None:
        """Return the reports that came of it; None for a payload that is for no rules, or of no known owner."""
        if not any(
            item.get("upload_service") == "openshift" and not item.get("refused") for item in payloads
        ):
            return None
        return await panel("results_aggregator", self.aggregator.reports(viewer, owner, request_id))

    async def _letters(self, viewer: Viewer, request_id: str) -> Panel[list[Any]] | None:
        """Return the dead letters of the payload; None for who may not see any."""
        if not viewer.is_operator:
            return None
        index = await panel("Kafka", self.letters.index())
        if index.value is None:
            return Panel(problem=index.problem)
        entries = index.value.letters(limit=20_000)
        return Panel([entry for entry in entries if entry.request_id == request_id][:_PAGE])

    async def download(self, request: web.Request) -> web.StreamResponse:
        """Answer the upload itself, as a file that no browser opens."""
        viewer = self.site.viewer(request)
        request_id = REQUEST_ID.read(request.match_info)
        document = await self.tracker.payload(viewer, request_id)
        if not self._may_read(viewer, document):
            raise Refusal(404, "there is no upload with this request id")
        info = await self.objects.head(self.bucket, request_id)
        if info is None:
            raise Refusal(404, "the upload is not stored, or not any more")
        name = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in request_id)[:100]
        response = web.StreamResponse(
            headers={
                "Content-Type": OCTETS,
                "Content-Length": str(info.size),
                "Content-Disposition": f'attachment; filename="{name}.bin"',
            }
        )
        async with self.objects.get(self.bucket, request_id) as chunks:
            await response.prepare(request)
            async for chunk in _checked(chunks, info.size):
                await response.write(chunk)
        await response.write_eof()
        return response


async def _checked(chunks: AsyncIterator[bytes], size: int) -> AsyncIterator[bytes]:
    """Pass chunks on; raises `Permanent` if the object changed while it was read."""
    left = size
    async for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            raise Permanent("the object changed while it was read")
        yield chunk


def shortened(text: str, characters: int = 120) -> str:
    """Return the beginning of a reason, for a list."""
    return words.visible(text, characters)
