"""Events are stored in the transaction of their change and sent to Kafka after its commit.

A request ends with its commit and does not wait for Kafka. A committed event is never lost, whatever happens to this
process or the broker, and a change that was rolled back has no event. Each event is sent at least once: a reader may
see it twice, with the same ``event_id``. The events of a tenant are sent in the order of its changes; several replicas
may relay concurrently, each for different tenants.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import orjson

from headrace.bus.producer import Producer
from headrace.contracts.headers import IDENTITY_HEADER
from headrace.contracts.topics import SOURCES_RESOURCES
from headrace.database.pool import Connection, Database, Record
from headrace.runtime.errors import Permanent, Retryable
from headrace.runtime.logging import get_logger
from headrace.runtime.retries import RetryPolicy
from headrace_services.sources_api.callers import ACCOUNT, ORG_ID, Caller
from headrace_services.sources_api.metrics import EVENTS, WAITING
from headrace_services.sources_api.models import Resource, Row
from headrace_services.sources_api.tenants import Tenant

_log: Final = get_logger(__name__)

# Only polling finds the events of a replica that ended.
_POLL_SECONDS: Final = 1.0
_BATCH: Final = 100
_SEND_SECONDS: Final = 5.0
# The transaction is open while its events are sent, and PostgreSQL ends transactions that are idle for 20 s.
_BATCH_SECONDS: Final = 5.0
_HOLD: Final = RetryPolicy(cap_seconds=5.0)

_KEEP: Final = """
insert into outbox (tenant_id, event_type, key, headers, value) values ($1, $2, $3, $4, $5)
"""
_WAITING: Final = "select tenant_id, count(*) from outbox group by tenant_id order by min(id)"
# The replica that locks a tenant's oldest event has the tenant; others skip to the next tenant.
_TAKE: Final = """
select id from outbox where id = (select min(id) from outbox where tenant_id = $1) for update skip locked
"""
_NEXT: Final = f"select * from outbox where tenant_id = $1 order by id limit {_BATCH}"  # noqa: S608 -- a number


@dataclass(frozen=True)
class Event:
    """One change of one resource: ``action`` is create, update, destroy, pause or unpause."""

    action: str
    resource: Resource
    row: Row

    @property
    def type(self) -> str:
        """The type, such as ``Application.create``."""
        return f"{self.resource.event}.{self.action}"


async def keep(connection: Connection, events: Sequence[Event], tenant: Tenant, caller: Caller) -> None:
    """Store events in the transaction of their change."""
    headers = [
        (name, value)
        for name, value in (
            (ACCOUNT, caller.account or tenant.account),
            (ORG_ID, caller.org_id or tenant.org_id),
            (IDENTITY_HEADER, caller.identity),
        )
        if value
    ]
    shared = orjson.dumps(headers).decode()
    key = caller.org_id or tenant.org_id or caller.key
    await connection.executemany(
        _KEEP,
        [
            (tenant.id, event.type, key, shared, orjson.dumps(event.resource.told(event.row, tenant.name)))
            for event in events
        ],
    )


class Relay:
    """Sends stored events, those of one tenant in order."""

    def __init__(self, database: Database, producer: Producer, topic: str = SOURCES_RESOURCES.name) -> None:
        self._database = database
        self._producer = producer
        self._topic = topic
        self._woken = asyncio.Event()
        self.problem: str | None = None

    def wake(self) -> None:
        """Send soon: there are new events."""
        self._woken.set()

    async def run(self) -> None:
        """Send events as soon as there are any, until cancelled."""
        attempt = 0
        while True:
            self._woken.clear()
            try:
                await self.drain()
            except Retryable as error:
                attempt += 1
                self.problem = f"events are waiting to be sent: {error}"
                _log.warning("events_held", reason=str(error))
                await asyncio.sleep(_HOLD.hold_seconds(attempt))
                continue
            attempt = 0
            with suppress(TimeoutError):
                async with asyncio.timeout(_POLL_SECONDS):
                    await self._woken.wait()

    async def drain(self) -> None:
        """Send all events except those that another replica is sending. Raises `Retryable`."""
        refused: dict[int, str] = {}
        while True:
            rows = await self._database.fetch(_WAITING)
            WAITING.set(sum(row["count"] for row in rows))
            sent = 0
            for row in rows:
                tenant_id: int = row["tenant_id"]
                if tenant_id in refused:
                    continue
                try:
                    sent += await self._relay(tenant_id)
                except Permanent as error:
                    # The event and later ones of its tenant stay stored: an operator has to raise the topic's limit.
                    refused[tenant_id] = f"Kafka refused an event: {error}"
                    if self.problem != refused[tenant_id]:
                        _log.error("event_refused", tenant=tenant_id, reason=str(error))
            if not sent:
                self.problem = next(iter(refused.values()), None)
                return

    async def _relay(self, tenant_id: int) -> int:
        """Send a tenant's next events; delete those that are acknowledged, even if a later one fails."""
        async with self._database.transaction() as connection:
            if await connection.fetchval(_TAKE, tenant_id) is None:
                return 0
            acknowledged: list[int] = []
            failure: Exception | None = None
            deadline = time.monotonic() + _BATCH_SECONDS
            for row in await connection.fetch(_NEXT, tenant_id):
                if time.monotonic() > deadline:
                    break
                try:
                    await self._send(row)
                except (Retryable, Permanent) as error:
                    failure = error
                    break
                acknowledged.append(row["id"])
            await connection.execute("delete from outbox where id = any($1)", acknowledged)
        if failure:
            raise failure
        return len(acknowledged)

    async def _send(self, row: Record) -> None:
        headers: list[list[str]] = orjson.loads(row["headers"])
        headers += [["event_type", row["event_type"]], ["event_id", str(row["id"])]]
        await self._producer.send_raw(
            self._topic,
            row["value"],
            key=row["key"].encode(),
            headers=[(name, value.encode()) for name, value in headers],
            timeout_seconds=_SEND_SECONDS,
        )
        EVENTS.labels(row["event_type"]).inc()
