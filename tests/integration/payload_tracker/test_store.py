import asyncio
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from headrace.database.counts import Count
from headrace.database.pool import Database
from headrace.runtime.errors import Retryable
from headrace_services.payload_tracker.models import StatusRow
from headrace_services.payload_tracker.parameters import PAYLOADS, STATUSES, Order
from headrace_services.payload_tracker.store import BatchWriter, TrackerStore
from tests.waiting import eventually

NOW = datetime(2026, 11, 21, 21, 28, 22, tzinfo=UTC)


def row(request_id: str = "r1", seconds: float = 0, **fields: Any) -> StatusRow:
    values: dict[str, Any] = {
        "request_id": request_id,
        "account": "",
        "org_id": "",
        "inventory_id": "",
        "system_id": "",
        "service": "ingress",
        "source": "",
        "status": "received",
        "status_msg": "",
        "date": NOW + timedelta(seconds=seconds),
        "created_at": NOW + timedelta(seconds=seconds + 0.01),
    }
    return StatusRow(**values | fields)


async def contents(database: Database) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    payloads = await database.fetch(
        """
        select request_id, account, org_id, inventory_id, system_id, created_at from payloads
        order by request_id, org_id
        """
    )
    statuses = await database.fetch(
        """
        select p.request_id, p.org_id, s.name, o.name, w.name, t.status_msg, t.date, t.created_at
        from payload_statuses t
        join payloads p on p.id = t.payload_id join services s on s.id = t.service_id
        left join sources o on o.id = t.source_id join statuses w on w.id = t.status_id
        order by p.request_id, p.org_id, t.date, s.name, coalesce(o.name, ''), w.name, t.status_msg
        """
    )
    return [tuple(item) for item in payloads], [tuple(item) for item in statuses]


HISTORY = [
    row(seconds=0, org_id="1", account="a"),
    row(seconds=0, org_id="1", account="b", status="success"),
    row(seconds=1, service="archiver"),
    row(seconds=2, service="archiver", org_id="2", source="S3"),
    row(seconds=3, service="archiver", status="success", status_msg="archived", inventory_id="i"),
    row(seconds=3, service="archiver", status="success", status_msg="archived again"),
    row("r2", seconds=5, system_id="s"),
    row("r2", seconds=4, system_id="older", org_id="9"),
]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.row(14)
async def test_any_order_and_any_repetition_leaves_the_same_rows(
    tables: Database, store: TrackerStore, seed: int
) -> None:
    await store.record(HISTORY)
    expected = await contents(tables)
    await tables.execute("truncate payloads, payload_statuses")
    generator = random.Random(seed)
    told = HISTORY + generator.choices(HISTORY, k=10)
    generator.shuffle(told)
    while told:
        taken = generator.randint(1, 4)
        await store.record(told[:taken])
        del told[:taken]
    assert await contents(tables) == expected


async def test_the_newest_non_empty_value_stands(tables: Database, store: TrackerStore) -> None:
    await store.record(HISTORY)
    payloads, statuses = await contents(tables)
    assert payloads == [
        ("r1", "", "", "i", "", NOW + timedelta(seconds=1.01)),
        ("r1", "b", "1", "", "", NOW + timedelta(seconds=0.01)),
        ("r1", "", "2", "", "", NOW + timedelta(seconds=2.01)),
        ("r2", "", "", "", "s", NOW + timedelta(seconds=5.01)),
        ("r2", "", "9", "", "older", NOW + timedelta(seconds=4.01)),
    ]
    assert len(statuses) == len(HISTORY)


async def seen(store: TrackerStore, org_id: str | None, request_id: str = "r1") -> list[str]:
    """Texts of the statuses that an organisation sees of an id; both ways to ask agree."""
    rows = await store.payload(request_id, Order("t.date", "t.id", "asc"), org_id)
    _, listed = await store.statuses(STATUSES.read({"sort_by": "date", "sort_dir": "asc"}), org_id)
    assert [item["id"] for item in rows] == [
        item["id"] for item in listed if item["request_id"] == request_id
    ]
    return [item["status_msg"] for item in rows]


STOLEN = [
    row(seconds=0, org_id="1001", status_msg="mine"),
    row(seconds=1, org_id="1001", status_msg="mine too", service="archiver"),
    row(seconds=2, org_id="2002", status_msg="theirs"),
    row(seconds=3, status_msg="nobody's", service="foreign"),
]


