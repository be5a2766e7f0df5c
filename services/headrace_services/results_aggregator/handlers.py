"""Handles a message: checks it, stores it if it is newer, returns the outcome."""

from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Final, TypeAlias

import asyncpg

from headrace.bus.delivery import Delivery
from headrace.contracts.message import Unjudged, rfc3339, utc_now
from headrace.runtime import metrics as runtime_metrics
from headrace.runtime.errors import HeadraceError, Permanent, Poison, Rejected
from headrace.runtime.logging import get_logger
from headrace_services.results_aggregator import metrics
from headrace_services.results_aggregator.messages import Origin
from headrace_services.results_aggregator.reports import EmptyReport, Hits, cluster_report
from headrace_services.results_aggregator.store import AggregatorStore, Stored
from headrace_services.results_aggregator.workloads import cluster_workloads

_log = get_logger(__name__)

_KNOWN_VERSIONS: Final = frozenset({1, 2})
_DUPLICATES: Final = runtime_metrics.REDELIVERIES.labels("results_aggregator")

Work: TypeAlias = Callable[[], Awaitable[str]]


class Aggregator:
    """The handlers of both topics. ``allowlist``: the organisations whose reports are stored; None: all."""

    def __init__(self, store: AggregatorStore, allowlist: frozenset[int] | None = None) -> None:
        self._store = store
        self._allowlist = allowlist

    async def handle_report(self, message: Unjudged, delivery: Delivery) -> str:
        """Of topic ``ccx.ocp.results``."""
        return await self._on_record(message, delivery, lambda: self._report(message, delivery))

    async def handle_workloads(self, message: Unjudged, delivery: Delivery) -> str:
        """Of topic ``ccx.dvo.results``."""
        return await self._on_record(message, delivery, lambda: self._workloads(message))

    async def _report(self, message: Unjudged, delivery: Delivery) -> str:
        try:
            report = cluster_report(message)
        except EmptyReport:
            metrics.EMPTY.inc()
            return "skipped: no rule was run on the archive"
        self._check(report.origin)
        stored = await self._store.store_report(report, delivery)
        return _told(report.origin, stored, _hits_text(report.hits))

    async def _workloads(self, message: Unjudged) -> str:
        workloads = cluster_workloads(message)
        self._check(workloads.origin)
        stored = await self._store.store_workloads(workloads)
        return _told(workloads.origin, stored, _count(len(workloads.namespaces), "namespace"))

    def _check(self, origin: Origin) -> None:
        if self._allowlist is not None and origin.org_id not in self._allowlist:
            # No dead letter: nothing is wrong with the message, and all others' messages would fill the topic.
            raise Rejected("organization ID is not in allow list")
        if origin.version not in _KNOWN_VERSIONS:
            _log.warning("unknown_message_version", version=origin.version, cluster=str(origin.cluster))
        now = utc_now()
        if origin.last_checked_at > now:
            _log.warning(
                "last_checked_in_the_future",
                cluster=str(origin.cluster),
                last_checked=rfc3339(origin.last_checked_at),
            )
        metrics.LAG_MINUTES.observe(max(0.0, (now - origin.last_checked_at).total_seconds() / 60))

    async def _on_record(self, message: Unjudged, delivery: Delivery, work: Work) -> str:
        """Count how a message ends; one that fails for good leaves a row in consumer_error."""
        began = perf_counter()
        try:
            text = await work()
        except HeadraceError as error:
            if not isinstance(error, Permanent):
                raise
            failure = error
        except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError, TypeError) as error:
            # The same message would meet the same fault; the runtime's retries are for engines.
            _log.exception("report_refused")
            failure = Poison(f"cannot be stored: {error}")
            failure.__cause__ = error
        else:
            metrics.CONSUMED.inc()
            metrics.SUCCESS_SECONDS.observe(perf_counter() - began)
            return text
        await self._store.add_error(delivery, message.raw.decode(errors="replace"), str(failure))
        metrics.CONSUMED.inc()
        metrics.ERRORS.inc()
        metrics.FAILURE_SECONDS.observe(perf_counter() - began)
        raise failure


def _told(origin: Origin, stored: Stored, what: str) -> str:
    if stored.stored:
        metrics.WRITTEN.inc()
        return f"stored: {what}"
    metrics.OLD.inc()
    if stored.kept == origin.last_checked_at:
        _DUPLICATES.inc()
        return "skipped: this report is already stored"
    kept = rfc3339(stored.kept) if stored.kept else ""
    _log.info(
        "old_report", cluster=str(origin.cluster), last_checked=rfc3339(origin.last_checked_at), kept=kept
    )
    return f"skipped: older than the stored report of {kept}"


def _hits_text(hits: Hits) -> str:
    repeated = f", {hits.repeated} repeated" if hits.repeated else ""
    return _count(len(hits.rule_fqdn), "rule hit") + repeated


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
