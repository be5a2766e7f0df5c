"""The other services, by their REST."""

from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

import aiohttp

from headrace.contracts.headers import REQUEST_ID_HEADER
from headrace.runtime.errors import Permanent, Retryable
from headrace.runtime.logging import redact
from headrace.web.multipart import file_form
from headrace.web.peer import Answer, Peer
from headrace_services.console.callers import Viewer

_TRACKER: Final = "/api/v1/headrace/payloads"
_ASSISTED: Final = "/api/assisted-events/v1"
_ROS: Final = "/api/ros/v1"
_RECOMMENDATION: Final = "/api/cost-management/v1/recommendations/openshift/container"
_UNITS: Final = {"cpu-unit": "cores", "memory-unit": "bytes"}
# Pages of workloads with similar names among which the one of a recommendation is sought.
_MAX_PAGES: Final = 5
_SECONDS: Final = 5.0
_MAX_BYTES: Final = 8 << 20
_UPLOAD: Final = "/api/ingress/v1/upload"
_UPLOAD_SECONDS: Final = 600.0
_CONNECT_SECONDS: Final = 5.0
_SHOWN_CHARACTERS: Final = 1000


class NotThere(Permanent):
    """A service answered 404."""


def peer(session: aiohttp.ClientSession, url: str, name: str) -> Peer:
    """Return a client with the console's limits."""
    return Peer(session, url, name=name, timeout_seconds=_SECONDS, max_bytes=_MAX_BYTES)


def _document(name: str, answer: Answer) -> dict[str, Any]:
    """Return the object that a service answered; raises `NotThere` or `Permanent` with what it said instead."""
    if answer.status == 404:
        raise NotThere(f"{name} answered {answer.shown}")
    if answer.status != 200 or not isinstance(answer.body, dict):
        raise Permanent(f"{name} answered {answer.shown}")
    return answer.body


@dataclass(frozen=True)
class Tracker:
    """The payload tracker."""

    peer: Peer

    async def payloads(self, viewer: Viewer, query: Mapping[str, str]) -> dict[str, Any]:
        """Return a page of payloads, newest first."""
        answer = await self.peer.call("GET", _TRACKER, params=query, headers=viewer.headers())
        return _document("payload_tracker", answer)

    async def payload(self, viewer: Viewer, request_id: str) -> dict[str, Any] | None:
        """Return a payload with its statuses; None while the tracker does not know it."""
        path = f"{_TRACKER}/{quote(request_id, safe='')}"
        try:
            return _document("payload_tracker", await self.peer.call("GET", path, headers=viewer.headers()))
        except NotThere:
            return None


@dataclass(frozen=True)
class Archiver:
    """The archiver."""

    peer: Peer

    async def archives(self, viewer: Viewer, org_id: str, request_id: str) -> list[dict[str, Any]]:
        """Return the archives of an organisation's payload."""
        answer = await self.peer.call(
            "GET",
            "/api/archives/v1/archives",
            params={"request_id": request_id},
            headers=viewer.headers(org_id or None),
        )
        rows: list[dict[str, Any]] = _document("archiver", answer)["data"]
        return rows


@dataclass(frozen=True)
class Aggregator:
    """The results aggregator; its organisations are numbers."""

    peer: Peer

    async def reports(self, viewer: Viewer, org_id: str, request_id: str) -> list[dict[str, Any]]:
        """Return the stored reports that came of a payload."""
        answer = await self.peer.call(
            "GET",
            f"/api/v1/headrace/requests/{quote(request_id, safe='')}",
            headers=viewer.headers(org_id or None),
        )
        rows: list[dict[str, Any]] = _document("results_aggregator", answer)["reports"]
        return rows

    async def clusters(self, viewer: Viewer, query: Mapping[str, str]) -> dict[str, Any]:
        """Return a page of clusters, those with the newest report first."""
        answer = await self.peer.call(
            "GET", "/api/v1/headrace/clusters", params=query, headers=viewer.headers(viewer.own or None)
        )
        return _document("results_aggregator", answer)

    async def cluster(self, viewer: Viewer, cluster: str) -> dict[str, Any] | None:
        """Return one cluster with its hits; None if the organisation has no report of it."""
        path = f"/api/v1/headrace/clusters/{quote(cluster, safe='')}"
        try:
            answer = await self.peer.call("GET", path, headers=viewer.headers(viewer.own or None))
            found: dict[str, Any] = _document("results_aggregator", answer)["cluster"]
        except NotThere:
            return None
        return found

    async def decide(
        self, viewer: Viewer, cluster: str, rule_id: str, error_key: str, answer: str, message: str
    ) -> None:
        """Switch a rule off (``disable``, with a reason) or on (``enable``) for a cluster."""
        names = (cluster, "rules", rule_id, "error_key", error_key, "organizations", viewer.own)
        path = "/api/v1/clusters/" + "/".join(quote(name, safe="") for name in names)
        headers = viewer.headers(viewer.own)
        _document("results_aggregator", await self.peer.call("PUT", f"{path}/{answer}", headers=headers))
        if answer == "disable":
            _document(
                "results_aggregator",
                await self.peer.call(
                    "POST",
                    f"{path}/users/console/disable_feedback",
                    json={"message": message},
                    headers=headers,
                ),
            )


