import asyncio
from datetime import timedelta

import pytest

from headrace.database.pool import Database
from headrace_services.kruize.experiments import Experiment, created
from headrace_services.kruize.store import ExperimentStore, ResultStore, Row
from tests.integration.kruize.harness import FIRST_END, experiment
from tests.waiting import eventually


@pytest.fixture
async def opened(tables: Database) -> Database:
    await tables.execute(
        "insert into kruize_performance_profiles values ('resource-optimization-openshift', 1, '{}')"
    )
    return tables


async def made(database: Database, name: str) -> Experiment:
    store = ExperimentStore(database)
    assert await store.create(created([experiment(name)]))
    (found,) = await store.by_name([name])
    return found


async def test_inserts_that_overlap_do_not_wait_for_one_another_in_a_circle(opened: Database) -> None:
    number = (await made(opened, "e")).id
    store = ResultStore(opened)
    ends = [FIRST_END + timedelta(minutes=15 * at) for at in range(1400)]
    rows = [Row(number, end, FIRST_END, b"x" * 300) for end in ends]
    await store.add(rows[:1])

    async def all_wait() -> bool:
        waiting = "select count(*) from pg_locks where relation = 'kruize_results'::regclass and not granted"
        return int(await opened.fetch_value(waiting)) == 8

    async with opened.transaction() as connection:
        await connection.execute("lock table kruize_results in exclusive mode")
        # Without an order of the statement's own, calls from both ends meet in the middle and deadlock.
        calls = [asyncio.create_task(store.add(rows if at % 2 else rows[::-1])) for at in range(8)]
        await eventually(all_wait)
    added = await asyncio.gather(*calls)
    assert sum(len(each.stored) for each in added) == len(rows) - 1
    assert {each.experiments for each in added} == {frozenset({number})}
    assert await opened.fetch_value("select count(*) from kruize_results") == len(rows)


async def test_nothing_is_stored_under_a_number_that_is_gone(opened: Database) -> None:
    kept, gone = (await made(opened, "kept")).id, (await made(opened, "gone")).id
    assert await ExperimentStore(opened).delete("gone")
    store = ResultStore(opened)
    rows = [Row(number, FIRST_END, FIRST_END - timedelta(minutes=15), b"x") for number in (gone, kept)]
    added = await store.add(rows)
    assert (added.stored, added.experiments) == (frozenset({rows[1].key}), frozenset({kept}))
    await store.keep(gone, FIRST_END, b"{}")
    assert await store.recommended(gone, None, 10) == []


async def test_containers_named_at_once_get_one_number_each(opened: Database) -> None:
    store = ExperimentStore(opened)
    number = (await made(opened, "e")).id
    names = [f"c{at}" for at in range(40)]
    calls = [
        store.add_containers(number, dict.fromkeys(names if at % 2 else names[::-1], "image"))
        for at in range(10)
    ]
    await asyncio.gather(*calls)
    (found,) = await store.by_name(["e"])
    assert set(found.numbers) == {"web", *names}
    assert len(set(found.numbers.values())) == len(names) + 1
