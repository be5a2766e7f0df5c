"""Every service's role on a PostgreSQL that asks for passwords: its own database and nothing else."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from headrace.database.migrations import migrate
from headrace.database.pool import Database
from headrace.database.roles import Role, ensure_roles, scram_verifier
from headrace.local.ports import HOST, EnginePorts
from headrace.local.postgres import Postgres
from headrace.local.supervisor import RestartBudget, Supervisor
from headrace.runtime.errors import ConfigurationError, Retryable
from headrace.runtime.settings import EngineSettings
from headrace.service.databases import opened_database, roles_of
from headrace_services.registry import BY_NAME, SERVICES
from tests.e2e.command import headrace

ROWS = [row for row in SERVICES if row.database]
ROW = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
DATABASES = sorted({str(row.database) for row in ROWS})
FOREIGN_REFUSALS = (asyncpg.InsufficientPrivilegeError, asyncpg.ObjectNotInPrerequisiteStateError)
HBA = f"host all postgres {HOST}/32 trust\nhost all all {HOST}/32 scram-sha-256\n"


# One server for all: each test makes what it needs there.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server() -> AsyncIterator[str]:
    """URL of its superuser."""
    # A home of root's is closed to the account that the server runs as.
    directory = Path(tempfile.mkdtemp(prefix="headrace-roles-"))
    engine = Postgres(directory / "data", EnginePorts.random())
    supervisor = Supervisor(
        engine, logs=directory / "logs", progress=lambda _: None, budget=RestartBudget(restarts=0)
    )
    await supervisor.start()
    try:
        admin = await asyncpg.connect(engine.url)
        (directory / "data" / "pg_hba.conf").write_text(HBA, encoding="utf-8")
        await admin.execute("alter system set fsync = off")
        await admin.execute("select pg_reload_conf()")
        await admin.close()
        yield engine.url
    finally:
        await supervisor.stop()
        shutil.rmtree(directory)


def url_with_role(server: str, row, password: str = "") -> str:
    password = password or f"s3cret of {row.name}".replace(" ", "%20")
    return f"postgresql://{row.role}:{password}@{server.rpartition('@')[2]}"


@pytest.fixture
def given(server: str, monkeypatch: pytest.MonkeyPatch) -> EngineSettings:
    """Each service with a URL of its own; nobody but `headrace init` has the administrator's."""
    for row in ROWS:
        monkeypatch.setenv(row.role_variable, url_with_role(server, row))
    return EngineSettings(postgres="postgresql://nobody@127.0.0.1:1/none")


@asynccontextmanager
async def connected(server: str, row, database: str | None = None):
    connection = await asyncpg.connect(
        url_with_role(server, row), database=database or row.database, timeout=10
    )
    try:
        yield connection
    finally:
        await connection.close()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def made(server: str) -> str:
    """Roles, databases and tables, as `headrace init` and services make them."""
    with pytest.MonkeyPatch.context() as patch:
        for row in ROWS:
            patch.setenv(row.role_variable, url_with_role(server, row))
        await ensure_roles(server, roles_of(SERVICES))
        for row in ROWS:
            await (await opened_database(row, EngineSettings())).close()
    return server


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def tidy(server: str) -> AsyncIterator[None]:
    """A database that a test made beside the services' is gone after it."""
    yield
    admin = await asyncpg.connect(server)
    for (name,) in await admin.fetch("select datname from pg_database where not datistemplate"):
        if name not in DATABASES:
            await admin.execute(f'drop database "{name}" with (force)')
    await admin.close()


@ROW
async def test_a_service_opens_its_own_database_and_no_other(made: str, row) -> None:
    admin = await asyncpg.connect(made)
    every = [r["datname"] for r in await admin.fetch("select datname from pg_database")]
    await admin.close()
    assert set(every) >= {*DATABASES, "postgres", "template0", "template1"}
    for database in every:
        if database == row.database:
            async with connected(made, row) as connection:
                assert await connection.fetchval("select current_user") == row.role
        else:
            with pytest.raises(FOREIGN_REFUSALS):
                async with connected(made, row, database):
                    pass


@ROW
async def test_a_services_role_is_nothing_else_on_the_server(made: str, row) -> None:
    others = [other.role for other in ROWS if other != row] + [
        "postgres",
        "pg_read_server_files",
        "pg_monitor",
    ]
    forbidden = [
        "create database stolen",
        "create role stolen",
        f"alter role {row.role} superuser",
        f"alter role {row.role} createdb",
        "select pg_read_file('PG_VERSION')",
        "select * from pg_ls_dir('.')",
        "copy (select 1) to program 'true'",
        "copy (select 1) to '/tmp/stolen'",
        "create temporary table t (x text); copy t from '/etc/passwd'",
        "select * from pg_authid",
        "alter system set log_statement = 'all'",
        *(f"set role {other}" for other in others),
        *(f"set session authorization {other}" for other in others),
        *(f"grant {other} to {row.role}" for other in others),
    ]
    async with connected(made, row) as connection:
        for statement in forbidden:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
        assert not await connection.fetchval(
            "select rolsuper or rolcreatedb or rolcreaterole or rolreplication or rolbypassrls"
            " from pg_roles where rolname = current_user"
        )
        assert await connection.fetchval(
            "select count(*) from pg_auth_members where member = current_user::regrole"
        ) == 0  # fmt: skip


