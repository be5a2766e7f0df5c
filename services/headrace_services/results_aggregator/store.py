"""The aggregator's writes, one round trip each."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from headrace.bus.delivery import Delivery
from headrace.database.owners import foreign
from headrace.database.pool import Database, Record
from headrace_services.results_aggregator.messages import Origin
from headrace_services.results_aggregator.metrics import measured_query
from headrace_services.results_aggregator.reports import ClusterReport
from headrace_services.results_aggregator.workloads import ClusterWorkloads

_FORGET_ROWS: Final = 200

_STORE_REPORT: Final = "select * from store_report($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
_STORE_WORKLOADS: Final = "select * from store_workloads($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
_ADD_ERROR: Final = """
insert into consumer_error (topic, partition, topic_offset, key, produced_at, consumed_at, message, error)
values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing
"""
_FORGET_ERRORS: Final = """
delete from consumer_error where (topic, partition, topic_offset) in (
    select topic, partition, topic_offset from consumer_error where produced_at < $1
    limit $2 for update skip locked
)
"""


@dataclass(frozen=True, slots=True)
class Stored:
    """The outcome of storing a message's contents.

    ``kept`` is the LastChecked of the previous report.
    """

    stored: bool
    kept: datetime | None


class AggregatorStore:
    """The aggregator's writes; repeating them leaves the same rows."""

    def __init__(self, database: Database, *, follow: bool = False) -> None:
        """``follow``: a cluster becomes the last organisation's whose report of it is stored."""
        self._database = database
        self._follow = follow

    async def store_report(self, report: ClusterReport, delivery: Delivery) -> Stored:
        """Report, hits, recommendations and version together, unless what is there is as new.

        ``reported_at`` is when the message was put on the topic, so that a replay leaves the same rows. Raises
        `ForeignCluster` where the cluster is another organisation's.
        """
        origin, hits = report.origin, report.hits
        with measured_query("store_report"):
            row = await self._database.fetch_row(
                _STORE_REPORT,
                origin.org_id,
                origin.cluster,
                report.text,
                delivery.timestamp,
                origin.last_checked_at,
                origin.gathered_at,
                delivery.offset,
                report.cluster_version,
                hits.rule_fqdn,
                hits.error_key,
                hits.template_data,
                self._follow,
                origin.request_id,
            )
        return _stored(origin, row)

    async def store_workloads(self, workloads: ClusterWorkloads) -> Stored:
        """All namespaces of a cluster together, under the same rules."""
        origin, namespaces = workloads.origin, workloads.namespaces.values()
        with measured_query("store_workloads"):
            row = await self._database.fetch_row(
                _STORE_WORKLOADS,
                origin.org_id,
                origin.cluster,
                origin.last_checked_at,
                list(workloads.namespaces),
                [namespace.name for namespace in namespaces],
                [namespace.report for namespace in namespaces],
                [len(namespace.recommendations) for namespace in namespaces],
                [len(namespace.objects) for namespace in namespaces],
                [namespace.rule_hits_count for namespace in namespaces],
                self._follow,
            )
        return _stored(origin, row)

    async def add_error(self, delivery: Delivery, message: str, error: str) -> None:
        """Note a message that could not be stored; once, however often it comes."""
        with measured_query("add_error"):
            await self._database.execute(
                _ADD_ERROR,
                delivery.topic,
                delivery.partition,
                delivery.offset,
                _clean(delivery.key) if delivery.key is not None else None,
                delivery.timestamp,
                delivery.first_seen,
                _clean(message),
                _clean(error),
            )

    async def forget(self, before: datetime) -> int:
        """Delete a bounded number of what is older, of each kind; returns how many."""
        with measured_query("forget"):
            reports = await self._database.fetch_value("select forget_reports($1, $2)", before, _FORGET_ROWS)
            workloads = await self._database.fetch_value(
                "select forget_workloads($1, $2)", before, _FORGET_ROWS
            )
            errors = await self._database.execute(_FORGET_ERRORS, before, _FORGET_ROWS)
        return int(reports) + int(workloads) + int(errors.rpartition(" ")[2])


def _stored(origin: Origin, row: Record | None) -> Stored:
    if row is None:
        raise AssertionError("a function returns one row")
    if row["refused"]:
        raise foreign("results_aggregator", str(origin.cluster), str(origin.org_id))
    return Stored(row["stored"], row["kept"])


def _clean(text: str) -> str:
    """As PostgreSQL's text can hold it: without NUL and half surrogate pairs."""
    return text.replace("\0", "").encode(errors="replace").decode()
