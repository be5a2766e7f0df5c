import asyncio
from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest

from headrace.database.errors import passes
from headrace.database.pool import Database
from headrace.runtime.errors import ConfigurationError, Retryable
from tests.waiting import eventually


def name_of(url: str) -> str:
    return url.rpartition("/")[2]


@pytest.fixture
async def opened(database: str) -> AsyncIterator[Database]:
    pool = await Database.open(database, name_of(database), service="test", max_size=3, acquire_seconds=0.3)
    yield pool
    await pool.close()


async def test_a_missing_database_is_made_once_however_many_replicas_start(
    postgres_url: str, fresh: Callable[[str], str]
) -> None:
    name = fresh("Made-by-open")
    replicas = await asyncio.gather(*(Database.open(postgres_url, name, service="test") for _ in range(6)))
    assert [await replica.fetch_value("select current_database()") for replica in replicas] == [name] * 6
    await asyncio.gather(*(replica.close() for replica in replicas))
    connection = await asyncpg.connect(postgres_url)
    await connection.execute(f'drop database "{name}" with (force)')
    await connection.close()


@pytest.mark.parametrize("name", ["", 'a"b', "x" * 64])
async def test_a_name_that_postgresql_would_change_is_refused(postgres_url: str, name: str) -> None:
    with pytest.raises(ConfigurationError, match="database name"):
        await Database.open(postgres_url, name, service="test")


async def test_a_bad_url_is_refused_without_its_password() -> None:
    with pytest.raises(ConfigurationError, match="HEADRACE_POSTGRES: got 'host/db'") as caught:
        await Database.open("mysql://user:secret@host/db", "x", service="test")
    assert "secret" not in str(caught.value)


async def test_a_server_that_is_not_there_is_worth_another_try() -> None:
    with pytest.raises(Retryable, match=r"does not answer \(to open the database x\)"):
        await Database.open("postgresql://postgres@127.0.0.1:1/postgres", "x", service="test")


async def test_a_transaction_is_undone_by_any_exception(opened: Database) -> None:
    await opened.execute("create table things (id int)")

    async def break_off() -> None:
        async with opened.transaction() as connection:
            await connection.execute("insert into things values (1)")
            raise KeyError

    with pytest.raises(KeyError):
        await break_off()
    assert await opened.fetch("select * from things") == []
    async with opened.transaction() as connection:
        await connection.execute("insert into things values (2)")
    row = await opened.fetch_row("select id from things")
    assert row is not None
    assert row["id"] == 2


@pytest.mark.row(25)
async def test_waiting_for_a_connection_ends_after_its_deadline(opened: Database) -> None:
    async with opened.connection(), opened.connection(), opened.connection():
        with pytest.raises(Retryable):
            await opened.ping()
    await opened.ping()


@pytest.mark.row(24)
async def test_after_every_backend_was_killed_at_most_the_statements_under_way_fail(
    postgres_url: str, opened: Database
) -> None:
    await asyncio.gather(*(opened.execute("select pg_sleep(0.05)") for _ in range(3)))
    under_way = asyncio.create_task(opened.execute("select pg_sleep(20)"))
    async with asyncpg.create_pool(postgres_url, min_size=1, max_size=1) as other:
        busy = "select pid from pg_stat_activity where datname = $1 and query like '%pg_sleep(20)%'"
        await eventually(lambda: other.fetch(busy, opened.name))
        ended = await other.fetch(
            "select pid, pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = $1 and backend_type = 'client backend'",
            opened.name,
        )
        with pytest.raises(Retryable):
            await under_way
        gone = "select not exists (select from pg_stat_activity where pid = any($1::int[]))"
        await eventually(lambda: other.fetchval(gone, [row["pid"] for row in ended]))
    for _ in range(10):
        await opened.ping()


@pytest.mark.row(24)
async def test_a_deadlock_is_worth_another_try(opened: Database) -> None:
    await opened.execute("create table things (id int primary key); insert into things values (1), (2)")
    first_locked, second_locked = asyncio.Event(), asyncio.Event()

    async def lock(first: int, second: int, mine: asyncio.Event, other: asyncio.Event) -> None:
        async with opened.transaction() as connection:
            await connection.execute("select * from things where id = $1 for update", first)
            mine.set()
            await other.wait()
            await connection.execute("select * from things where id = $1 for update", second)

    results = await asyncio.gather(
        lock(1, 2, first_locked, second_locked),
        lock(2, 1, second_locked, first_locked),
        return_exceptions=True,
    )
    assert sorted(type(result).__name__ for result in results) == ["NoneType", "Retryable"]


@pytest.mark.parametrize(
    "statement",
    [
        "do $$ begin raise exception sqlstate '40001'; end $$",
        "do $$ begin raise exception sqlstate '53100'; end $$",
        "do $$ begin raise exception sqlstate '57P03'; end $$",
        "set local statement_timeout = 50; select pg_sleep(10)",
        "set transaction read only; create table x ()",
    ],
)
@pytest.mark.row(24)
async def test_what_may_pass_is_retryable_and_the_pool_goes_on(opened: Database, statement: str) -> None:
    with pytest.raises(Retryable):
        async with opened.transaction() as connection:
            await connection.execute(statement)
    await opened.ping()


async def test_faults_of_ours_are_not_disguised_as_an_engine_that_is_away(opened: Database) -> None:
    with pytest.raises(asyncpg.UndefinedTableError):
        await opened.fetch("select * from nowhere")
    with pytest.raises(asyncpg.DataError):
        await opened.fetch("select $1::int", "text")
    assert not passes(asyncpg.UniqueViolationError())


async def test_through_a_transaction_pooler_nothing_is_left_on_the_session(database: str) -> None:
    pooled = await Database.open(f"{database}?pgbouncer=true", name_of(database), service="test")
    assert await pooled.fetch_value("show statement_timeout") == "0"
    for number in range(3):
        assert await pooled.fetch_value("select $1::int", number) == number
        assert await pooled.fetch_value("select count(*) from pg_prepared_statements where name <> ''") == 0
    await pooled.close()


async def test_sessions_have_deadlines_and_a_name_an_operator_knows(opened: Database) -> None:
    assert await opened.fetch_value("show statement_timeout") == "15s"
    assert await opened.fetch_value("show lock_timeout") == "5s"
    assert await opened.fetch_value("show application_name") == "headrace-test"
