"""The tracker's tables: statuses in, payloads and statuses out."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import fields
from datetime import timedelta
from typing import Final

from headrace.database.counts import Count, count_rows
from headrace.database.pool import Connection, Database, Record
from headrace.runtime.errors import Retryable
from headrace_services.payload_tracker.models import StatusRow, columns
from headrace_services.payload_tracker.parameters import Listing, Order

# A status is found by its payload: counting more of them costs more than their page.
STATUSES_COUNTED: Final = 1000
_MAX_BATCH_ROWS: Final = 500
_DELETE_ROWS: Final = 1000

_RECORD: Final = f"select record_statuses({', '.join(f'${n}' for n, _ in enumerate(fields(StatusRow), 1))})"

_PAYLOADS: Final = """
select id, request_id, account, inventory_id, system_id, created_at, org_id from payloads
"""

# By alias: every status has exactly one row of each, or none of its source.
_JOINS: Final = {
    "p": "join payloads p on p.id = t.payload_id",
    "s": "join services s on s.id = t.service_id",
    "o": "left join sources o on o.id = t.source_id",
    "w": "join statuses w on w.id = t.status_id",
}
_STATUSES_FROM: Final = "\n".join(["\nfrom payload_statuses t", *_JOINS.values(), ""])
_STATUSES_SELECT: Final = """
select t.id, s.name as service, coalesce(o.name, '') as source, p.account, p.org_id, p.request_id,
    p.inventory_id, p.system_id, t.created_at, w.name as status, t.status_msg, t.date"""
_STATUSES: Final = _STATUSES_SELECT + _STATUSES_FROM
_STATUS_COLUMNS: Final = (
    "id, service, source, account, org_id, request_id, inventory_id, system_id, created_at, status, status_msg,"
    " date"
)

# What an organisation may see. A status that names none is about the payload of the one organisation that reported the
# request id; where two did, or the accounts differ, nobody can tell whose it is, and no organisation sees it. It is
# decided when it is asked, so that the rows do not depend on the order of statuses.
_NOBODYS: Final = """
select nobodys.id from payloads own join payloads nobodys on nobodys.request_id = own.request_id
where own.org_id = {org}{also} and nobodys.org_id = '' and nobodys.account in ('', own.account)
    and not exists (
        select from payloads other where other.request_id = own.request_id and other.org_id not in ('', {org})
    )
"""
OWN_PAYLOAD: Final = f"""p.id in (
    select own.id from payloads own where own.org_id = $2 and own.request_id = $1
    union all {_NOBODYS.format(org="$2", also=" and own.request_id = $1")}
)"""  # noqa: S608 -- ours
_NOBODYS_LISTED: Final = _NOBODYS.format(org="$1", also="")

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

    async def payloads(self, listing: Listing, org_id: str | None = None) -> tuple[Count, list[Record]]:
        """How many payloads match, and the page asked for; with ``org_id`` that organisation's only."""
        if org_id is not None:
            listing.where.compare("org_id", "=", org_id)
        async with self._reading() as connection:
            where = listing.where
            count = await count_rows(connection, f"from payloads where {where.text}", *where.arguments)
            return count, await connection.fetch(_page(_PAYLOADS, listing), *where.arguments)

    async def statuses(self, listing: Listing, org_id: str | None = None) -> tuple[Count, list[Record]]:
        """How many statuses match, and the page asked for; with ``org_id`` that organisation's only."""
        async with self._reading() as connection:
            where, places = listing.where, ["true"]
            if org_id is not None:
                # Two conditions, each found by its index, where one of both would have every row looked at.
                places = [f"p.org_id = {where.place(org_id)}"]
                if nobodys := [row["id"] for row in await connection.fetch(_NOBODYS_LISTED, org_id)]:
                    places.append(f"p.id = any({where.place(nobodys)}::bigint[])")
            every = " union all ".join(
                f"select from payload_statuses t {_joins(f'{where.text} {place}')} where {where.text} and {place}"
                for place in places
            )
            count = await count_rows(
                connection, f"from ({every}) as found", *where.arguments, up_to=STATUSES_COUNTED
            )
            return count, await connection.fetch(_statuses_page(listing, places), *where.arguments)

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[Connection]:
        """Everything is read as of one moment."""
        async with (
            self._database.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield connection

    async def payload(self, request_id: str, order: Order, org_id: str | None = None) -> list[Record]:
        """Every status of a request id; with ``org_id`` those of that organisation's payload only."""
        where = f"{_STATUSES} where p.request_id = $1"
        if org_id is None:
            return await self._database.fetch(f"{where} order by {order.text}", request_id)
        return await self._database.fetch(
            f"{where} and {OWN_PAYLOAD} order by {order.text}", request_id, org_id
        )

    async def forget(self, older_than: timedelta) -> int:
        """Delete the oldest payloads with their statuses, a bounded number; returns how many."""
        tag = await self._database.execute(_FORGET, older_than, _DELETE_ROWS)
        return int(tag.rpartition(" ")[2])

    async def ping(self) -> None:
        """One round trip."""
        await self._database.ping()


# All text of a page comes from the whitelist of column names in parameters.py; every value is an argument.


def _joins(condition: str) -> str:
    """What a condition looks at beside the statuses; counting needs no more."""
    return " ".join(join for alias, join in _JOINS.items() if f"{alias}." in condition)


def _page(select: str, listing: Listing) -> str:
    paged = f"limit {listing.limit} offset {listing.offset}"
    return f"{select} where {listing.where.text} order by {listing.order.text} {paged}"


def _statuses_page(listing: Listing, places: list[str]) -> str:
    """The statement for rows that match in one of the places, which exclude each other."""
    order, last = listing.order, listing.offset + listing.limit
    sorted_select = f"{_STATUSES_SELECT}, {order.column} as sort_key {_STATUSES_FROM}"
    ending = f"order by {order.text} limit {last}"
    parts = (f"({sorted_select} where {listing.where.text} and {place} {ending})" for place in places)
    return (
        f"select {_STATUS_COLUMNS} from ({' union all '.join(parts)}) as found"  # noqa: S608 -- see above
        f" order by sort_key {order.direction}, id {order.direction}"
        f" limit {listing.limit} offset {listing.offset}"
    )


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
