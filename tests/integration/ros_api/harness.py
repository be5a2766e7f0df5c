"""The ROS API in this process on a database of its own, and rows to ask it for."""

import csv
import io
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import asyncpg

from headrace.runtime.settings import EngineSettings
from headrace_services.ros_api.listings import CONTAINERS, NAMESPACES, WORKLOADS
from tests import answers, identities
from tests.integration.ros_api.samples import CURRENT_BYTES, PERCENTAGES, recommendation
from tests.service import Running, connected, named, open_client, own, own_database, running, url_of

OPENSHIFT = "/api/cost-management/v1/recommendations/openshift"
CONTAINER = f"{OPENSHIFT}/container"
NAMESPACE = f"{OPENSHIFT}/namespace"
ROS_RECOMMENDATIONS = "/api/ros/v1/recommendations"
ROS_WORKLOADS = "/api/ros/v1/workloads"
COLLECTIONS = {
    OPENSHIFT: CONTAINERS,
    CONTAINER: CONTAINERS,
    NAMESPACE: NAMESPACES,
    ROS_RECOMMENDATIONS: CONTAINERS,
    ROS_WORKLOADS: WORKLOADS,
}
LISTS = tuple(COLLECTIONS)
DETAILS = (OPENSHIFT, CONTAINER, NAMESPACE)

UUID_A = "1b77b73f-1d3e-43c6-9f55-bcd9fb6d1a0c"
UUID_B = "2c88c84a-1d3e-43c6-9f55-bcd9fb6d1a0d"

MOMENT = datetime(2023, 6, 3, 0, 45, tzinfo=UTC)
# Wide enough for every row of the tests.
ALL_TIME = {"start_date": "2000-01-01", "end_date": "2100-01-01"}


def identity(org_id: str, *, internal: bool = False) -> str:
    part = {"internal": {"org_id": org_id}} if internal else {"org_id": org_id}
    return identities.identity(account_number="1", **part)


class Answer(answers.Answer):
    @property
    def message(self) -> str:
        assert set(self.json) == {"status", "message"}
        assert self.json["status"] == "error"
        message: str = self.json["message"]
        return message

    @property
    def data(self) -> list[dict[str, Any]]:
        assert self.status == 200, self.text
        data: list[dict[str, Any]] = self.json["data"]
        return data

    @property
    def table(self) -> list[dict[str, str]]:
        assert self.status == 200, self.text
        return list(csv.DictReader(io.StringIO(self.text)))

    def column(self, name: str) -> list[Any]:
        return [item[name] for item in self.data]


