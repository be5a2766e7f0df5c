"""A console whose sources are made up: every page without engines, with what a test puts into each field."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import aiohttp
from aiohttp import web

from headrace.bus.dead_letters import DeadLetter
from headrace.runtime.errors import Retryable
from headrace.web.listener import Listener
from headrace_services.console.api import Api
from headrace_services.console.api_clusters import ClusterPages
from headrace_services.console.api_flow import FlowPages
from headrace_services.console.api_letters import LetterPages
from headrace_services.console.api_payloads import PayloadPages
from headrace_services.console.api_recommendations import RecommendationPages
from headrace_services.console.api_senders import SenderPages
from headrace_services.console.api_upload import UploadPages
from headrace_services.console.events import Hub
from headrace_services.console.flow import State
from headrace_services.console.letters import Redriven
from headrace_services.console.peers import (
    Aggregator,
    Archiver,
    AssistedEvents,
    Ingress,
    RosApi,
    Tracker,
    peer,
)
from headrace_services.console.site import Site
from headrace_services.registry import SERVICES
from tests.serving import serving

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
ROWS = [row for row in SERVICES if row.name != "console"]
DLQ = "platform.upload.announce.dlq"


def at(seconds: float) -> str:
    return (NOW + timedelta(seconds=seconds)).isoformat()


def status(service: str, name: str, seconds: float, reason: str = "", **fields: Any) -> dict[str, Any]:
    return {
        "id": 1, "service": service, "source": "", "status": name, "reason": reason, "date": at(seconds),
        "created_at": at(seconds), "org_id": "1", **fields,
    }  # fmt: skip


def payload(**fields: Any) -> dict[str, Any]:
    return {
        "id": 17, "request_id": "r1", "org_id": "1", "account": "", "cluster": "c1", "inventory_id": "",
        "upload_service": "hccm", "size": 48211, "refused": False, "state": "failed", "reason": "no manifest.json",
        "reason_service": "koku", "created_at": at(0), "last_at": at(2), "silent": [], "services": [],
    } | fields  # fmt: skip


def hit(text: str = "ok", **fields: Any) -> dict[str, Any]:
    return {
        "rule_id": text, "error_key": text, "selector": text, "description": text, "summary": text, "generic": text,
        "reason": text, "resolution": text, "more_info": text, "total_risk": 3, "impact": 3, "likelihood": 3,
        "tags": [], "extra_data": {}, "disabled": False, "disabled_system_wide": False, "disable_feedback": text,
        "disabled_at": "", "user_vote": 0, "created_at": at(0),
    } | fields  # fmt: skip


def cluster(text: str = "ok", **fields: Any) -> dict[str, Any]:
    return {
        "cluster": text, "org_id": 1, "cluster_version": text, "last_checked_at": at(0), "reported_at": at(0),
        "gathered_at": at(0), "request_id": text, "hits": 2, "hits_by_total_risk": {"0": 0, "2": 1, "4": 1},
        "highest_total_risk": 4,
    } | fields  # fmt: skip


def sending(text: str = "ok", **fields: Any) -> dict[str, Any]:
    return {
        "cluster_id": text, "install_started_at": at(0), "outcome": text, "request_id": text, "state": "sent",
        "reason": text, "attempts": 1, "failures": 0, "next_attempt_at": at(60), "first_seen_at": at(0),
        "ended_at": at(1), "sent_at": at(1), "content_sha256": text, "size_bytes": 12, "hosts": 3, "events": 40,
    } | fields  # fmt: skip


def facts(text: str = "ok") -> dict[str, dict[str, Any]]:
    """What senders tell in health reports."""
    cycle = {"began": at(0), "seconds": 0.1, "found": 5, "sent": 3, "failed": 2, "bytes_sent": 900,
             "request_id": text, "reason": text, "skipped": text}  # fmt: skip
    run = {"succeeded": False, "rows": 9, "events": 7, "sent": 3, "unsent": 1, "batches": 2, "problems": [text],
           "dropped": {text: 1}, "buried": {text: 1}, "skipped": {text: 2}}  # fmt: skip
    told = {"cycles": 4, "last": cycle, "last_with_data": cycle, "waiting_for": text}
    return {"ols_collector": {"collector": told}, "segment_bridge": {"run": run}}


CONTAINER_ID = "0d8b5c62-1111-4222-8333-4444555566aa"


def config(cpu: Any, memory: Any) -> dict[str, Any]:
    both = {"cpu": {"amount": cpu, "format": ""}, "memory": {"amount": memory, "format": "bytes"}}
    return {"requests": both, "limits": both}


def recommendation(text: str = "ok", **fields: Any) -> dict[str, Any]:
    """A container that should ask for less CPU and more memory, in the short term at the least cost."""
    note = {"type": text, "message": text, "code": 323004}
    engine = {
        "config": config(0.25, 768 << 20),
        "notifications": {"323004": note, text: note},
    }
    term = {
        "duration_in_hours": 24,
        "notifications": {text: note},
        "recommendation_engines": {"cost": engine},
    }
    return {
        "id": CONTAINER_ID, "container": text, "project": text, "workload": text, "workload_type": text,
        "cluster_uuid": text, "cluster_alias": text, "source_id": text, "last_reported": at(0),
        "recommendations": {
            "current": config(0.5, 512 << 20), "notifications": {}, "recommendation_terms": {"short_term": term},
        },
    } | fields  # fmt: skip


def workload(text: str = "ok", **fields: Any) -> dict[str, Any]:
    return {
        "workload_id": 7, "experiment_name": text, "project": text, "workload": text, "workload_type": text,
        "containers": [text], "cluster_uuid": text, "cluster_alias": text, "metrics_upload_at": at(0),
        "last_reported": at(0), "has_recommendation": False,
        "last_poll": {
            "at": at(0), "end": at(0), "outcome": text, "kind": "not_enough_data", "minutes": 15,
            "minutes_needed": 30,
        },
    } | fields  # fmt: skip


def interval(number: int, **fields: Any) -> dict[str, Any]:
    return {
        "start": at(number * 900), "end": at(number * 900 + 900), "cpu_usage_avg": 0.2, "cpu_usage_min": 0.1,
        "cpu_usage_max": 0.4, "memory_usage_avg": 2e8, "memory_usage_min": 1e8, "memory_usage_max": 3e8,
    } | fields  # fmt: skip


def letter(**fields: Any) -> SimpleNamespace:
    made = {
        "topic": DLQ, "partition": 0, "offset": 3, "original_topic": "platform.upload.announce",
        "original_partition": 1, "original_offset": 7, "service": "koku", "error_class": "Poison", "reason": "why",
        "attempts": 1, "first_seen": at(0), "dead_since": NOW, "request_id": "r1", "org_id": "1", "size": 12,
        "partial": "",
    }  # fmt: skip
    return SimpleNamespace(**(made | fields))


@dataclass
class Sources:
    """What the console reads; ``away`` names the sources that do not answer."""

    payloads: list[dict[str, Any]] = field(default_factory=list)
    statuses: list[dict[str, Any]] = field(default_factory=list)
    archives: list[dict[str, Any]] = field(default_factory=list)
    reports: list[dict[str, Any]] = field(default_factory=list)
    clusters: list[dict[str, Any]] = field(default_factory=list)
    cluster: dict[str, Any] | None = None
    decided: list[tuple[str, str, Any]] = field(default_factory=list)
    recommendations: list[dict[str, Any]] = field(default_factory=list)
    workloads: list[dict[str, Any]] = field(default_factory=list)
    usage: dict[str, list[Any]] = field(default_factory=dict)
    past: list[dict[str, Any]] = field(default_factory=list)
    sendings: list[dict[str, Any]] = field(default_factory=list)
    opted_out: bool = False
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)
    members: list[tuple[str, bytes]] = field(default_factory=list)
    letters: list[SimpleNamespace] = field(default_factory=list)
    whole: DeadLetter | None = None
    records: list[Any] = field(default_factory=list)
    states: dict[str, State] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    refused: tuple[int, str] | None = None
    asked: list[tuple[str, dict[str, str], str]] = field(default_factory=list)
    uploaded: list[tuple[Any, str, bytes]] = field(default_factory=list)
    redriven: list[Any] = field(default_factory=list)
    object: bytes = b""

    def application(self) -> web.Application:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_get("/api/v1/headrace/payloads", self._payloads)
        app.router.add_get("/api/v1/headrace/payloads/{request_id:.+}", self._payload)
        app.router.add_get(
            "/api/archives/v1/archives", self._answer("archiver", lambda: {"data": self.archives})
        )
        app.router.add_get(
            "/api/v1/headrace/requests/{id}",
            self._answer("results_aggregator", lambda: {"reports": self.reports}),
        )
        app.router.add_post("/api/ingress/v1/upload", self._upload)
        app.router.add_get(
            "/api/v1/headrace/clusters",
            self._answer("results_aggregator", lambda: {"clusters": self.clusters, "next": None}),
        )
        app.router.add_get("/api/v1/headrace/clusters/{cluster}", self._one_cluster)
        app.router.add_route("*", "/api/v1/clusters/{rest:.+}", self._decide)
        self._add_ros(app.router)
        assisted = "/api/assisted-events/v1"
        sent = self._answer("assisted_events", lambda: {"count": len(self.sendings), "data": self.sendings})
        app.router.add_get(f"{assisted}/sendings", sent)
        known = self._answer("assisted_events", lambda: {"opted_out": self.opted_out})
        app.router.add_get(f"{assisted}/clusters/{{id}}", known)
        return app

    def _add_ros(self, router: web.UrlDispatcher) -> None:
        ros, own = "/api/ros/v1", "/api/cost-management/v1/recommendations/openshift/container"
        for path, body in (
            ("/headrace/workloads", lambda: {"data": self.workloads, "next": None}),
            ("/workloads/7/usage", lambda: {"containers": self.usage, "is_cut": False}),
            ("/recommendations/{id}/history", lambda: {"data": self.past, "next": None}),
        ):
            router.add_get(ros + path, self._answer("ros_api", body))
        router.add_get(f"{ros}/recommendations", self._recommendations)
        router.add_get(f"{own}/{{id}}", self._recommendation)

    async def _recommendations(self, request: web.Request) -> web.Response:
        if request.query.get("format") == "csv":
            self._note(request)
            if "ros_api" in self.away:
                return web.json_response({"status": "error", "message": "no access"}, status=403)
            return web.Response(text="id,container\n1,=cart\n", content_type="text/csv")
        body = {"data": self.recommendations, "meta": {"count": len(self.recommendations)}}
        found: web.Response = await self._answer("ros_api", lambda: body)(request)
        return found

    async def _recommendation(self, request: web.Request) -> web.Response:
        wanted = [item for item in self.recommendations if item["id"] == request.match_info["id"]]
        if not wanted and "ros_api" not in self.away:
            return web.json_response({"status": "error", "message": "recommendation not found"}, status=404)
        found: web.Response = await self._answer("ros_api", lambda: wanted[0] if wanted else {})(request)
        return found

    def _note(self, request: web.Request) -> None:
        self.asked.append((request.path, dict(request.query), request.headers.get("x-rh-identity", "")))

    async def _payloads(self, request: web.Request) -> web.Response:
        self._note(request)
        if "payload_tracker" in self.away:
            return web.json_response({"message": "PostgreSQL is away"}, status=503)
        return web.json_response({"data": self.payloads, "next": None, "elapsed": 0.1})

    async def _payload(self, request: web.Request) -> web.Response:
        self._note(request)
        if "payload_tracker" in self.away:
            return web.json_response({"message": "PostgreSQL is away"}, status=503)
        wanted = request.match_info["request_id"]
        found = [item for item in self.payloads if item["request_id"] == wanted]
        if not found:
            return web.json_response({"message": "not found"}, status=404)
        return web.json_response({"payloads": found, "statuses": self.statuses, "statuses_left_out": 0})

    def _answer(self, name: str, body: Any) -> Any:
        async def handle(request: web.Request) -> web.Response:
            self._note(request)
            return web.json_response(body(), status=503 if name in self.away else 200)

        return handle

    async def _one_cluster(self, request: web.Request) -> web.Response:
        self._note(request)
        if self.cluster is None:
            return web.json_response({"status": "not found"}, status=404)
        return web.json_response({"cluster": self.cluster})

    async def _decide(self, request: web.Request) -> web.Response:
        if "results_aggregator" in self.away:
            return web.json_response({"status": "no access"}, status=403)
        body = await request.json() if request.can_read_body else None
        self.decided.append((request.method, request.path, body))
        return web.json_response({"status": "ok"})

    async def _upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        file: Any = form["file"]
        self.uploaded.append((request.headers, file.content_type, file.file.read()))
        if self.refused:
            return web.Response(status=self.refused[0], text=self.refused[1])
        return web.Response(status=202)


class MadeTraffic:
    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    async def traffic(self) -> Any:
        if "Kafka" in self._sources.away:
            raise Retryable("cannot read offsets: no broker")
        bounds = SimpleNamespace(partition=0, start=2, end=9)
        names = {item.name for row in ROWS for item in row.topics}
        topics = {name: SimpleNamespace(topic=name, partitions=(bounds,), records=7) for name in names}
        groups = {
            (item.group, item.topic.name): SimpleNamespace(
                group=item.group, topic=item.topic.name, lag=3, committed=False
            )
            for row in ROWS
            for item in row.consumes
        }
        return SimpleNamespace(
            snapshot=SimpleNamespace(topics=topics, groups=groups), rates={"platform.upload.announce": 2.5}
        )


class MadeIndex:
    def __init__(self, letters: list[SimpleNamespace]) -> None:
        self._letters = letters
        self.count, self.left_out, self.foreign = len(letters), 0, Counter({"the header is missing": 1})

    def groups(self) -> list[Any]:
        if not self._letters:
            return []
        first = self._letters[0]
        return [
            SimpleNamespace(
                id="g1", topic=first.original_topic, service=first.service, error_class=first.error_class,
                reason=first.reason, sample_reason=first.reason, count=len(self._letters), oldest=NOW, newest=NOW,
                partial=0,
            )
        ]  # fmt: skip

    def letters(self, group_id: str | None = None, limit: int = 100, after: Any = None) -> list[Any]:
        return self._letters[:limit]


class MadeLetters:
    topics = frozenset({DLQ})

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    async def index(self) -> Any:
        if "Kafka" in self._sources.away:
            raise Retryable("cannot read: no broker")
        return MadeIndex(self._sources.letters)

    async def count(self) -> int:
        return (await self.index()).count

    async def show(self, topic: str, partition: int, offset: int) -> Any:
        return self._sources.whole

    async def redrive(self, chosen: Any) -> Redriven:
        self._sources.redriven.append(list(chosen))
        return Redriven(len(chosen))


class MadeHealth:
    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    async def states(self) -> dict[str, State]:
        if "health" in self._sources.away:
            raise Retryable("no health report can be read")
        return self._sources.states

    async def facts(self) -> dict[str, dict[str, Any]]:
        await self.states()
        return self._sources.facts


class MadeObjects:
    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    async def head(self, bucket: str, key: str) -> Any:
        if "S3" in self._sources.away:
            raise Retryable("S3 is away")
        if not self._sources.object:
            return None
        return SimpleNamespace(size=len(self._sources.object), content_type="application/gzip", modified=NOW)

    @asynccontextmanager
    async def get(self, bucket: str, key: str, *, timeout_seconds: float = 1.0) -> AsyncIterator[Any]:
        async def chunks() -> AsyncIterator[bytes]:
            yield self._sources.object

        yield chunks()


class MadeFlowPages(FlowPages):
    async def _peek(self, *_: Any) -> list[Any]:
        found: list[Any] = self.engines  # type: ignore[assignment]
        return found


@dataclass
class Console:
    """A running console of made-up sources."""

    url: str
    hub: Hub
    sources: Sources
    session: aiohttp.ClientSession

    async def get(self, path: str, **headers: str) -> tuple[int, str]:
        async with self.session.get(
            self.url + path, headers={name.replace("_", "-"): text for name, text in headers.items()},
            allow_redirects=False,
        ) as response:  # fmt: skip
            return response.status, await response.text()


@asynccontextmanager
async def console(
    sources: Sources, *, lenient: bool = True, hosts: frozenset[str] = frozenset()
) -> AsyncIterator[Console]:
    async with serving(sources.application()) as url, aiohttp.ClientSession() as session:
        site, hub = Site(lenient, "headrace-operator"), Hub(4)
        letters, traffic, health = MadeLetters(sources), MadeTraffic(sources), MadeHealth(sources)
        tracker = Tracker(peer(session, url, "payload_tracker"))
        made: Any = SimpleNamespace(
            letters=letters, traffic=traffic, health=health, objects=MadeObjects(sources)
        )
        records: Any = sources.records
        api = Api(
            site,
            hub,
            hosts,
            MadeFlowPages(site, ROWS, made.traffic, made.letters, tracker, made.health, records),
            PayloadPages(
                site=site,
                rows=ROWS,
                tracker=tracker,
                archiver=Archiver(peer(session, url, "archiver")),
                aggregator=Aggregator(peer(session, url, "results_aggregator")),
                letters=made.letters,
                objects=made.objects,
                bucket="uploads",
            ),
            LetterPages(site, ROWS, made.letters, made.health, made.traffic),
            UploadPages(site, Ingress(session, url)),
            ClusterPages(site, Aggregator(peer(session, url, "results_aggregator"))),
            RecommendationPages(site, RosApi(peer(session, url, "ros_api"))),
            SenderPages(site, AssistedEvents(peer(session, url, "assisted_events"), "secret"), made.health),
        )
        listener = await Listener.open(api.application(), "127.0.0.1", 0, stop_seconds=2.0)
        try:
            yield Console(f"http://127.0.0.1:{listener.port}", hub, sources, session)
        finally:
            await hub.stop()
            await listener.close()
