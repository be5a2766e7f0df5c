"""Messages, and what the aggregator's tables hold after them."""

import asyncio
import gzip
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from headrace.bus.delivery import Delivery
from headrace.contracts.rules import UnjudgedResult, UnjudgedWorkloads
from headrace.database.pool import Database
from headrace_services.results_aggregator.handlers import Aggregator
from headrace_services.results_aggregator.store import AggregatorStore

CLUSTER = "11111111-2222-4333-8444-555555555555"
OTHER = "99999999-2222-4333-8444-555555555555"
PRODUCED = datetime(2026, 11, 21, 21, 30, tzinfo=UTC)
REPORT_TABLES = ("report", "rule_hit", "recommendation", "report_info")
CLUSTER_TABLES = (
    *REPORT_TABLES,
    "cluster_rule_toggle",
    "cluster_rule_user_feedback",
    "cluster_user_rule_disable_feedback",
    "dvo.cluster",
    "dvo.dvo_report",
)
TABLES = (*CLUSTER_TABLES, "rule_disable", "advisor_ratings", "consumer_error")


def hit(rule: str, key: str, **details: Any) -> dict[str, Any]:
    return {
        "rule_id": f"{rule}|{key}",
        "component": f"pack.rules.{rule}.report",
        "type": "rule",
        "key": key,
        "details": {"type": "rule", "error_key": key, **details},
        "tags": [],
        "links": {},
    }


def report(*hits: dict[str, Any], version: str | None = None) -> dict[str, Any]:
    info = [{"info_id": "version_info|CLUSTER_VERSION_INFO", "type": "info", "details": {"version": version}}]
    return {
        "system": {"metadata": {}, "hostname": None},
        "reports": list(hits),
        "fingerprints": [],
        **({"info": info} if version else {}),
    }


def reported(minute: int = 0, *hits: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A message whose LastChecked is that minute of an hour."""
    version = changes.pop("cluster_version", None)
    return {
        "OrgID": 1,
        "AccountNumber": 6212377,
        "ClusterName": CLUSTER,
        "Report": report(*hits, version=version),
        "LastChecked": f"2026-11-21T21:{minute:02}:22.990776891Z",
        "Version": 2,
        "RequestId": "b44bfb83",
        "Metadata": {"gathering_time": "2026-11-21T21:00:00Z"},
        **changes,
    }


def recommended(minute: int = 0, **rules: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """A message with recommendations: rule to (namespace, workload)s."""
    return {
        "OrgID": 1,
        "ClusterName": CLUSTER,
        "LastChecked": f"2026-11-21T21:{minute:02}:22Z",
        "Version": 2,
        "RequestId": "b44bfb84",
        "Metrics": {
            "workload_recommendations": [
                {
                    "response_id": f"{rule}|KEY",
                    "component": f"pack.dvo.{rule}.recommendation",
                    "key": "KEY",
                    "details": {},
                    "workloads": [
                        {
                            "namespace": space,
                            "namespace_uid": f"{space}-uid",
                            "kind": "Pod",
                            "name": uid,
                            "uid": uid,
                        }
                        for space, uid in workloads
                    ],
                }
                for rule, workloads in rules.items()
            ]
        },
    }


def delivered(offset: int = 0, *, topic: str = "ccx.ocp.results", partition: int = 0) -> Delivery:
    return Delivery(
        topic=topic, partition=partition, offset=offset, key=None, headers={}, timestamp=PRODUCED,
        first_seen=datetime.now(UTC), attempt=1,
    )  # fmt: skip


@dataclass
class Bench:
    """An aggregator on a database of its own."""

    database: Database
    aggregator: Aggregator = field(init=False)
    offsets: int = 0

    def __post_init__(self) -> None:
        self.aggregator = Aggregator(AggregatorStore(self.database))

    async def take(self, message: Any, aggregator: Aggregator | None = None) -> str:
        """Handle as the runtime would; bytes are taken as they are."""
        value = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.offsets += 1
        return await (aggregator or self.aggregator).handle_report(
            UnjudgedResult.from_json(value), delivered(self.offsets)
        )

    async def take_workloads(self, message: Any, *, compressed: bool = False) -> str:
        value = message if isinstance(message, bytes) else json.dumps(message).encode()
        value = gzip.compress(value) if compressed else value
        self.offsets += 1
        return await self.aggregator.handle_workloads(
            UnjudgedWorkloads.from_json(value), delivered(self.offsets, topic="ccx.dvo.results")
        )

    async def rows(self, table: str, order: str = "1, 2, 3") -> list[dict[str, Any]]:
        statement = f"select * from {table} order by {order}"  # noqa: S608 -- of the test itself
        return [dict(row) for row in await self.database.fetch(statement)]


async def decide(database: Database, cluster: str, org_id: int = 1) -> None:
    """What users of an organisation decide about a rule of a cluster: a toggle, a vote and a text."""
    for statement in (
        "insert into cluster_rule_toggle values ($1, 'r', 'K', $2, 1, now(), null, now())",
        "insert into cluster_rule_user_feedback values ($1, 'r', 'u', 'K', $2, '', 1, now(), now())",
        "insert into cluster_user_rule_disable_feedback values ($1, 'u', 'r', 'K', $2, 'why', now(), now())",
    ):
        await database.execute(statement, UUID(cluster), org_id)


async def dump(database: Database, tables: Iterable[str] = TABLES) -> dict[str, list[str]]:
    """Every row of the tables, as text."""
    select = "select t::text as row from {} t order by 1"
    return {table: [row["row"] for row in await database.fetch(select.format(table))] for table in tables}


async def all_of(work: Iterable[Callable[..., Any]], *, at_once: int = 10) -> list[Any]:
    """Results of calls, so many at once."""
    room = asyncio.Semaphore(at_once)

    async def one(call: Callable[..., Any]) -> Any:
        async with room:
            return await call()

    return await asyncio.gather(*(one(call) for call in work))