@dataclass
class Tenant:
    """An organisation's rows, written as processor and poller write them."""

    database: asyncpg.Connection
    org_id: str
    account_id: int = 0
    clusters: dict[str, int] = field(default_factory=dict)

    async def cluster(
        self, alias: str, *, cluster_uuid: str = "", source_id: str = "7", reported: datetime = MOMENT
    ) -> int:
        self.clusters[alias] = await self.database.fetchval(
            "insert into clusters (tenant_id, source_id, cluster_uuid, cluster_alias, last_reported_at)"
            " values ($1, $2, $3, $4, $5) returning id",
            self.account_id,
            source_id,
            cluster_uuid or str(uuid.uuid4()),
            alias,
            reported,
        )
        return self.clusters[alias]

    async def workload(
        self,
        cluster: str = "cluster",
        *,
        project: str = "project",
        kind: str = "deployment",
        name: str | None = "app",
        containers: tuple[str, ...] = ("main",),
    ) -> int:
        if cluster not in self.clusters:
            await self.cluster(cluster)
        found: int = await self.database.fetchval(
            "insert into workloads (org_id, cluster_id, experiment_name, namespace, workload_type, workload_name,"
            " containers, metrics_upload_at) values ($1, $2, $3, $4, $5, $6, $7, $8) returning id",
            self.org_id,
            self.clusters[cluster],
            f"{self.org_id}|{uuid.uuid4()}",
            project,
            kind,
            name,
            list(containers),
            MOMENT,
        )
        return found

    async def container(
        self,
        workload_id: int,
        name: str = "main",
        *,
        end: datetime = MOMENT,
        stored: dict[str, Any] | None = None,
        **columns: float | None,
    ) -> str:
        return await self._store(
            "recommendation_sets", {"container_name": name}, workload_id, end, stored, columns
        )

    async def namespace(
        self, name: str, *, cluster: str = "cluster", end: datetime = MOMENT, **columns: float | None
    ) -> str:
        workload_id = await self.workload(cluster, project=name, kind="namespace", name=None)
        names = {"org_id": self.org_id, "namespace_name": name}
        return await self._store("namespace_recommendation_sets", names, workload_id, end, None, columns)

    async def app(self, container: str = "main", *, end: datetime = MOMENT, **terms: Any) -> str:
        """A workload and its one container."""
        workload_id = await self.workload(containers=(container,), **terms)
        return await self.container(workload_id, container, end=end)

    async def _store(
        self,
        table: str,
        names: dict[str, str],
        workload_id: int,
        end: datetime,
        stored: dict[str, Any] | None,
        columns: dict[str, float | None],
    ) -> str:
        current = {"cpu_request_current": 1.0, "memory_request_current": float(CURRENT_BYTES)}
        document = recommendation(f"{end:%Y-%m-%dT%H:%M:%SZ}") if stored is None else stored
        values = {
            "workload_id": workload_id,
            "monitoring_start_time": end,
            "monitoring_end_time": end,
            "recommendations": json.dumps(document),
            **names,
            **current,
            **PERCENTAGES,
            **columns,
        }
        places = ", ".join(f"${at}" for at, _ in enumerate(values, 1))
        return str(
            await self.database.fetchval(
                f"insert into {table} ({', '.join(values)}) values ({places}) returning id",  # noqa: S608 -- ours
                *values.values(),
            )
        )


@dataclass
class Api(Running[Answer]):
    answer = Answer
    unsent = ("Accept",)

    database: asyncpg.Connection

    async def tenant(self, org_id: str = "") -> Tenant:
        tenant = Tenant(self.database, org_id or f"org-{uuid.uuid4().hex[:12]}")
        tenant.account_id = await self.database.fetchval(
            "insert into rh_accounts (org_id) values ($1) returning id", tenant.org_id
        )
        return tenant

    async def get(
        self,
        path: str,
        tenant: Tenant | str | None = None,
        query: dict[str, str] | list[tuple[str, str]] | str = "",
        *,
        all_time: bool = True,
        **headers: str,
    ) -> Answer:
        """As the tenant, over all time unless told otherwise; headers with `_` for `-`."""
        pairs = list(query.items()) if isinstance(query, dict) else query
        text = (pairs if isinstance(pairs, str) else urlencode(pairs)).replace(" ", "+")
        if all_time and "_date=" not in text and "openapi" not in path:
            text = "&".join(part for part in (text, urlencode(ALL_TIME)) if part)
        sent = named(headers)
        if tenant is not None:
            org_id = tenant if isinstance(tenant, str) else tenant.org_id
            sent["X-Rh-Identity"] = identity(org_id)
        return await self.send_request("GET", f"{path}?{text}", headers=sent)


@asynccontextmanager
async def open_api(
    postgres_url: str, *, seen_by_api: str = "", lenient: bool = False, **environment: str
) -> AsyncIterator[Api]:
    """The service with these variables; its database goes with it."""
    engines = EngineSettings(postgres=seen_by_api or postgres_url)
    async with own_database(postgres_url) as url:
        row = own("ros_api", database=url)
        async with (
            running([row], engines, environment=environment, lenient=lenient, stop_seconds=5.0) as host,
            connected(url) as database,
            open_client() as session,
        ):
            yield Api(url_of(host), session, database)
