import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from headrace.database.migrations import migrate
from headrace.database.pool import Database
from headrace.runtime.errors import ConfigurationError
from headrace.service.row import Service
from headrace_services.registry import SERVICES


@pytest.fixture
async def opened(database: str) -> AsyncIterator[Database]:
    pool = await Database.open(database, database.rpartition("/")[2], service="test")
    yield pool
    await pool.close()


def write(directory: Path, **files: str) -> Path:
    for name, sql in files.items():
        (directory / f"{name.removeprefix('m')}.sql").write_text(sql)
    return directory


async def test_files_are_applied_in_order_and_once(opened: Database, tmp_path: Path) -> None:
    write(tmp_path, m0001_things="create table things (id int); insert into things values (1)")
    assert await migrate(opened, tmp_path) == ["0001_things.sql"]
    write(tmp_path, m0002_more="alter table things add name text; update things set name = 'one'")
    assert await migrate(opened, tmp_path) == ["0002_more.sql"]
    assert await migrate(opened, tmp_path) == []
    assert [tuple(row) for row in await opened.fetch("select * from things")] == [(1, "one")]


@pytest.mark.row(26)
async def test_replicas_that_start_together_apply_each_file_once(database: str, tmp_path: Path) -> None:
    for number in range(1, 6):
        write(tmp_path, **{f"m{number:04}_step": f"create table t{number} (id int); select pg_sleep(0.02)"})
    name = database.rpartition("/")[2]
    replicas = [await Database.open(database, name, service="test") for _ in range(5)]
    applied = await asyncio.gather(*(migrate(replica, tmp_path) for replica in replicas))
    names = [name for names in applied for name in names]
    assert sorted(names) == [f"{number:04}_step.sql" for number in range(1, 6)]
    await asyncio.gather(*(replica.close() for replica in replicas))


async def test_a_file_changed_after_it_was_applied_is_refused(opened: Database, tmp_path: Path) -> None:
    await migrate(opened, write(tmp_path, m0001_things="create table things (id int)"))
    write(tmp_path, m0001_things="create table things (id bigint)")
    with pytest.raises(ConfigurationError, match=r"0001_things\.sql was changed after it was applied"):
        await migrate(opened, tmp_path)


async def test_a_file_that_fails_leaves_nothing_of_itself(opened: Database, tmp_path: Path) -> None:
    write(
        tmp_path, m0001_good="create table good (id int)", m0002_bad="create table half (id int); select 1/0"
    )
    with pytest.raises(ConfigurationError, match=r"0002_bad\.sql failed: division by zero"):
        await migrate(opened, tmp_path)
    assert await opened.fetch_value("select to_regclass('good') is not null and to_regclass('half') is null")
    write(tmp_path, m0002_bad="create table half (id int)")
    assert await migrate(opened, tmp_path) == ["0002_bad.sql"]


@pytest.mark.row(26)
async def test_an_older_release_runs_on_a_newer_schema(opened: Database, tmp_path: Path) -> None:
    await migrate(opened, write(tmp_path, m0001_old="select 1", m0002_new="select 2"))
    (tmp_path / "0002_new.sql").unlink()
    assert await migrate(opened, tmp_path) == []


@pytest.mark.parametrize(
    "names", [["0002_x"], ["0001_x", "0003_y"], ["0001_x", "0001_y"], ["1_x"], ["0001-X"], []]
)
async def test_files_that_do_not_count_up_are_refused(
    opened: Database, tmp_path: Path, names: list[str]
) -> None:
    for name in names:
        (tmp_path / f"{name}.sql").write_text("select 1")
    with pytest.raises(ConfigurationError, match=r"expected a file named|no migrations"):
        await migrate(opened, tmp_path)


@pytest.mark.parametrize("row", [row for row in SERVICES if row.database], ids=lambda row: row.name)
async def test_every_services_migrations_apply(opened: Database, row: Service) -> None:
    assert await migrate(opened, row.migrations)
