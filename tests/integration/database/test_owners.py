"""Owners of clusters in every database that has them: made alike, filled from what is there, moved by the command."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from headrace.cli import clusters
from headrace.database.migrations import migrate, read_migrations
from headrace.database.owners import owned_clusters
from headrace.database.pool import Database
from headrace.runtime.errors import ConfigurationError
from headrace.runtime.settings import EngineSettings
from headrace.service.row import Service
from headrace_services.registry import SERVICES
from tests.engines import SessionEngines

OWNING = [row for row in SERVICES if row.owns_clusters]
CLUSTER = "11111111-2222-4333-8444-55555555abcd"
OTHER = "99999999-2222-4333-8444-55555555abcd"


def owners_file(row: Service) -> Path:
    (found,) = row.migrations.glob("*_owners.sql")
    return found


@pytest.fixture
async def opened(database: str) -> AsyncIterator[Database]:
    pool = await Database.open(database, database.rpartition("/")[2], service="test")
    yield pool
    await pool.close()


@pytest.fixture
async def before(opened: Database, request: pytest.FixtureRequest, tmp_path: Path) -> Service:
    """A service whose database is as it was before it had owners."""
    row: Service = request.param
    for migration in read_migrations(row.migrations):
        if migration.name < owners_file(row).name:
            (tmp_path / migration.name).write_text(migration.sql)
    await migrate(opened, tmp_path)
    return row


def test_every_database_has_the_same_owners():
    common = [owners_file(row).read_text().partition("-- What is there stays")[0] for row in OWNING]
    assert "create function move_cluster" in common[0]
    assert len(set(common)) == 1
    with_owners = {
        row.database for row in SERVICES if row.database and [*row.migrations.glob("*_owners.sql")]
    }
    assert {row.database for row in OWNING} == with_owners


FILLED = {
    "archiver": """
        insert into archives (source, etag, request_id, org_id, service, cluster_id, endpoint, bucket, key, size_bytes)
        values ('r0', '', 'r0', '', 'ols', '{cluster}', '', 'b', 'k0', 1),
            ('r1', '', 'r1', '1001', 'ols', '{cluster}', '', 'b', 'k1', 1),
            ('r2', '', 'r2', '2002', 'ols', upper('{cluster}'), '', 'b', 'k2', 1),
            ('r3', '', 'r3', '2002', 'ols', replace('{other}', '-', ''), '', 'b', 'k3', 1),
            ('r4', '', 'r4', '2002', 'advisor', '', '', 'b', 'k4', 1)
    """,
    "ros_processor": """
        insert into rh_accounts (org_id) values ('2002'), ('1001');
        insert into clusters (tenant_id, source_id, cluster_uuid, cluster_alias)
        select id, '7', cluster, cluster from rh_accounts join (values
            (1, '1001', '{cluster}'), (2, '2002', upper('{cluster}')), (3, '2002', '{other}')
        ) as reported (place, org_id, cluster) using (org_id) order by place
    """,
    "results_aggregator": """
        insert into report values (1001, '{cluster}', '{{}}', now(), now(), null, 0);
        insert into dvo.cluster values ('{cluster}', 3003, now()), ('{other}', 2002, now())
    """,
}


@pytest.mark.parametrize("before", OWNING, indirect=True, ids=[row.name for row in OWNING])
async def test_what_was_there_before_keeps_its_first_owner(before: Service, opened: Database) -> None:
    await opened.execute(FILLED[before.name].format(cluster=CLUSTER, other=OTHER))
    await migrate(opened, before.migrations)
    found = {owned.cluster_id: owned.org_id for owned in await owned_clusters(opened)}
    assert found == {CLUSTER: "1001", OTHER: "2002"}


async def test_the_release_before_stores_reports_on_the_newer_tables_and_takes_no_cluster(
    opened: Database,
) -> None:
    (row,) = [row for row in OWNING if row.name == "results_aggregator"]
    await migrate(opened, row.migrations)
    store = "select * from store_report($1, $2, '{}', now(), now(), null, 0, null, '{}', '{}', '{}')"
    stored = await opened.fetch_row(store, 1001, CLUSTER)
    assert stored is not None
    assert (stored["stored"], stored["kept"], stored["moved_from"]) == (True, None, None)
    stolen = await opened.fetch_row(store, 2002, CLUSTER)
    assert stolen is not None
    assert (stolen["stored"], stolen["moved_from"]) == (False, None)
    assert await opened.fetch_value("select org_id from report") == 1001


async def test_of_many_that_claim_one_cluster_at_once_one_organisation_gets_it(opened: Database) -> None:
    (row,) = [row for row in OWNING if row.name == "archiver"]
    await migrate(opened, row.migrations)

    async def claim(org_id: str, *, fails: bool) -> bool:
        try:
            async with opened.transaction() as connection:
                mine: bool = await connection.fetchval("select claim_cluster($1, $2)", CLUSTER, org_id)
                if fails:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            return False
        return mine

    for number in range(30):
        await opened.execute("truncate cluster_owner")
        # Whoever comes first fails, so that its claim does not count.
        calls = [claim(str((n + number) % 3), fails=n < 3) for n in range(30)]
        won = await asyncio.gather(*calls)
        (owned,) = await owned_clusters(opened)
        assert [str((n + number) % 3) for n in range(30) if won[n]] == [owned.org_id] * 9


async def test_an_operator_lists_and_moves_clusters_of_every_service(
    engines: SessionEngines, capsys: pytest.CaptureFixture[str], fresh: Callable[[str], str]
) -> None:
    settings = EngineSettings(postgres=engines.postgres)
    rows = [replace(row, database=fresh(f"owners{number}")) for number, row in enumerate(OWNING)]
    opened = [await Database.open(engines.postgres, row.database or "", service="test") for row in rows]
    try:
        for database, row in zip(opened, rows, strict=True):
            await migrate(database, row.migrations)
        for database in opened[:2]:
            for org_id in ("1001", "2002", "2002"):
                await database.fetch_value("select claim_cluster($1, $2)", CLUSTER, org_id)
        capsys.readouterr()
        await clusters.show(settings, rows, CLUSTER.upper(), as_json=True)
        listed = json.loads(capsys.readouterr().out)
        assert [(found["service"], found["org_id"], found["refused"]) for found in listed] == [
            (row.name, "1001", ["2002"]) for row in sorted(rows[:2], key=lambda row: row.name)
        ]
        await clusters.move(settings, rows, CLUSTER.upper(), "2002")
        told = capsys.readouterr().out
        assert told.count("belonged to organisation 1001") == 2
        assert told.count("had no owner") == 1
        await clusters.show(settings, rows, None, as_json=False)
        assert capsys.readouterr().out.count("2002") == 3
        await clusters.move(settings, rows, CLUSTER, "2002")
        assert capsys.readouterr().out.count("already had this owner") == 3
        for wrong in ("", " ", "20 02", "2002\n"):
            with pytest.raises(ConfigurationError, match="without blanks"):
                await clusters.move(settings, rows, CLUSTER, wrong)
        with pytest.raises(ConfigurationError, match="expected a number, as reports name it"):
            await clusters.move(settings, rows, CLUSTER, "acme")
        for database in opened:
            assert [owned.org_id for owned in await owned_clusters(database)] == ["2002"]
    finally:
        for database in opened:
            await database.close()
        server = await asyncpg.connect(engines.postgres)
        for row in rows:
            await server.execute(f'drop database "{row.database}" with (force)')
        await server.close()


async def test_a_service_whose_database_is_not_there_is_named(engines: SessionEngines) -> None:
    settings = EngineSettings(postgres=engines.postgres)
    with pytest.raises(ConfigurationError, match=r'archiver: .*"nowhere" does not exist'):
        await clusters.move(settings, [replace(OWNING[0], database="nowhere")], CLUSTER, "1")
