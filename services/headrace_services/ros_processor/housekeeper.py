"""Deletes clusters whose source no longer has cost management, and usage that is too old."""

import asyncio
import random
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from headrace.bus.delivery import Delivery
from headrace.contracts.message import utc_now
from headrace.contracts.sources import SourcesEvent
from headrace.database.partitions import HalfMonth
from headrace.database.pool import Database
from headrace.ros import PARTITIONED
from headrace.runtime.errors import Rejected, Retryable
from headrace.runtime.logging import get_logger
from headrace.runtime.retries import RetryPolicy
from headrace.web.peer import Peer
from headrace_services.ros_processor.client import Kruize
from headrace_services.ros_processor.store import RosStore

_log = get_logger(__name__)

COST_MANAGEMENT: Final = "/insights/platform/cost-management"
_ORG_HEADER: Final = "x-rh-sources-org-id"
# The usage of this many workloads is deleted within the deadline of a statement.
_BATCH: Final = 100
# Including the present one, these cover at least two weeks ahead on any day.
_HALF_MONTHS: Final = 3
_EVERY_SECONDS: Final = 86_400.0
_BACKOFF: Final = RetryPolicy(base_seconds=1.0, cap_seconds=300.0)

_CLUSTERS: Final = """
select clusters.id from clusters join rh_accounts on rh_accounts.id = tenant_id
where source_id = $1 and rh_accounts.org_id = $2 order by clusters.id
"""
_WORKLOADS: Final = """
select id, org_id, experiment_name from workloads where cluster_id = $1 order by id limit $2
"""


@dataclass(frozen=True)
class Housekeeper:
    """Deletes the data of applications that were deleted in the Sources API."""

    sources: Peer
    prefix: str
    kruize: Kruize
    database: Database

    async def handle(self, message: SourcesEvent, delivery: Delivery) -> str:
        """Delete the clusters of the event's source and tenant; they may be deleted already."""
        if message.source_id is None or message.application_type_id is None:
            raise Rejected("the event names no source or no application type")
        if message.application_type_id != await self._cost_management_id():
            return "not a cost management event"
        # In another Sources API a source of another tenant may have the same id.
        org_id = delivery.headers.get(_ORG_HEADER) or message.tenant
        if not org_id:
            raise Rejected("the event names no tenant")
        rows = await self.database.fetch(_CLUSTERS, str(message.source_id), org_id)
        deleted = 0
        for row in rows:
            deleted += await self._delete_cluster(row["id"])
        text = f"{len(rows)} clusters and {deleted} workloads deleted"
        if rows:
            _log.info("source_deleted", source_id=message.source_id, org_id=org_id, what=text)
        return text

    async def _cost_management_id(self) -> int:
        answer = await self.sources.call(
            "GET", f"{self.prefix}/application_types", params={"filter[name][eq]": COST_MANAGEMENT}
        )
        number = _first_id(answer.body) if answer.status == 200 else None
        if number is None:
            raise Retryable(f"the Sources API names no id of {COST_MANAGEMENT}: {answer.shown}")
        return number

    async def _delete_cluster(self, cluster_id: int) -> int:
        """Delete the experiments first, because their names are only known from the rows."""
        deleted = 0
        while True:
            rows = await self.database.fetch(_WORKLOADS, cluster_id, _BATCH)
            if not rows:
                if await self._delete_empty(cluster_id):
                    return deleted
                continue
            await self.kruize.delete([row["experiment_name"] for row in rows])
            deleted += len(rows)
            ids = [row["id"] for row in rows]
            async with self.database.transaction() as connection:
                # The statement waits for transactions that store usage of these workloads, and deletes that usage too.
                await connection.execute("delete from workloads where id = any($1::bigint[])", ids)
                for table in PARTITIONED:
                    await connection.execute(
                        f"delete from {table} where org_id = any($1::text[]) and workload_id = any($2::bigint[])",  # noqa: S608
                        sorted({row["org_id"] for row in rows}),
                        ids,
                    )

    async def _delete_empty(self, cluster_id: int) -> bool:
        """Delete a cluster's row unless it has a workload; the lock prevents new ones."""
        async with self.database.transaction() as connection:
            await connection.execute("select from clusters where id = $1 for update", cluster_id)
            if await connection.fetchval(
                "select exists (select from workloads where cluster_id = $1)", cluster_id
            ):
                return False
            await connection.execute("delete from clusters where id = $1", cluster_id)
            return True


@dataclass(frozen=True)
class PartitionKeeper:
    """Creates partitions ahead of time and drops old ones, at the start and then daily."""

    store: RosStore
    retention: timedelta

    async def run(self) -> None:
        """Run until cancelled; while the database is away, retry with increasing pauses."""
        failures = 0
        while True:
            try:
                await self.keep()
            except Retryable as error:
                failures += 1
                _log.warning("partitions_not_kept", reason=str(error))
                await asyncio.sleep(_BACKOFF.hold_seconds(failures))
            else:
                failures = 0
                # With jitter replicas do not all run at the same time.
                await asyncio.sleep(_EVERY_SECONDS * random.uniform(0.9, 1.1))  # noqa: S311 -- jitter

    async def keep(self) -> None:
        """Create this and the next half-months' partitions, then drop those beyond the retention."""
        now = utc_now()
        await self.store.make_partitions([half.start for half in HalfMonth.of(now).ahead(_HALF_MONTHS)])
        await self.store.retire_partitions(now - self.retention)


def _first_id(body: Any) -> int | None:
    try:
        return int(body["data"][0]["id"])
    except (TypeError, KeyError, IndexError, ValueError):
        return None