@pytest.mark.parametrize("seed", range(4))
async def test_a_request_id_that_another_organisation_uses_too_stays_its_owners(
    store: TrackerStore, seed: int
) -> None:
    for item in random.Random(seed).sample(STOLEN, len(STOLEN)):
        await store.record([item])
    assert await seen(store, "1001") == ["mine", "mine too"]
    assert await seen(store, "2002") == ["theirs"]
    assert await seen(store, "3003") == []
    assert await seen(store, None) == ["mine", "mine too", "theirs", "nobody's"]
    for org_id in ("1001", "2002"):
        count, rows = await store.payloads(PAYLOADS.read({}), org_id)
        assert (count.number, [item["org_id"] for item in rows]) == (1, [org_id])


@pytest.mark.parametrize("seed", range(3))
async def test_a_status_without_an_organisation_is_the_only_ones_that_reported_the_id(
    store: TrackerStore, seed: int
) -> None:
    told = [STOLEN[0], STOLEN[3]]
    random.Random(seed).shuffle(told)
    for item in told:
        await store.record([item])
    assert await seen(store, "1001") == ["mine", "nobody's"]
    assert await seen(store, "2002") == []


async def test_a_status_of_another_account_is_not_shown(store: TrackerStore) -> None:
    await store.record(
        [row(org_id="1001", account="a", status_msg="mine"), row(seconds=1, account="b", status_msg="b's")]
    )
    assert await seen(store, "1001") == ["mine"]


async def test_what_names_nobody_goes_with_the_first_payload_of_its_id_and_never_to_the_next(
    store: TrackerStore,
) -> None:
    now = datetime.now(UTC)
    old, young = now - timedelta(days=31), now - timedelta(days=1)
    await store.record(
        [
            row(org_id="1001", created_at=old),
            row(seconds=1, status_msg="1001's, it seems", created_at=young),
            row(seconds=2, org_id="2002", status_msg="theirs", created_at=young),
        ]
    )
    assert await store.forget(timedelta(days=30)) == 2
    assert await seen(store, "2002") == ["theirs"]


async def test_a_repeated_status_writes_nothing(tables: Database, store: TrackerStore) -> None:
    await store.record(HISTORY)
    versions = "select array_agg(xmin::text order by id) from {}"
    before = [await tables.fetch_value(versions.format(name)) for name in ("payloads", "payload_statuses")]
    await store.record(HISTORY)
    after = [await tables.fetch_value(versions.format(name)) for name in ("payloads", "payload_statuses")]
    # A row lock shows as a new xmax, a rewritten row as a new xmin.
    assert after == before


async def test_many_writers_at_once_lose_nothing(tables: Database, store: TrackerStore) -> None:
    rows = [
        row(
            f"r{number % 40}",
            seconds=number,
            org_id=f"{number % 2}",
            service=f"service-{number % 7}",
            status=f"status-{number % 5}",
        )
        for number in range(400)
    ]
    generator = random.Random(1)
    batches = []
    for _ in range(3):
        shuffled = generator.sample(rows, len(rows))
        batches += [shuffled[start : start + 50] for start in range(0, len(shuffled), 50)]
    await asyncio.gather(*(store.record(batch) for batch in batches))
    payloads, statuses = await contents(tables)
    assert (len(payloads), len(statuses)) == (40, 400)


async def test_a_page_has_its_share_and_the_count_has_all(store: TrackerStore) -> None:
    await store.record([row(f"r{number:02}", seconds=number, org_id=str(number % 2)) for number in range(25)])
    seen = []
    for page in range(4):
        count, rows = await store.payloads(
            PAYLOADS.read({"page": str(page), "page_size": "5", "org_id": "1"})
        )
        assert count.number == 12
        seen += [item["request_id"] for item in rows]
    assert seen == [f"r{number:02}" for number in range(23, 0, -2)]


async def test_pages_of_equal_sort_values_neither_overlap_nor_miss(store: TrackerStore) -> None:
    await store.record([row(f"r{number}", created_at=NOW) for number in range(30)])
    seen = []
    for page in range(3):
        _, rows = await store.payloads(PAYLOADS.read({"page": str(page)}))
        seen += [item["request_id"] for item in rows]
    assert sorted(seen) == sorted(f"r{number}" for number in range(30))


