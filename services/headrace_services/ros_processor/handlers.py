"""Handles the events about usage files.

A redelivery repeats no effect: Kruize knows experiments and intervals by name, the database knows rows by their keys. A
recommendation request may be sent twice; ros_poller ignores the second.
"""

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from operator import itemgetter
from typing import Final

from headrace.bus.delivery import Delivery
from headrace.bus.producer import Outgoing, Producer
from headrace.contracts.kruize import SEPARATORS
from headrace.contracts.ros import RecommendationMetadata, RecommendationRequest, RosEvent
from headrace.contracts.topics import Topic
from headrace.database.owners import ForeignCluster
from headrace.objects.fetch import Fetcher, Location, stored
from headrace.runtime.errors import Rejected, Retryable
from headrace_services.ros_processor import metrics
from headrace_services.ros_processor.aggregation import Aggregate, CsvRejected, aggregate
from headrace_services.ros_processor.client import Kruize
from headrace_services.ros_processor.loading import Loader, Tally
from headrace_services.ros_processor.store import Ask, Cluster, RosStore

# Organisation, source, cluster and alias are in one index entry, which PostgreSQL limits to 2700 bytes.
_MAX_CLUSTER_BYTES: Final = 2000
_SHOWN_FILES: Final = 5
_SEND_SECONDS: Final = 30.0


class Gone(Rejected):
    """A file that is not available."""


@dataclass
class Outcome:
    """The outcome of a message's files."""

    tally: Tally = field(default_factory=Tally)
    rejected: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    used: int = 0
    cluster: Cluster | None = None
    asks: dict[str, Ask] = field(default_factory=dict)

    def conclude(self) -> str:
        """Return the text of the status; raises `Rejected` if no file could be used."""
        shown = self.rejected[:_SHOWN_FILES]
        if more := len(self.rejected) - len(shown):
            shown.append(f"{more} more files rejected")
        if self.used and not self.asks:
            raise Rejected("; ".join([self.tally.refusals(), *shown]))
        if self.rejected and not self.used and not self.skipped:
            raise Rejected("; ".join(shown))
        done = [self.tally.text()] if self.used else []
        return "; ".join([*done, *self.skipped, *shown]) or "no files"


@dataclass(frozen=True)
class UsageFiles:
    """Processes the files of one payload; ``bucket`` is that of the object keys."""

    fetcher: Fetcher
    bucket: str
    kruize: Kruize
    store: RosStore
    producer: Producer
    requests: Topic[RecommendationRequest]
    namespaces: bool = True

    async def handle(self, message: RosEvent, delivery: Delivery) -> str:
        """Process every file; return the outcome."""
        whose = message.metadata
        names = (whose.org_id, whose.source_id, whose.cluster_uuid, whose.cluster_alias)
        if len("".join(names).encode()) > _MAX_CLUSTER_BYTES:
            raise Rejected(f"the cluster's names have more than {_MAX_CLUSTER_BYTES} bytes")
        if SEPARATORS & {*whose.org_id, *whose.source_id}:
            separators = "".join(sorted(SEPARATORS))
            raise Rejected(
                f"org_id or source_id: contains one of {separators!r}, which Kruize uses as separators of names"
            )
        outcome = Outcome()
        for number, url in enumerate(message.files):
            try:
                await self._take(message, number, url, delivery.timestamp, outcome)
            except ForeignCluster:
                raise
            except Rejected as error:
                outcome.rejected.append(f"{_name(url)}: {error}")
        if not message.more_follow:
            await self._ask_for_recommendations(message, outcome)
        elif outcome.cluster:
            # Without a cluster no file was usable, so there is nothing to keep.
            await self.store.defer(outcome.cluster, list(outcome.asks.values()))
        # Failed attempts have seen these rows too, but only this one counts them.
        metrics.INVALID_DATAPOINTS.inc(outcome.tally.dropped.total())
        return outcome.conclude()

    async def _take(
        self, message: RosEvent, number: int, url: str, reported_at: datetime, outcome: Outcome
    ) -> None:
        async with AsyncExitStack() as stack:
            try:
                file = await self._read(message, number, url, reported_at, stack)
            except CsvRejected as error:
                metrics.INVALID_CSV[getattr(error, "kind", "container")].inc()
                raise
            except (Gone, Retryable):
                metrics.FETCH_ERRORS.inc()
                raise
            outcome.tally.dropped.update(file.dropped)
            if file.kind == "namespace" and not self.namespaces:
                outcome.skipped.append(
                    f"{_name(url)}: ignored, because namespace recommendations are disabled"
                )
                return
            outcome.cluster = outcome.cluster or await self.store.cluster(message.metadata, reported_at)
            loader = Loader(
                kruize=self.kruize,
                store=self.store,
                metadata=message.metadata,
                reported_at=reported_at,
                cluster=outcome.cluster,
                tally=outcome.tally,
                asks=outcome.asks,
            )
            outcome.used += 1
            await loader.load(file.workloads())

    async def _read(
        self, message: RosEvent, number: int, url: str, now: datetime, stack: AsyncExitStack
    ) -> Aggregate:
        """Read the file to its end first: no connection stays open while Kruize and the database work."""
        reason = Rejected("it has no location")
        for locate in self._places(message, number, url):
            try:
                location = locate()
                async with self.fetcher.open(location) as chunks:
                    return await stack.enter_async_context(aggregate(chunks, now=now))
            except CsvRejected:
                raise
            except Rejected as error:
                reason = error
        raise Gone(str(reason)) from reason

    def _places(self, message: RosEvent, number: int, url: str) -> list[Callable[[], Location]]:
        """Return the location of each file: by key if there is one, by URL if the key belongs to another S3 server."""
        keys = message.object_keys or []
        key = keys[number] if number < len(keys) else ""
        by_key = [lambda: stored(self.bucket, key)] if key else []
        return [*by_key, lambda: self.fetcher.locate(url, request_id=message.request_id)]

    async def _ask_for_recommendations(self, message: RosEvent, outcome: Outcome) -> None:
        """Send requests for the workloads of this event and of the payload's earlier events, once each."""
        deferred = await self.store.deferred(message.metadata)
        asks = deferred | {
            name: ask
            for name, ask in outcome.asks.items()
            if name not in deferred or deferred[name].until < ask.until
        }
        requests = [
            Outgoing.of(self.requests, _request(message, name, ask), key=name)
            for name, ask in sorted(asks.items(), key=itemgetter(0))
        ]
        if requests:
            await self.producer.send_all(requests, timeout_seconds=_SEND_SECONDS)
        if deferred:
            await self.store.forget_deferred([ask.workload_id for ask in deferred.values()])


def _request(message: RosEvent, name: str, ask: Ask) -> RecommendationRequest:
    whose = RecommendationMetadata(
        Org_id=message.metadata.org_id,
        Workload_id=ask.workload_id,
        Experiment_name=name,
        Max_endtime_report=ask.until,
        ExperimentType=ask.kind,
    )
    return RecommendationRequest(Request_id=message.request_id, Metadata=whose)


def _name(url: str) -> str:
    """Return a file's name without the secrets in its URL."""
    path = url.partition("?")[0]
    return path.rpartition("/")[2][:200] or path[:200] or "a file without a name"