async def test_those_who_share_a_database_have_what_each_needs(made: str) -> None:
    processor, poller, api = (BY_NAME[name] for name in ("ros_processor", "ros_poller", "ros_api"))
    new = "insert into rh_accounts (org_id) values ($1) on conflict do nothing"
    async with connected(made, processor) as owner:
        await owner.execute(new, "1001")
        await owner.execute("create table later (id int)")
    async with connected(made, poller) as writer:
        await writer.execute(new, "1002")
        assert await writer.fetchval("select count(*) from rh_accounts") >= 2
        for statement in (
            "drop table workloads",
            "alter table workloads add x int",
            "create table mine (id int)",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await writer.execute(statement)
        with pytest.raises(asyncpg.RaiseError):
            await writer.execute(
                "select make_historical_partition('workloads', '2026-11-01 00:00Z', '2026-11-16 00:00Z')"
            )
        await writer.execute("insert into later values (1)")
    async with connected(made, api) as reader:
        assert await reader.fetchval("select count(*) from rh_accounts") >= 2
        assert await reader.fetchval("select count(*) from later") == 1
        for statement in (
            "insert into rh_accounts (org_id) values ('1003')",
            "delete from rh_accounts",
            "truncate rh_accounts",
            "create table mine (id int)",
            "select make_historical_partition('historical_recommendation_sets', '2026-11-01Z', '2026-11-16Z')",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await reader.execute(statement)
    async with connected(made, processor) as owner:
        await owner.execute("drop table later")


async def test_the_documents_sql_still_asks_the_ros_database(made: str) -> None:
    admin = await asyncpg.connect(made, database="postgres", user="postgres")
    assert await admin.fetchval("SELECT COUNT(*) FROM workloads;") == 0
    await admin.close()


async def test_a_wrong_password_does_not_open_another_services_database(made: str) -> None:
    archiver, kruize = BY_NAME["archiver"], BY_NAME["kruize"]
    guess = url_with_role(made, archiver).rpartition("@")[0].rpartition(":")[2]
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(url_with_role(made, kruize, guess), database=kruize.database)


async def test_many_may_make_the_same_at_once_and_again(server: str, given: EngineSettings) -> None:
    roles = [
        replace(role, name=f"race_{role.name}", database=f"race_{role.database}")
        for role in roles_of(SERVICES)
    ]
    await asyncio.gather(*(ensure_roles(server, roles) for _ in range(4)))
    await ensure_roles(server, roles)
    admin = await asyncpg.connect(server)
    owners = {
        row["datname"]: row["owner"]
        for row in await admin.fetch("select datname, pg_get_userbyid(datdba) as owner from pg_database")
    }
    assert {role.database: role.name for role in roles if role.access == "owns"}.items() <= owners.items()
    await admin.close()


async def test_a_new_password_replaces_the_old_one(server: str) -> None:
    # A role of its own: the tests come in any order, and know the services' by their passwords.
    role = Role("renewed", "renewed", password="old one")
    await ensure_roles(server, [role])
    await ensure_roles(server, [replace(role, password='new "one\'s" @:/')])
    address = server.rpartition("@")[2]
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(
            f"postgresql://{address}", user=role.name, password="old one", database=role.database
        )
    connection = await asyncpg.connect(
        f"postgresql://{address}", user=role.name, password='new "one\'s" @:/', database=role.database
    )
    await connection.close()


async def test_tables_made_by_one_shared_user_are_handed_to_their_roles(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An installation of the time before roles goes on with its rows."""
    admin = await asyncpg.connect(server)
    for row in ROWS:
        shared = await Database.open(server, f"before_{row.database}", service="test")
        await migrate(shared, row.migrations)
        await shared.close()
    roles = []
    for row in ROWS:
        monkeypatch.setenv(row.role_variable, url_with_role(server, row))
        roles.append(replace(roles_of([row])[0], database=f"before_{row.database}"))
    stranger = await asyncpg.connect(server, database="before_postgres")
    await stranger.execute("insert into rh_accounts (org_id) values ('1001')")
    await stranger.close()
    await ensure_roles(server, roles)
    for row in ROWS:
        moved = replace(row, database=f"before_{row.database}")
        async with connected(server, moved) as connection:
            left = await connection.fetch(
                "select relname from pg_class c join pg_namespace n on n.oid = relnamespace"
                " where nspname !~ '^pg_' and nspname <> 'information_schema' and relowner = 'postgres'::regrole"
                " and relkind in ('r', 'p', 'v', 'm', 'S')"
            )
            assert left == []
        if row.access != "reads":
            opened = await opened_database(moved, EngineSettings())
            await opened.close()
    async with connected(server, replace(BY_NAME["ros_poller"], database="before_postgres")) as poller:
        assert await poller.fetchval("select count(*) from rh_accounts") == 1
        await poller.execute(
            "select make_historical_partition"
            "('historical_recommendation_sets', '2026-11-16 00:00Z', '2026-12-01 00:00Z')"
        )
    async with connected(server, replace(BY_NAME["ros_processor"], database="before_postgres")) as owner:
        await owner.execute("drop table historical_recommendation_sets_2026_11_16")
        await owner.execute("alter table rh_accounts add tried int")
    await admin.close()


async def test_an_administrator_who_is_no_superuser_is_enough(server: str, given: EngineSettings) -> None:
    """Hosted servers give nobody the superuser."""
    admin = await asyncpg.connect(server)
    await admin.execute("create role hosted login createdb createrole password 'hosted'")
    await admin.execute("grant connect on database postgres to hosted")
    await admin.close()
    address = server.rpartition("@")[2]
    roles = [
        replace(role, name=f"hosted_{role.name}", database=f"hosted_{role.database}")
        for role in roles_of(SERVICES)
    ]
    for _ in range(2):
        await ensure_roles(f"postgresql://hosted:hosted@{address.rpartition('/')[0]}/postgres", roles)
    for role in roles:
        connection = await asyncpg.connect(
            f"postgresql://{address}", user=role.name, password=role.password, database=role.database
        )
        await connection.close()


async def test_init_makes_everything_and_a_service_waits_for_it(
    server: str, given: EngineSettings, kafka_url: str, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service has no right to make its role, so whoever starts first waits instead of failing for good."""
    admin = await asyncpg.connect(server)
    row = BY_NAME["payload_tracker"]
    await admin.execute(f"drop database if exists {row.database}")
    first = url_with_role(server, row).replace(row.role, "first_time")
    monkeypatch.setenv(row.role_variable, first)
    with pytest.raises(Retryable, match="headrace init"):
        await opened_database(row, given)
    urls = {item.role_variable: url_with_role(server, item) for item in ROWS} | {row.role_variable: first}
    engines = {"HEADRACE_KAFKA": kafka_url, "HEADRACE_S3": s3_url, "HEADRACE_POSTGRES": server}
    for _ in range(2):
        done = await asyncio.to_thread(headrace, "init", **engines, **urls)
        assert done.returncode == 0, done.stderr
        assert "first_time" in done.stdout
    await (await opened_database(row, given)).close()
    # For the others, which know it by its usual name.
    monkeypatch.setenv(row.role_variable, url_with_role(server, row))
    await ensure_roles(server, roles_of(SERVICES))
    await (await opened_database(row, given)).close()
    await admin.close()


async def test_a_reader_waits_for_the_owners_tables(server: str, given: EngineSettings) -> None:
    await ensure_roles(server, [replace(role, database="empty_one") for role in roles_of(SERVICES)
                                if role.database == "postgres"])  # fmt: skip
    reader = replace(BY_NAME["ros_api"], database="empty_one")
    with pytest.raises(Retryable, match=r"empty_one has no 0001_ros\.sql yet"):
        await opened_database(reader, given)
    await (await opened_database(replace(BY_NAME["ros_processor"], database="empty_one"), given)).close()
    await (await opened_database(reader, given)).close()


async def test_strangers_databases_are_left_open_unless_the_server_is_ours(
    server: str, given: EngineSettings
) -> None:
    admin = await asyncpg.connect(server)
    await admin.execute("create database strangers")
    may = "select has_database_privilege('headrace_archiver', 'strangers', 'connect')"
    await ensure_roles(server, roles_of(SERVICES))
    assert await admin.fetchval(may)
    await ensure_roles(server, roles_of(SERVICES), whole_server=True)
    assert not await admin.fetchval(may)
    await admin.close()


@pytest.mark.parametrize(
    ("roles", "reason"),
    [
        ([Role("one", "a"), Role("one", "b")], "several services or"),
        ([Role("postgres", "a")], "or HEADRACE_POSTGRES use it"),
        ([Role("one", "a", password="gehe\N{LATIN SMALL LETTER I WITH DIAERESIS}m")], "printable ASCII"),
        ([Role('a"b', "a")], "without quotes"),
    ],
)
async def test_roles_that_would_not_be_apart_are_refused(server: str, roles: list[Role], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        await ensure_roles(server, roles)


async def test_a_url_that_names_no_user_is_refused_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_POSTGRES_ARCHIVER", "postgresql://host:5432/archiver")
    with pytest.raises(ConfigurationError, match="HEADRACE_POSTGRES_ARCHIVER: got a URL without a user"):
        roles_of(SERVICES)


async def test_a_url_that_cannot_be_read_is_named_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADRACE_POSTGRES_ARCHIVER", "mysql://a:secret@host/archiver")
    with pytest.raises(ConfigurationError, match="HEADRACE_POSTGRES_ARCHIVER") as caught:
        await opened_database(BY_NAME["archiver"], EngineSettings())
    assert "secret" not in str(caught.value)


async def test_passwords_are_in_no_statement() -> None:
    assert "secret" not in scram_verifier("secret")
    assert "secret" not in repr(Role("a", "b", password="secret"))
