"""The tracker's tables: statuses in, payloads and statuses out."""

import asyncio
from collections import deque
from dataclasses import fields
from datetime import timedelta
from typing import Final

from headrace.database.pool import Database, Record
from headrace.runtime.errors import Retryable
from headrace_services.payload_tracker.models import StatusRow, columns
from headrace_services.payload_tracker.parameters import Listing

_MAX_BATCH_ROWS: Final = 500
_DELETE_ROWS: Final = 1000

_RECORD: Final = f"select record_statuses({', '.join(f'${n}' for n, _ in enumerate(fields(StatusRow), 1))})"

_PAYLOADS: Final = """
select id, request_id, account, inventory_id, system_id, created_at, org_id from payloads
"""

_STATUSES: Final = """
select t.id, s.name as service, coalesce(o.name, '') as source, p.account, p.org_id, p.request_id,
    p.inventory_id, p.system_id, t.created_at, w.name as status, t.status_msg, t.date
from payload_statuses t
join payloads p on p.id = t.payload_id
join services s on s.id = t.service_id
left join sources o on o.id = t.source_id
join statuses w on w.id = t.status_id
"""

# What an organisation may see. A status that names none is about the payload of the one organisation that reported the
# request id; where two did, or the accounts differ, nobody can tell whose it is, and no organisation sees it. It is
# decided when it is asked, so that the rows do not depend on the order of statuses.
_OWN: Final = """p.id in (
    select own.id from payloads own where own.org_id = {0}{also}
    union all
    select nobodys.id from payloads own join payloads nobodys on nobodys.request_id = own.request_id
    where own.org_id = {0}{also} and nobodys.org_id = '' and nobodys.account in ('', own.account)
        and not exists (
            select from payloads other where other.request_id = own.request_id and other.org_id not in ('', {0})
        )
)"""
_OWN_LISTED: Final = _OWN.replace("{also}", "")
_OWN_PAYLOAD: Final = _OWN.format("$2", also=" and own.request_id = $1")

# With the first payload of a request id goes what names no organisation: it would become the next one's.
_FORGET: Final = """
with old as (
    select id, request_id from payloads where created_at < now() - $1::interval
    order by created_at limit $2 for update skip locked
)
delete from payloads where id in (
    select id from old
    union
    select p.id from old join payloads p on p.request_id = old.request_id and p.org_id = ''
)
"""


class TrackerStore:
    """Reads, and the one statement that writes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, rows: list[StatusRow]) -> None:
        """Write a batch in one round trip and one transaction; doing it again changes nothing."""
        await self._database.execute(_RECORD, *columns(rows))

    async def payloads(self, listing: Listing, org_id: str | None = None) -> tuple[int, list[Record]]:
        """How many payloads match, and the page asked for; with ``org_id`` that organisation's only."""
        if org_id is not None:
            listing.where.compare("org_id", "=", org_id)
        return await self._page("payloads", _PAYLOADS, listing)

    async def statuses(self, listing: Listing, org_id: str | None = None) -> tuple[int, list[Record]]:
        """How many statuses match, and the page asked for; with ``org_id`` that organisation's only."""
        if org_id is not None:
            listing.where.add(_OWN_LISTED.format(listing.where.place(org_id)))
        return await self._page(_STATUSES.partition("from")[2], _STATUSES, listing)

    async def _page(self, tables: str, select: str, listing: Listing) -> tuple[int, list[Record]]:
        # All of it comes from the whitelist of column names in parameters.py; every value is an argument.
        where = listing.where
        async with self._database.transaction() as connection:
            count = await connection.fetchval(
                f"select count(*) from {tables} where {where.text}",  # noqa: S608
                *where.arguments,
            )
            rows = await connection.fetch(
                f"{select} where {where.text} order by {listing.order}"
                f" limit {listing.limit} offset {listing.offset}",
                *where.arguments,
            )
        return count, rows

    async def payload(self, request_id: str, order: str, org_id: str | None = None) -> list[Record]:
        """Every status of a request id; with ``org_id`` those of that organisation's payload only."""
        where = f"{_STATUSES} where p.request_id = $1"
        if org_id is None:
            return await self._database.fetch(f"{where} order by {order}", request_id)
        return await self._database.fetch(f"{where} and {_OWN_PAYLOAD} order by {order}", request_id, org_id)

    async def forget(self, older_than: timedelta) -> int:
        """Delete the oldest payloads with their statuses, a bounded number; returns how many."""
        tag = await self._database.execute(_FORGET, older_than, _DELETE_ROWS)
        return int(tag.rpartition(" ")[2])

    async def ping(self) -> None:
        """One round trip."""
        await self._database.ping()


class BatchWriter:
    """Writes statuses together that arrive during the previous write: no added delay, few round trips.

    The callers bound how many can wait, because each waits for its own row.
    """

    def __init__(self, store: TrackerStore) -> None:
        self._store = store
        self._waiting: deque[tuple[StatusRow, asyncio.Future[None]]] = deque()
        self._writing: asyncio.Task[None] | None = None

    async def add(self, row: StatusRow) -> None:
        """Return when the row is committed; raises what its write raised."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((row, done))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_waiting())
        await done

    async def _write_waiting(self) -> None:
        try:
            while self._waiting:
                take = min(len(self._waiting), _MAX_BATCH_ROWS)
                await self._write([self._waiting.popleft() for _ in range(take)])
        finally:
            self._writing = None

    async def _write(self, batch: list[tuple[StatusRow, asyncio.Future[None]]]) -> None:
        failure: Exception | None = None
        try:
            await self._store.record([row for row, _ in batch])
        except Retryable as error:
            failure = error
        except Exception as error:  # noqa: BLE001 -- it goes to whoever waits for the row
            # One row that PostgreSQL refuses must not take its neighbours with it.
            if len(batch) > 1:
                for one in batch:
                    await self._write([one])
                return
            failure = error
        for _, done in batch:
            if done.done():
                continue  # its caller's deadline has passed
            if failure is None:
                done.set_result(None)
            else:
                done.set_exception(Retryable(str(failure)) if isinstance(failure, Retryable) else failure)
