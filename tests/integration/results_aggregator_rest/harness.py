"""The aggregator's REST on a database of its own, and rows to ask it for."""

import itertools
import json
import random
import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import asyncpg

from headrace.database.pool import Database
from headrace.rules import SHIPPED_PACK
from headrace.rules.catalogue import Catalogue
from headrace.web.listener import Listener
from headrace_services.results_aggregator.api import Api
from headrace_services.results_aggregator.settings import AggregatorSettings
from tests import answers, identities
from tests.service import Running, connected, migrated, open_client, own_database

MOMENT = datetime(2026, 11, 20, 8, 30, 15, 250_000, tzinfo=UTC)
RULE = "pack.rules.node_not_ready"
KEY = "NODE_NOT_READY"
SELECTOR = f"{RULE}|{KEY}"
NAMESPACE = "a1b2-namespace"
USER = "user-1"

PREFIXES = ("/api/v1", "/api/insights-results-aggregator/v1")

_org_ids = itertools.count(random.randrange(1, 1 << 30))


@dataclass(frozen=True)
class Endpoint:
    """One of the document's operations that say whose request they are, but `info`."""

    operation: str
    method: str
    path: str
    # The one field of the body, `clusters` for a list of them, "" for no body.
    body: str
    body_required: bool
    has_unknown: bool


def declared(*, debug: bool = True) -> Api:
    """The API without what it stands on, to ask what it declares."""
    return Api(None, AggregatorSettings(debug=debug, maximum_feedback_message_length=255))


def document(*, debug: bool = True) -> dict[str, Any]:
    return declared(debug=debug).operations().document


def endpoints() -> list[Endpoint]:
    return [
        Endpoint(
            item["operationId"],
            method.upper(),
            path,
            _body(item),
            item.get("requestBody", {}).get("required", True),
            "404" in item["responses"],
        )
        for path, items in document()["paths"].items()
        for method, item in items.items()
        # Those of ours name no organisation, and have tests of their own.
        if item["security"] and path != "/info" and not path.startswith("/headrace/")
    ]


def _body(item: dict[str, Any]) -> str:
    if "requestBody" not in item:
        return ""
    schema = item["requestBody"]["content"]["application/json"]["schema"]
    fields = ["clusters"] if "oneOf" in schema else list(schema["properties"])
    return "rating" if "rating" in fields else fields[0]


def identity(org_id: int | str, **more: Any) -> dict[str, str]:
    return {identities.HEADER: identities.identity(org_id=str(org_id), type="User", **more)}


class Answer(answers.Answer):
    @property
    def why(self) -> tuple[int, str]:
        """A failure's status and text; it says nothing else."""
        ((name, text),) = self.json.items()
        assert name == "status"
        return self.status, text

    @property
    def ok(self) -> dict[str, Any]:
        assert self.status == 200, self.text
        body: dict[str, Any] = self.json
        return body


@dataclass
class Tenant:
    """An organisation's rows, as the consuming side writes them."""

    connection: asyncpg.Connection
    org_id: int = field(default_factory=lambda: next(_org_ids))

    async def cluster(
        self, *hits: tuple[str, str], version: str = "4.17.2", age: timedelta = timedelta(), **report: Any
    ) -> str:
        """A cluster whose report has these hits (rule without `.report`, key), reported `age` ago."""
        cluster = str(uuid.uuid4())
        entries: list[dict[str, Any]] = [
            {"component": f"{rule}.report", "key": key, "details": {"node": f"of {cluster}"}}
            for rule, key in hits
        ]
        text = json.dumps({"fingerprints": [], "system": {}, "reports": entries} | report)
        await self.connection.execute(
            "insert into report (org_id, cluster, report, reported_at, last_checked_at, gathered_at)"
            " values ($1, $2, $3, $4, $5, $6)",
            self.org_id, cluster, text, datetime.now(UTC) - age, MOMENT, MOMENT - timedelta(minutes=1),
        )  # fmt: skip
        for entry in entries:
            rule, key = entry["component"], entry["key"]
            await self.connection.execute(
                "insert into rule_hit values ($1, $2, $3, $4, $5, $6)",
                cluster, self.org_id, rule, key, json.dumps(entry["details"]), MOMENT - timedelta(days=2),
            )  # fmt: skip
            module = rule.removesuffix(".report")
            await self.connection.execute(
                "insert into recommendation values ($1, $2, $3, $4, $5, $6, $7)",
                self.org_id, cluster, module, key, f"{module}|{key}", MOMENT, MOMENT - timedelta(days=2),
            )  # fmt: skip
        if version:
            await self.connection.execute(
                "insert into report_info values ($1, $2, $3)", self.org_id, cluster, version
            )
        return cluster

    async def namespace(self, cluster: str, namespace: str = NAMESPACE) -> None:
        """One recommendation for two workloads of a namespace."""
        entry = {
            "response_id": "dvo|PROBES", "component": "pack.dvo.probes.recommendation", "key": "PROBES",
            "details": {"samples": 2},
            "workloads": [
                {"namespace": "shop", "namespace_uid": namespace, "kind": "Deployment", "name": "web", "uid": "u1"},
                {"namespace": "shop", "namespace_uid": namespace, "kind": "DaemonSet", "name": "log", "uid": "u2"},
            ],
        }  # fmt: skip
        await self.connection.execute(
            "insert into dvo.cluster values ($1, $2, $3)", cluster, self.org_id, MOMENT
        )
        await self.connection.execute(
            "insert into dvo.dvo_report values ($1, $2, $3, 'shop', $4, 1, 2, $5, $5, $6)",
            self.org_id, cluster, namespace, json.dumps({"workload_recommendations": [entry]}), MOMENT,
            json.dumps({"pack.dvo.probes|PROBES": 2}),
        )  # fmt: skip