async def test_statuses_without_a_source_are_listed(store: TrackerStore) -> None:
    await store.record([row(), row(seconds=1, source="web")])
    count, rows = await store.statuses(STATUSES.read({}))
    assert count.number == 2
    assert [item["source"] for item in rows] == ["web", ""]
    count, _ = await store.statuses(STATUSES.read({"source": "WEB"}))
    assert count.number == 1


@pytest.mark.parametrize("sort_by", list(STATUSES.sorting.columns))
async def test_every_sort_of_the_statuses_is_one_postgresql_knows(store: TrackerStore, sort_by: str) -> None:
    await store.record(HISTORY)
    query = {"sort_by": sort_by, "sort_dir": "asc", "date_gte": "2026-11-21T21:28:23Z", "page_size": "100"}
    count, rows = await store.statuses(STATUSES.read(query))
    assert count.number == len(rows) == 6
    values = [item[sort_by] for item in rows]
    assert values == sorted(values)


async def test_old_payloads_are_forgotten_with_their_statuses(tables: Database, store: TrackerStore) -> None:
    now = datetime.now(UTC)
    await store.record(
        [
            row("old", date=now, created_at=now - timedelta(days=31)),
            row("old", date=now + timedelta(seconds=1), created_at=now),
            row("young", date=now, created_at=now - timedelta(days=29)),
        ]
    )
    assert await store.forget(timedelta(days=30)) == 1
    assert await store.forget(timedelta(days=30)) == 0
    payloads, statuses = await contents(tables)
    assert [item[0] for item in payloads] == ["young"]
    assert len(statuses) == 1


async def test_waiting_rows_are_written_together(tables: Database, store: TrackerStore) -> None:
    writer = BatchWriter(store)
    await asyncio.gather(*(writer.add(row(f"r{number}")) for number in range(300)))
    transactions = await tables.fetch_value("select count(distinct xmin::text) from payloads")
    assert await tables.fetch_value("select count(*) from payloads") == 300
    assert transactions <= 2


async def test_a_row_that_postgresql_refuses_does_not_take_its_neighbours_with_it(
    tables: Database, store: TrackerStore
) -> None:
    writer = BatchWriter(store)
    rows = [row("good1"), row("bad", status_msg="\0"), row("good2")]
    results = await asyncio.gather(*(writer.add(item) for item in rows), return_exceptions=True)
    assert [isinstance(result, Exception) for result in results] == [False, True, False]
    payloads, _ = await contents(tables)
    assert [item[0] for item in payloads] == ["good1", "good2"]


async def test_an_engine_that_went_away_is_told_to_every_waiting_row_and_the_next_are_written(
    tables: Database, store: TrackerStore
) -> None:
    writer = BatchWriter(store)
    async with tables.connection() as connection:
        backend = await connection.fetchval("select pg_backend_pid()")
        writing = [asyncio.create_task(writer.add(row(f"r{number}"))) for number in range(3)]
        async with connection.transaction():
            await connection.execute("lock table payloads in access exclusive mode")
            await asyncio.sleep(0)
            blocked = """
                select pg_terminate_backend(pid) from pg_locks
                where not granted and $1 = any(pg_blocking_pids(pid))
            """
            await eventually(lambda: connection.fetch(blocked, backend))
    results = await asyncio.gather(*writing, return_exceptions=True)
    assert any(isinstance(result, Retryable) for result in results)
    assert all(result is None or isinstance(result, Retryable) for result in results)
    await writer.add(row("next"))


async def test_beyond_a_bound_the_count_is_an_estimate_that_says_so(
    tables: Database, store: TrackerStore
) -> None:
    await store.record([row(org_id="1", seconds=number) for number in range(1001)])
    assert (await store.statuses(STATUSES.read({})))[0].is_estimate
    assert (await store.statuses(STATUSES.read({}), "1"))[0].is_estimate
    await tables.execute("delete from payload_statuses where id = (select min(id) from payload_statuses)")
    for org_id in (None, "1"):
        count, _ = await store.statuses(STATUSES.read({}), org_id)
        assert (count.number, count.note) == (1000, {})
    assert Count(1001, is_estimate=True).note == {"count_is_estimate": True}
