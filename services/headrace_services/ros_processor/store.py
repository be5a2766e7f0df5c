"""ros_processor's part of the ROS database: clusters, workloads and their usage.

A batch of workloads is one transaction of a few statements. The rows of a workload and of its cluster change only if
usage is new, so a redelivered event changes no row.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import asyncpg
import orjson

from headrace.contracts.clusters import owned_name
from headrace.contracts.ros import ExperimentType, RosMetadata
from headrace.database.owners import foreign
from headrace.database.partitions import Partitions
from headrace.database.pool import Connection, Database
from headrace.ros import PARTITIONED
from headrace.ros.metrics import PARTITION_MISSING, database_errors_counted
from headrace.runtime.errors import Retryable
from headrace_services.ros_processor import metrics
from headrace_services.ros_processor.aggregation import ContainerUsage, Workload
from headrace_services.ros_processor.experiments import Experiment, Result

_METRICS: Final = "workload_metrics"
_DELETED: Final = "the cluster was deleted while its usage was stored"

_CLAIM: Final = "select claim_cluster($1, $2, $3)"
_ACCOUNT: Final = """
insert into rh_accounts (org_id, account) values ($1, $2) on conflict (org_id) do nothing returning id
"""
_CLUSTER: Final = """
insert into clusters (tenant_id, source_id, cluster_uuid, cluster_alias, last_reported_at) values ($1, $2, $3, $4, $5)
on conflict (tenant_id, source_id, cluster_uuid, cluster_alias) do nothing returning id
"""
_FIND_CLUSTER: Final = """
select id from clusters where tenant_id = $1 and source_id = $2 and cluster_uuid = $3 and cluster_alias = $4
"""
_KNOWN: Final = """
select experiment_name from workloads where org_id = $1 and cluster_id = $2 and experiment_name = any($3::text[])
"""
_ADD_WORKLOADS: Final = """
insert into workloads
    (org_id, cluster_id, experiment_name, namespace, workload_type, workload_name, containers, metrics_upload_at)
select
    $1, $2, name, namespace, type::sorted_workloadtype, object, array(select json_array_elements_text(containers)),
    until
from unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::json[], $8::timestamptz[])
    with ordinality as added (name, namespace, type, object, containers, until, position)
