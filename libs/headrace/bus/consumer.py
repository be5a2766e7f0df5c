"""The consumer runtime: reads records, runs handlers, commits what is durable.

Polling never waits for handlers: they run in their own tasks, and a partition that has enough in hand, or is
held, is left out of the next poll. (It is left out rather than paused, because aiokafka discards what it has
fetched for a paused partition.) An offset is committed when everything below it has ended on record.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from math import inf
from time import monotonic, time
from typing import Any, Final, Generic, TypeVar

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import KafkaError

from headrace.bus.commits import Commits
from headrace.bus.connection import client_arguments
from headrace.bus.consumption import Consumption
from headrace.bus.delivery import Delivery, Handler, KeyFunction
from headrace.bus.dispatcher import Dispatcher
from headrace.bus.partition import Partition
from headrace.bus.processing import HurtOnTheWay, Processor
from headrace.bus.producer import Producer
from headrace.bus.statuses import StatusReporter
from headrace.bus.tracker import LogTruncated
from headrace.contracts.message import Message, rfc3339, utc_now
from headrace.runtime import metrics
from headrace.runtime.cancellation import end
from headrace.runtime.errors import Retryable
from headrace.runtime.logging import get_logger
from headrace.runtime.retries import RetryPolicy
from headrace.runtime.settings import EngineSettings

__all__ = ["Consumer", "Delivery", "Handler", "KeyFunction"]

M = TypeVar("M", bound=Message)

_log: Final = get_logger(__name__)

_COMMIT_INTERVAL_SECONDS: Final = 1.0
# Of a stop's deadline, for the last commit and for leaving the group.
_LEAVE_SECONDS: Final = 5.0
_POLL_MS: Final = 1000
# While a partition has enough: short, since a poll for the others is not woken when it has room again.
_THROTTLED_POLL_MS: Final = 10
_POLL_RECORDS: Final = 256
# A fetch is answered at least twice a second; after so long without one the broker is away.
_SILENCE_SECONDS: Final = 15.0
_RECONNECT: Final = RetryPolicy(base_seconds=0.2, cap_seconds=5.0)


class Consumer(Generic[M]):
    """Consumes one topic as its `Consumption` declares, at least once, in order per key."""

    def __init__(
        self,
        consumption: Consumption,
        handler: Handler[M],
        *,
        service: str,
        settings: EngineSettings,
        producer: Producer,
        statuses: StatusReporter | None = None,
        key: KeyFunction[M] | None = None,
    ) -> None:
        """Prepare; `run` connects.

        ``statuses``: report each message's `received` and then `success` or `error`, if it has a request id.
        ``key``: messages of the same key are handled in order (within a partition); by default the record's
        key.
        """
        self._consumption = consumption
        self._service = service
        self._settings = settings
        self._processor = Processor(
            consumption, handler, service=service, producer=producer, statuses=statuses, key=key
        )
        self._dispatcher = self._new_dispatcher()
        self._commits: Commits | None = None
        # By partition what was being handled when the broker, not the message, ended our membership.
        self._absolved: dict[int, frozenset[int]] = {}
        self._ticked_at = self._stalled_at = -inf
        self._stopping = asyncio.Event()
        self._finished = asyncio.Event()
        self._finished.set()
        self._stop_at = 0.0
        self._silence: str | None = None
        self._connection_problem: str | None = "has not joined its group yet"

    def _new_dispatcher(self) -> Dispatcher[M]:
        return Dispatcher(
            self._processor,
            service=self._service,
            topic=self._consumption.topic.name,
            concurrency=self._consumption.concurrency,
            dead_letters_in_a_row=self._consumption.dead_letters_in_a_row,
            process_ends=self._settings.process_ends,
            note=self._note,
        )

    @property
    def problem(self) -> str | None:
        """The reason why the consumer does not work at present, as text for a person; None if it works."""
        return self._dispatcher.problem or self._connection_problem or self._silence

    async def run(self) -> None:
        """Consume until `stop`. Survives the broker's absence; raises `Fatal` if the handler does."""
        self._finished.clear()
        failures = 0
        try:
            while not self._stopping.is_set():
                started = monotonic()
                try:
                    await self._session()
                except (KafkaError, OSError) as error:
                    failures = 1 if monotonic() - started > 60 else failures + 1
                    self._lost_broker(error)
                    with suppress(TimeoutError):
                        async with asyncio.timeout(_RECONNECT.hold_seconds(failures)):
                            await self._stopping.wait()
        finally:
            self._finished.set()

    def _lost_broker(self, error: Exception) -> None:
        reason = f"{type(error).__name__}: {error}"
        self._connection_problem = (
            f"{self._consumption.topic.name}: cannot consume since {rfc3339(utc_now())}: {reason}"
        )
        _log.warning("consumer disconnected", service=self._service, reason=reason)

    async def stop(self, deadline_seconds: float = 25.0) -> None:
        """Finish running handlers, return the rest, commit, leave the group; returns within the deadline."""
        self._stop_at = monotonic() + deadline_seconds
        self._stopping.set()
        self._dispatcher.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(deadline_seconds):
                await self._finished.wait()

    async def _session(self) -> None:
        """Run one membership of the group, from joining to leaving."""
        client = self._new_client()
        commits = Commits(client, service=self._service, topic=self._consumption.topic.name)
        self._commits = commits
        self._ticked_at = monotonic()
        budget_seconds = 0.0
        try:
            await client.start()
            topic = self._consumption.topic.name
            if topic not in await client.topics():
                raise KafkaError(f"topic {topic} does not exist")
            client.subscribe([topic], listener=_Rebalance(self, commits))
            try:
                await self._until_over(client, commits)
            finally:
                budget_seconds = self._drain_seconds()
        except asyncio.CancelledError:
            budget_seconds = 0.0
            raise
        finally:
            await self._leave(client, commits, budget_seconds)
            if not self._dispatcher.halted:
                self._dispatcher = self._new_dispatcher()

    def _new_client(self) -> AIOKafkaConsumer:
        membership = self._consumption.membership
        return AIOKafkaConsumer(
            **client_arguments(self._settings, client_id=f"headrace-{self._service}"),
            group_id=self._consumption.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            heartbeat_interval_ms=int(membership.heartbeat_seconds * 1000),
            session_timeout_ms=int(membership.session_seconds * 1000),
            rebalance_timeout_ms=int(membership.rebalance_seconds * 1000),
            max_poll_interval_ms=int(membership.max_poll_seconds * 1000),
            # Every rebalance revokes everything in aiokafka, so that stickiness would save nothing; this is
            # the even one.
            partition_assignment_strategy=(RoundRobinPartitionAssignor,),
        )

    async def _until_over(self, client: AIOKafkaConsumer, commits: Commits) -> None:
        """Poll and commit until stopped, failed or disconnected."""
        tasks = [
            asyncio.create_task(work)
            for work in (
                self._poll(client, commits),
                self._tick(client, commits),
                self._stopping.wait(),
                self._dispatcher.failed.wait(),
            )
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await end(*tasks)
        if self._dispatcher.failure is not None:
            raise self._dispatcher.failure
        for task in done:
            task.result()

    async def _poll(self, client: AIOKafkaConsumer, commits: Commits) -> None:
        dispatcher = self._dispatcher
        nowhere = TopicPartition(self._consumption.topic.name, -1)
        while True:
            dispatcher.room.clear()
            if await commits.open(dispatcher.partitions.values(), self._absolved):
                dispatcher.fill()
            wanted, throttled = self._wanted()
            if not wanted:
                # Asks for nothing, yet counts as a poll: a member that stops polling is put out of its group.
                await client.getmany(nowhere)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_POLL_MS / 1000):
                        await dispatcher.room.wait()
                continue
            fetched = await client.getmany(
                *wanted,
                timeout_ms=_THROTTLED_POLL_MS if throttled else _POLL_MS,
                max_records=_POLL_RECORDS,
            )
            for topic_partition, records in fetched.items():
                try:
                    dispatcher.submit(topic_partition, records)
                except LogTruncated as error:
                    # What was done belongs to a log that is no more: committing it would skip what is new.
                    self._forget(list(dispatcher.partitions.values()))
                    raise KafkaError(f"{topic_partition}: the log was truncated: {error}") from error
                except HurtOnTheWay as error:
                    raise KafkaError(f"{topic_partition}: {error}") from error
            dispatcher.fill()
            # getmany returns at once while it has records: the handlers want the loop too.
            await asyncio.sleep(0)

    def _wanted(self) -> tuple[list[TopicPartition], bool]:
        """Return the partitions to poll, and whether others only have enough in hand for the moment."""
        if self._dispatcher.halted is not None:
            return [], False
        partitions = self._dispatcher.partitions.values()
        wanted = [partition.topic_partition for partition in partitions if partition.wants_more]
        throttled = any(not (partition.wants_more or partition.stopped) for partition in partitions)
        return wanted, throttled

    async def _tick(self, client: AIOKafkaConsumer, commits: Commits) -> None:
        while True:
            await asyncio.sleep(_COMMIT_INTERVAL_SECONDS)
            self._look_for_stall()
            partitions = list(self._dispatcher.partitions.values())
            self._look_for_topic(client)
            await self._advance_idle(client, partitions)
            await commits.commit(partitions)
            self._measure(client)

    def _look_for_stall(self) -> None:
        """Detect that the event loop was blocked for so long that it may cost the membership."""
        now = monotonic()
        if now - self._ticked_at > self._consumption.membership.session_seconds / 2:
            self._stalled_at = now
        self._ticked_at = now

    async def _hand_back(self, commits: Commits, partitions: list[Partition], budget_seconds: float) -> None:
        """Let running handlers finish within the budget, and record that they ended in order."""
        self._look_for_stall()
        running = {partition: partition.ledger.running for partition in partitions if partition.ledger}
        await self._dispatcher.drain(partitions, budget_seconds)
        await commits.commit(partitions, closing=True)
        # Where that failed with the event loop free all the time, the broker ended it, and no message.
        if monotonic() - self._stalled_at > 2 * self._consumption.membership.session_seconds:
            for partition, offsets in running.items():
                if partition.ledger is not None and offsets:
                    self._absolved[partition.topic_partition.partition] = offsets
        self._forget(partitions)

    def _look_for_topic(self, client: AIOKafkaConsumer) -> None:
        """Raise if the group was joined while the topic did not exist; nobody would notice it for minutes."""
        topic = self._consumption.topic.name
        joined = self._connection_problem is None
        if joined and not client.assignment() and not client.partitions_for_topic(topic):
            raise KafkaError(f"topic {topic} does not exist")

    async def _advance_idle(self, client: AIOKafkaConsumer, partitions: Iterable[Partition]) -> None:
        """Advance past offsets without records (markers, gaps); otherwise the lag would never be 0."""
        for partition in partitions:
            if partition.tracker.idle and not partition.closed:
                with suppress(KafkaError, TimeoutError):
                    async with asyncio.timeout(1.0):
                        partition.tracker.skip_to(await client.position(partition.topic_partition))

    async def _note(self, partition: Partition) -> None:
        if self._commits is None:
            raise Retryable("not a member of its group")
        await self._commits.note(partition)

    def _measure(self, client: AIOKafkaConsumer) -> None:
        labels = (self._service, self._consumption.topic.name)
        partitions = list(self._dispatcher.partitions.values())
        metrics.IN_FLIGHT.labels(*labels).set(sum(partition.count for partition in partitions))
        silences = []
        for partition in partitions:
            at = partition.topic_partition
            if partition.closed or at not in client.assignment():
                continue
            highwater, polled_ms = client.highwater(at), client.last_poll_timestamp(at)
            if highwater is not None and partition.committed is not None:
                lag = max(0, highwater - partition.committed)
                metrics.CONSUMER_LAG.labels(*labels, str(at.partition)).set(lag)
            if polled_ms is not None and partition.wants_more:
                silences.append(time() - polled_ms / 1000)
        silence = min(silences, default=0.0)
        self._silence = f"no answer from Kafka for {silence:.0f} s" if silence > _SILENCE_SECONDS else None

    def assigned(self, topic_partitions: Iterable[TopicPartition]) -> None:
        """Take over the partitions that the group assigned (called by the client)."""
        self._connection_problem = None
        self._dispatcher.assign(topic_partitions)
        _log.info(
            "partitions assigned",
            service=self._service,
            topic=self._consumption.topic.name,
            partitions=sorted(at.partition for at in topic_partitions),
        )

    async def revoked(self, commits: Commits) -> None:
        """Give up every partition (called by the client, which waits)."""
        partitions = list(self._dispatcher.partitions.values())
        if not partitions:
            return
        lost = commits.lost
        # Others may have the partitions already: hurry.
        await self._hand_back(commits, partitions, 0.0 if lost else self._drain_seconds())
        _log.info("partitions revoked", service=self._service, topic=self._consumption.topic.name, lost=lost)

    def _forget(self, partitions: Iterable[Partition]) -> None:
        self._dispatcher.forget(partitions)
        for partition in partitions:
            # The next owner reports it.
            with suppress(KeyError):
                metrics.CONSUMER_LAG.remove(
                    self._service, self._consumption.topic.name, str(partition.topic_partition.partition)
                )

    def _drain_seconds(self) -> float:
        """Return how long running handlers may still take."""
        if self._stopping.is_set():
            left = self._stop_at - monotonic()
            return max(0.0, left - min(_LEAVE_SECONDS, left / 3))
        return self._consumption.membership.revoke_seconds

    async def _leave(self, client: AIOKafkaConsumer, commits: Commits, budget_seconds: float) -> None:
        await self._hand_back(commits, list(self._dispatcher.partitions.values()), budget_seconds)
        stopping = asyncio.create_task(client.stop())
        await asyncio.wait([stopping], timeout=_LEAVE_SECONDS)
        if not stopping.done():
            stopping.cancel()
        with suppress(KafkaError, asyncio.CancelledError):
            await stopping
        await client._client.close()  # noqa: SLF001 -- whatever stop() did not reach


class _Rebalance(ConsumerRebalanceListener):
    """Forwards the group's assignments.

    It must not wait for anything that a poll blocks, because both would wait for ever.
    """

    def __init__(self, consumer: Consumer[Any], commits: Commits) -> None:
        self._consumer = consumer
        self._commits = commits

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:  # noqa: ARG002
        await self._consumer.revoked(self._commits)

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._consumer.assigned(assigned)