@dataclass(frozen=True)
class RosApi:
    """The ROS API; amounts are asked for in cores and bytes."""

    peer: Peer

    async def recommendations(self, viewer: Viewer, query: Mapping[str, str]) -> dict[str, Any]:
        """Return a page of the recommendations for containers."""
        return _document("ros_api", await self._get(viewer, "/recommendations", query, _UNITS))

    async def spreadsheet(self, viewer: Viewer, query: Mapping[str, str]) -> str:
        """Return the recommendations as CSV."""
        answer = await self._get(viewer, "/recommendations", query, {"format": "csv"})
        if answer.status != 200:
            raise Permanent(f"ros_api answered {answer.shown}")
        return answer.text

    async def recommendation(self, viewer: Viewer, identifier: str) -> dict[str, Any] | None:
        """Return one recommendation; None if the organisation has none of this id."""
        headers = viewer.headers(viewer.own or None)
        path = f"{_RECOMMENDATION}/{quote(identifier, safe='')}"
        try:
            return _document("ros_api", await self.peer.call("GET", path, params=_UNITS, headers=headers))
        except NotThere:
            return None

    async def history(self, viewer: Viewer, identifier: str, query: Mapping[str, str]) -> dict[str, Any]:
        """Return a page of what was recommended, newest first."""
        path = f"/recommendations/{quote(identifier, safe='')}/history"
        return _document("ros_api", await self._get(viewer, path, query, _UNITS))

    async def workloads(self, viewer: Viewer, query: Mapping[str, str]) -> dict[str, Any]:
        """Return a page of workloads with what came of their last poll."""
        return _document("ros_api", await self._get(viewer, "/headrace/workloads", query))

    async def usage(
        self, viewer: Viewer, recommendation: Mapping[str, Any], points: int
    ) -> dict[str, Any] | None:
        """Return the usage of a recommendation's container; None if its workload is not found."""
        names = {
            name: str(recommendation.get(name) or "") for name in ("project", "workload", "cluster_uuid")
        }
        query = {name.removesuffix("_uuid"): text for name, text in names.items()} | {"limit": "100"}
        for _ in range(_MAX_PAGES):
            page = await self.workloads(viewer, query)
            for row in page["data"]:
                same = (*names, "workload_type")
                if all(row.get(name) == recommendation.get(name) for name in same):
                    wanted = {"points": str(points), "container": str(recommendation.get("container") or "")}
                    path = f"/workloads/{quote(str(row['workload_id']), safe='')}/usage"
                    return _document("ros_api", await self._get(viewer, path, wanted))
            if not page["next"]:
                break
            query["cursor"] = page["next"]
        return None

    async def _get(self, viewer: Viewer, path: str, *queries: Mapping[str, str]) -> Answer:
        params = {name: text for query in queries for name, text in query.items()}
        headers = viewer.headers(viewer.own or None)
        return await self.peer.call("GET", f"{_ROS}{path}", params=params, headers=headers)


@dataclass(frozen=True)
class AssistedEvents:
    """The sender of the assisted installer's events; ``token`` is empty where its API is open."""

    peer: Peer
    token: str = field(default="", repr=False)

    async def sendings(self, query: Mapping[str, str]) -> dict[str, Any]:
        """Return a page of sendings, newest first, and how many there are."""
        return _document("assisted_events", await self._get("/sendings", query))

    async def cluster(self, cluster_id: str) -> dict[str, Any]:
        """Return a cluster with its opt-out; raises `NotThere` for one that the installer does not know."""
        return _document("assisted_events", await self._get(f"/clusters/{quote(cluster_id, safe='')}", {}))

    async def _get(self, path: str, query: Mapping[str, str]) -> Answer:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return await self.peer.call("GET", f"{_ASSISTED}{path}", params=query, headers=headers)


@dataclass(frozen=True)
class Sent:
    """What ingress answered to an upload."""

    status: int
    request_id: str
    text: str

    @property
    def is_accepted(self) -> bool:
        """Whether the upload is on its way."""
        return self.status in {200, 201, 202}


@dataclass(frozen=True)
class Ingress:
    """Ingress, as a sender sees it."""

    session: aiohttp.ClientSession
    url: str

    async def upload(
        self,
        chunks: AsyncIterable[bytes],
        *,
        file_name: str,
        content_type: str,
        request_id: str,
        headers: Mapping[str, str],
    ) -> Sent:
        """Pass a file on while it arrives; raises `Retryable` if ingress does not answer."""
        form = file_form(chunks, file_name=file_name, content_type=content_type)
        timeout = aiohttp.ClientTimeout(total=_UPLOAD_SECONDS, sock_connect=_CONNECT_SECONDS)
        try:
            async with self.session.post(
                self.url.rstrip("/") + _UPLOAD,
                data=form,
                headers={**headers, REQUEST_ID_HEADER: request_id},
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                text = (await response.content.read(_SHOWN_CHARACTERS)).decode(errors="replace")
                told = response.headers.get(REQUEST_ID_HEADER, "") or request_id
                return Sent(response.status, told, redact(text.strip()))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Retryable(f"ingress does not answer: {type(error).__name__}") from error