order by position
on conflict (org_id, cluster_id, experiment_name) do nothing
"""
# The fixed order makes two messages on the same workloads take turns instead of deadlocking.
_LOCK_WORKLOADS: Final = """
select id, experiment_name from workloads where org_id = $1 and cluster_id = $2 and experiment_name = any($3::text[])
order by experiment_name for no key update
"""
_ADD_METRICS: Final = """
with added as (
    insert into workload_metrics (
        org_id, workload_id, container_name, namespace_name, metric_type, interval_start, interval_end, usage_metrics
    )
    select $1, workload_id, container, namespace, $2::metrictype, starts, ends, usage
    from unnest($3::bigint[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[], $8::jsonb[])
        as added (workload_id, container, namespace, starts, ends, usage)
    on conflict do nothing
    returning workload_id
)
select workload_id, count(*) as rows from added group by workload_id
"""
# The containers and the time of a workload are those of its last interval, in whatever order the files come.
_TOUCH_WORKLOADS: Final = """
update workloads set containers = array(select json_array_elements_text(seen.containers)), metrics_upload_at = until
from unnest($1::bigint[], $2::json[], $3::timestamptz[]) as seen (id, containers, until)
where workloads.id = seen.id and (
    metrics_upload_at is null or metrics_upload_at < until
    or metrics_upload_at = until
    and workloads.containers is distinct from array(select json_array_elements_text(seen.containers))
)
"""
_TOUCH_CLUSTER: Final = """
update clusters set last_reported_at = $2 where id = $1 and (last_reported_at is null or last_reported_at < $2)
"""

_DEFER: Final = """
insert into deferred_asks (workload_id, cluster_id, until)
select workload_id, $1, until from unnest($2::bigint[], $3::timestamptz[]) as asked (workload_id, until)
order by workload_id
on conflict (workload_id) do update set until = greatest(deferred_asks.until, excluded.until)
"""
_DEFERRED: Final = """
select w.experiment_name, d.workload_id, d.until,
    case when w.workload_type = 'namespace' then 'namespace' else 'container' end as kind
from rh_accounts a
join clusters c on c.tenant_id = a.id
join deferred_asks d on d.cluster_id = c.id
join workloads w on w.id = d.workload_id
where a.org_id = $1 and c.source_id = $2 and c.cluster_uuid = $3 and c.cluster_alias = $4
"""


@dataclass(frozen=True)
class Cluster:
    """The row of a cluster; ``org_id`` is its owner."""

    id: int
    org_id: str


@dataclass(frozen=True, slots=True)
class Ask:
    """A workload for a recommendation request, and the end of its usage."""

    workload_id: int
    kind: ExperimentType
    until: datetime


@dataclass(frozen=True)
class Stored:
    """The ids of workloads by experiment name, and the number of new rows of usage."""

    ids: Mapping[str, int]
    new_rows: int


class RosStore:
    """Raises `Retryable` while PostgreSQL is away or busy."""

    def __init__(self, database: Database, *, follow: bool = False) -> None:
        """``follow``: a cluster belongs to the organisation that sent its usage last."""
        self._database = database
        self._follow = follow
        self._partitions = {
            table: Partitions(database, table, on_missing=PARTITION_MISSING.labels(table).inc)
            for table in PARTITIONED
        }

    async def cluster(self, metadata: RosMetadata, reported_at: datetime) -> Cluster:
        """Return the row of the cluster; create it and the organisation's if they are missing.

        Raises `ForeignCluster` if it belongs to another organisation.
        """
        with database_errors_counted():
            cluster = await self._cluster(metadata, reported_at)
        if cluster is None:
            raise foreign("ros_processor", metadata.cluster_uuid, metadata.org_id)
        return cluster

    async def _cluster(self, metadata: RosMetadata, reported_at: datetime) -> Cluster | None:
        async with self._database.transaction() as connection:
            name = owned_name(metadata.cluster_uuid)
            if not await connection.fetchval(_CLAIM, name, metadata.org_id, self._follow):
                return None
            tenant_id = await connection.fetchval(_ACCOUNT, metadata.org_id, metadata.account)
            if tenant_id is None:
                tenant_id = await connection.fetchval(
                    "select id from rh_accounts where org_id = $1", metadata.org_id
                )
            else:
                metrics.ACCOUNTS_CREATED.inc()
            key = (tenant_id, metadata.source_id, metadata.cluster_uuid, metadata.cluster_alias)
            cluster_id = await connection.fetchval(_CLUSTER, *key, reported_at)
            cluster_id = cluster_id or await connection.fetchval(_FIND_CLUSTER, *key)
            if cluster_id is None:
                raise Retryable(_DELETED)
        return Cluster(cluster_id, metadata.org_id)

    async def known(self, cluster: Cluster, names: Iterable[str]) -> set[str]:
        """Return those of the experiments that have a row, which exists once Kruize has the experiment."""
        with database_errors_counted():
            rows = await self._database.fetch(_KNOWN, cluster.org_id, cluster.id, list(names))
        return {row["experiment_name"] for row in rows}

    async def save(self, cluster: Cluster, results: Sequence[Result], reported_at: datetime) -> Stored:
        """Store usage that Kruize has, and its workloads; existing rows stay unchanged."""
        moments = {result.end for result in results}
        with database_errors_counted():
            return await self._partitions[_METRICS].fill(
                moments, lambda: self._save(cluster, results, reported_at)
            )

    async def _save(self, cluster: Cluster, results: Sequence[Result], reported_at: datetime) -> Stored:
        latest = {result.experiment.name: result for result in sorted(results, key=lambda result: result.end)}
        names = sorted(latest)
        async with self._database.transaction() as connection:
            await self._add_workloads(connection, cluster, [latest[name] for name in names])
            rows = await connection.fetch(_LOCK_WORKLOADS, cluster.org_id, cluster.id, names)
            ids = {row["experiment_name"]: row["id"] for row in rows}
            if len(ids) < len(names):
                raise Retryable(_DELETED)
            added = await connection.fetch(_ADD_METRICS, cluster.org_id, *_metric_columns(results, ids))
            new = {row["workload_id"]: row["rows"] for row in added}
            if new:
                touched = sorted((ids[name], latest[name]) for name in names if ids[name] in new)
                await connection.execute(
                    _TOUCH_WORKLOADS,
                    [item[0] for item in touched],
                    [_containers(item[1].experiment) for item in touched],
                    [item[1].end for item in touched],
                )
                await connection.execute(_TOUCH_CLUSTER, cluster.id, reported_at)
        return Stored(ids, sum(new.values()))

    async def _add_workloads(
        self,
        connection: Connection,
        cluster: Cluster,
        latest: Sequence[Result],
    ) -> None:
        experiments = [result.experiment for result in latest]
        workloads = [experiment.workload for experiment in experiments]
        try:
            await connection.execute(
                _ADD_WORKLOADS,
                cluster.org_id,
                cluster.id,
                [experiment.name for experiment in experiments],
                [workload.namespace for workload in workloads],
                [workload.kind if is_namespace(workload) else workload.object_type for workload in workloads],
                [None if is_namespace(workload) else workload.object_name for workload in workloads],
                [_containers(experiment) for experiment in experiments],
                [result.end for result in latest],
            )
        except asyncpg.ForeignKeyViolationError as error:
            raise Retryable(_DELETED) from error

    async def defer(self, cluster: Cluster, asks: Sequence[Ask]) -> None:
        """Keep workloads for recommendation requests until the payload's last event has come."""
        columns = [ask.workload_id for ask in asks], [ask.until for ask in asks]
        with database_errors_counted():
            try:
                await self._database.execute(_DEFER, cluster.id, *columns)
            except asyncpg.ForeignKeyViolationError as error:
                raise Retryable(_DELETED) from error

    async def deferred(self, metadata: RosMetadata) -> dict[str, Ask]:
        """Return the kept workloads of a cluster, by experiment."""
        key = (metadata.org_id, metadata.source_id, metadata.cluster_uuid, metadata.cluster_alias)
        with database_errors_counted():
            rows = await self._database.fetch(_DEFERRED, *key)
        return {row["experiment_name"]: Ask(row["workload_id"], row["kind"], row["until"]) for row in rows}

    async def forget_deferred(self, workload_ids: Sequence[int]) -> None:
        """Delete kept workloads whose requests are sent."""
        with database_errors_counted():
            await self._database.execute(
                "delete from deferred_asks where workload_id = any($1)", workload_ids
            )

    async def make_partitions(self, moments: Sequence[datetime]) -> None:
        """Create the missing partitions of every partitioned table for rows of these times."""
        with database_errors_counted():
            for partitions in self._partitions.values():
                await partitions.ensure(moments)

    async def retire_partitions(self, before: datetime) -> None:
        """Drop the partitions of every partitioned table that end before a time."""
        with database_errors_counted():
            for partitions in self._partitions.values():
                await partitions.retire(before)


def is_namespace(workload: Workload) -> bool:
    """Return whether a workload is a whole namespace."""
    return workload.kind == "namespace"


def _containers(experiment: Experiment) -> str:
    return orjson.dumps([name for name, _ in experiment.workload.containers]).decode()


def _metric_columns(results: Sequence[Result], ids: Mapping[str, int]) -> tuple[Any, ...]:
    """Return the arguments of `_ADD_METRICS` after the organisation."""
    workload = results[0].experiment.workload
    rows: list[tuple[Result, ContainerUsage]] = [
        (result, usage) for result in results for usage in result.record.containers
    ]
    whole = is_namespace(workload)
    return (
        workload.kind,
        [ids[result.experiment.name] for result, _ in rows],
        [None if whole else usage.name for _, usage in rows],
        [result.experiment.workload.namespace if whole else None for result, _ in rows],
        [result.record.start for result, _ in rows],
        [result.record.end for result, _ in rows],
        [orjson.dumps(usage.metrics).decode() for _, usage in rows],
    )
