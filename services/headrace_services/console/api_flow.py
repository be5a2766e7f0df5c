"""The overview and the topics: the flow as Kafka's offsets and the services' health reports show it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import aiohttp
from aiohttp import web

from headrace.bus import peeking
from headrace.bus.offsets import TopicOffsets
from headrace.contracts.message import rfc3339
from headrace.runtime.errors import Retryable
from headrace.runtime.settings import EngineSettings
from headrace.service.row import Service
from headrace.web.errors import Refusal
from headrace.web.parameters import Integer, Moment, Parameter, Text
from headrace.web.peer import Peer
from headrace_services.console import flow, pages, words
from headrace_services.console.letters import Letters
from headrace_services.console.peers import Tracker
from headrace_services.console.site import Site
from headrace_services.console.sources import Panel, panel
from headrace_services.console.watching import Traffic, TrafficReader

TOPIC: Final = Parameter("topic", Text(min_characters=1, max_bytes=249), "", where="path")
PARTITION: Final = Parameter("partition", Integer(0, 1_000_000), None, "only this partition")
_LAST: Final = 50
_SHOWN_BYTES: Final = 64 << 10
_HEALTH_SECONDS: Final = 2.0


def read_since(text: str) -> datetime:
    """Return a time as a browser's form sends it, which is UTC here; raises ``ValueError``."""
    found = words.moment(text.strip())
    if found is None:
        raise ValueError("expected a time such as 2026-11-30T12:00")
    return found


SINCE: Final = Parameter("since", Moment(read_since), None, "from this time on, UTC")


@dataclass(frozen=True)
class Health:
    """Asks health reports."""

    session: aiohttp.ClientSession
    urls: Sequence[str]

    async def states(self) -> dict[str, flow.State]:
        """Return the state of each service that a report names; raises `Retryable` if no report can be read."""
        return flow.states_of([report["services"] for report in await self._reports()])

    async def facts(self) -> dict[str, dict[str, Any]]:
        """Return what services tell about themselves, by service and name; raises `Retryable` like `states`."""
        found: dict[str, dict[str, Any]] = {}
        for report in await self._reports():
            told = report.get("facts") or {}
            for name in report["services"]:
                found.setdefault(name, {}).update(told.get(name) or {})
        return found

    async def _reports(self) -> list[dict[str, Any]]:
        if not self.urls:
            return []
        answers = await asyncio.gather(*map(self._report, self.urls), return_exceptions=True)
        reports = [answer for answer in answers if isinstance(answer, dict)]
        if not reports:
            raise Retryable(f"no health report can be read ({', '.join(self.urls)})")
        return reports

    async def _report(self, url: str) -> Any:
        peer = Peer(self.session, url, name="health", timeout_seconds=_HEALTH_SECONDS, max_bytes=1 << 20)
        try:
            answer = await peer.call("GET", "")
            body = answer.body
        except Retryable:
            # A report of something unhealthy is answered 503, with the same body.
            body = await self._unready(url)
        if not isinstance(body, dict) or not isinstance(body.get("services"), dict):
            raise Retryable(f"{url} answered no health report")
        return body

    async def _unready(self, url: str) -> Any:
        timeout = aiohttp.ClientTimeout(total=_HEALTH_SECONDS)
        try:
            async with self.session.get(url, timeout=timeout, allow_redirects=False) as response:
                return await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, ValueError, OSError) as error:
            raise Retryable(f"{url} does not answer: {type(error).__name__}") from error