@dataclass
class Client(Running[Answer]):
    answer = Answer

    connection: asyncpg.Connection
    database: Database

    def tenant(self) -> Tenant:
        return Tenant(self.connection)

    async def ask(
        self,
        method: str,
        path: str,
        tenant: Tenant | int | None = None,
        body: Any = None,
        *,
        prefix: str = "/api/v1",
        headers: dict[str, str] | None = None,
        data: bytes | None = None,
    ) -> Answer:
        sent = dict(headers or {})
        if tenant is not None:
            sent |= identity(tenant.org_id if isinstance(tenant, Tenant) else tenant)
        return await self.send_request(
            method, prefix + path, body=body if data is None else data, headers=sent
        )

    async def get(self, path: str, tenant: Tenant | int | None = None, **options: Any) -> Answer:
        return await self.ask("GET", path, tenant, **options)

    async def report(self, tenant: Tenant, cluster: str, user: str = USER) -> dict[str, Any]:
        path = f"/organizations/{tenant.org_id}/clusters/{cluster}/users/{user}/report"
        report: dict[str, Any] = (await self.get(path, tenant)).ok["report"]
        return report


@asynccontextmanager
async def open_api(
    postgres_url: str, *, seen_by_api: str = "", lenient: bool = False, **settings: Any
) -> AsyncIterator[Client]:
    """The API with these settings; its database goes with it."""
    async with own_database(postgres_url) as url, migrated(url, "results_aggregator"):
        database = await Database.open(
            seen_by_api or postgres_url,
            url.rpartition("/")[2],
            service="results_aggregator",
            acquire_seconds=2.0,
        )
        api = Api(
            database, AggregatorSettings(**settings), lenient=lenient, catalogue=Catalogue.of([SHIPPED_PACK])
        )
        listener = await Listener.open(api.application(), "127.0.0.1", 0)
        try:
            async with connected(url) as connection, open_client() as session:
                yield Client(f"http://127.0.0.1:{listener.port}", session, connection, database)
        finally:
            await listener.close()
            await database.close()


def filled(endpoint: Endpoint, org_id: int | str, cluster: str, changed: dict[str, str] | None = None) -> str:
    """The endpoint's path with these in it."""
    values = {
        "org_id": org_id, "organization": org_id, "organizations": org_id, "cluster": cluster, "clusters": cluster,
        "cluster_list": cluster, "user_id": USER, "rule_id": f"{RULE}.report", "error_key": KEY,
        "rule_selector": SELECTOR, "rule": SELECTOR, "namespace": NAMESPACE,
    } | (changed or {})  # fmt: skip
    return re.sub(r"{(\w+)}", lambda found: quote(str(values[found[1]]), safe=","), endpoint.path)


def body_of(endpoint: Endpoint, cluster: str) -> Any:
    """Something that the endpoint takes."""
    return {
        "": None,
        "clusters": [cluster],
        "message": {"message": "not here"},
        "justification": {"justification": "not ours"},
        "rating": {"rule": SELECTOR, "rating": 1},
    }[endpoint.body]