@dataclass(frozen=True)
class FlowPages:
    """The handlers and what they stand on."""

    site: Site
    rows: Sequence[Service]
    traffic: TrafficReader
    letters: Letters
    tracker: Tracker
    health: Health
    engines: EngineSettings

    async def overview(self, request: web.Request) -> web.Response:
        """Show the flow: services, topics between them, what waits and what failed."""
        viewer = self.site.viewer(request)
        if not viewer.is_operator:
            raise web.HTTPFound(pages.link("/payloads"))
        chosen = {"org_id": viewer.org_id} if viewer.org_id else {}
        traffic, states, letters, failed, waiting, refused = await asyncio.gather(
            panel("Kafka", self.traffic.traffic()),
            panel("health", self.health.states(), seconds=3.0),
            panel("Kafka", self.letters.count()),
            panel(
                "payload_tracker",
                self.tracker.payloads(viewer, chosen | {"state": "failed", "refused": "false", "limit": "1"}),
            ),
            panel(
                "payload_tracker", self.tracker.payloads(viewer, chosen | {"state": "silent", "limit": "5"})
            ),
            panel(
                "payload_tracker", self.tracker.payloads(viewer, chosen | {"refused": "true", "limit": "1"})
            ),
        )
        graph = flow.graph_of(self.rows)
        return self.site.page(
            request,
            "overview.html",
            viewer,
            title="Overview",
            live="flow",
            graph=graph,
            rows=self.rows,
            traffic=traffic,
            states=states.value or {},
            health=states,
            letters=letters,
            failed=failed,
            waiting=waiting,
            refused=refused,
            lag=lag_of(traffic),
        )

    async def topics(self, request: web.Request) -> web.Response:
        """Show every topic with its rate, its records and the groups that read it."""
        viewer = self.site.operator(request)
        traffic = await panel("Kafka", self.traffic.traffic())
        return self.site.page(
            request,
            "topics.html",
            viewer,
            title="Topics",
            live="flow",
            traffic=traffic,
            topics=self._known(traffic),
            readers=self._readers(),
            writers=self._writers(),
            lag=lag_of(traffic),
        )

    async def topic(self, request: web.Request) -> web.Response:
        """Show a topic's partitions, groups and records: the newest, or those from a time on."""
        viewer = self.site.operator(request)
        name = TOPIC.read(request.match_info)
        since, partition = SINCE.read(request.query), PARTITION.read(request.query)
        known = {
            topic for row in self.rows for item in row.topics for topic in (item.name, item.dead_letters)
        }
        if name not in known:
            raise Refusal(404, "no service of the table reads or writes a topic of this name")
        traffic, records = await asyncio.gather(
            panel("Kafka", self.traffic.traffic()),
            panel("Kafka", self._peek(name, since, partition), seconds=12.0),
        )
        offsets = traffic.value.snapshot.topics.get(name) if traffic.value else None
        return self.site.page(
            request,
            "topic.html",
            viewer,
            title=name,
            name=name,
            traffic=traffic,
            offsets=offsets,
            readers=self._readers().get(name, []),
            writers=self._writers().get(name, []),
            groups=groups_of(traffic, name),
            records=records,
            since=request.query.get("since", ""),
            partition=request.query.get("partition", ""),
            content=lambda value: words.content(value, _SHOWN_BYTES),
            written=rfc3339,
        )

    async def _peek(self, name: str, since: datetime | None, partition: int | None) -> list[peeking.Peeked]:
        return await peeking.peek(
            self.engines, name, last=_LAST, since=since, partition=partition, max_value_bytes=_SHOWN_BYTES
        )

    def _known(self, traffic: Panel[Traffic]) -> list[tuple[str, TopicOffsets | None]]:
        found = traffic.value.snapshot.topics if traffic.value else {}
        names = dict.fromkeys(item.name for row in self.rows for item in row.topics)
        every = [*names, *(f"{name}.dlq" for name in names)]
        return [(name, found.get(name)) for name in every]

    def _readers(self) -> Mapping[str, list[tuple[str, str]]]:
        readers: dict[str, list[tuple[str, str]]] = {}
        for row in self.rows:
            for item in row.consumes:
                readers.setdefault(item.topic.name, []).append((row.name, item.group))
        return readers

    def _writers(self) -> Mapping[str, list[str]]:
        writers: dict[str, list[str]] = {}
        for row in self.rows:
            for topic in row.produces:
                writers.setdefault(topic.name, []).append(row.name)
        return writers


def lag_of(traffic: Panel[Traffic]) -> dict[tuple[str, str], int]:
    """Return how many records wait, by group and topic; what is not known is absent."""
    if traffic.value is None:
        return {}
    return {key: group.lag for key, group in traffic.value.snapshot.groups.items()}


def groups_of(traffic: Panel[Traffic], topic: str) -> list[Any]:
    """Return the offsets of a topic's groups."""
    if traffic.value is None:
        return []
    return [group for (_, name), group in sorted(traffic.value.snapshot.groups.items()) if name == topic]
