"""PostgreSQL roles: an administrator creates one per service, with its database, grants and password.

A role owns its database, or writes to or reads another's tables; it can open no other database and has no
other rights on the server. All operations may be repeated and run concurrently.
"""

import base64
import hashlib
import hmac
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

import asyncpg

from headrace.database.errors import translated
from headrace.database.pool import _check_name, _readable, _split_pgbouncer
from headrace.runtime.errors import ConfigurationError
from headrace.runtime.logging import get_logger

_log = get_logger(__name__)

Access: TypeAlias = Literal["owns", "writes", "reads"]
_Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

_CONNECT_SECONDS: Final = 5.0
_COMMAND_SECONDS: Final = 60.0
_CLOSE_SECONDS: Final = 2.0
_LOCK_KEY: Final = 0x4EAD_2AD0
_TEMPLATES: Final = frozenset({"template0", "template1"})
# PostgreSQL's default.
_SCRAM_ITERATIONS: Final = 4096


@dataclass(frozen=True)
class Role:
    """The rights of a service in PostgreSQL. Without a password none is set, and an existing one stays."""

    name: str
    database: str
    access: Access = "owns"
    password: str = field(default="", repr=False)


async def ensure_roles(url: str, roles: Sequence[Role], *, whole_server: bool = False) -> None:
    """Create what is missing on the server of ``url``, whose user may create roles and databases.

    Foreign databases that any role may open are named in the log; ``whole_server`` closes them too. Raises
    `ConfigurationError` for roles that would not be separate, `Retryable` if PostgreSQL is away.
    """
    if not roles:
        return
    url, _ = _split_pgbouncer(url)
    with translated("create roles and databases"), _readable(url):
        server = await _connect(url)
        try:
            (admin,) = await server.fetch(
                "select current_user as name, rolsuper as super from pg_roles where rolname = current_user"
            )
            _check(roles, admin["name"])
            async with server.transaction():
                await _take_turn(server)
                if statements := await _making_roles(server, roles, admin):
                    await server.execute(statements)
            for database in await _unsettled(server, roles, missing=True):
                with suppress(asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
                    await server.execute(f"create database {_name(database)} template template0")
            for database in await _unsettled(server, roles):
                await _settle(url, database, [role for role in roles if role.database == database])
            await _close_others(server, roles, whole_server=whole_server)
        finally:
            await server.close(timeout=_CLOSE_SECONDS)


def scram_verifier(password: str) -> str:
    """Return what PostgreSQL stores instead of a password, so that no statement in a log contains one."""
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, _SCRAM_ITERATIONS)
    client, server = (hmac.digest(salted, word, "sha256") for word in (b"Client Key", b"Server Key"))
    stored = hashlib.sha256(client).digest()
    salt64, stored64, server64 = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return f"SCRAM-SHA-256${_SCRAM_ITERATIONS}:{salt64}${stored64}:{server64}"


def _check(roles: Sequence[Role], admin: str) -> None:
    names = [role.name for role in roles]
    for role in roles:
        _check_name(role.database)
        _check_name(role.name)
        if names.count(role.name) > 1 or role.name == admin:
            raise ConfigurationError(
                f"PostgreSQL role {role.name!r}: several services or HEADRACE_POSTGRES use it, expected a "
                "different user in each HEADRACE_POSTGRES_<SERVICE>"
            )
        if not (role.password.isascii() and role.password.isprintable()):
            raise ConfigurationError(
                f"password of the PostgreSQL role {role.name!r}: expected printable ASCII"
            )


async def _connect(url: str, **more: Any) -> _Connection:
    return await asyncpg.connect(url, timeout=_CONNECT_SECONDS, command_timeout=_COMMAND_SECONDS, **more)


async def _take_turn(connection: _Connection) -> None:
    await connection.execute(f"select pg_advisory_xact_lock({_LOCK_KEY})")


async def _making_roles(server: _Connection, roles: Sequence[Role], admin: asyncpg.Record) -> str:
    there = {
        row["rolname"]: row["more"]
        for row in await server.fetch(
            "select rolname, rolsuper or rolcreatedb or rolcreaterole or rolreplication or rolbypassrls"
            " or not rolcanlogin as more from pg_roles where rolname = any($1::text[])",
            [role.name for role in roles],
        )
    }
    statements = []
    for role in roles:
        name = _name(role.name)
        if role.name not in there:
            statements.append(f"create role {name} login")
        elif there[role.name]:
            nothing = "nosuperuser nocreatedb nocreaterole noreplication nobypassrls login"
            statements.append(f"alter role {name} {nothing}")
        if role.password:
            statements.append(f"alter role {name} password {_text(scram_verifier(role.password))}")
        if not admin["super"]:
            # The administrator needs it to give the role a database.
            statements.append(f"grant {name} to current_user")
    return ";".join(statements)


async def _unsettled(server: _Connection, roles: Sequence[Role], *, missing: bool = False) -> list[str]:
    """Return the databases that are missing or do not have the intended rights."""
    rows = await server.fetch(
        "select w.database, bool_or(d.oid is null) as missing from"
        " unnest($1::text[], $2::text[], $3::bool[]) as w(role, database, owns)"
        " left join pg_database d on d.datname = w.database"
        " where d.oid is null or has_database_privilege('public', d.oid, 'connect')"
        " or not has_database_privilege(w.role, d.oid, 'connect')"
        " or w.owns <> (pg_get_userbyid(d.datdba) = w.role)"
        " group by w.database order by w.database",
        [role.name for role in roles],
        [role.database for role in roles],
        [role.access == "owns" for role in roles],
    )
    return [row["database"] for row in rows if row["missing"] == missing]


async def _settle(url: str, database: str, roles: Sequence[Role]) -> None:
    """Set owner and rights of a database, in one transaction of that database."""
    connection = await _connect(url, database=database)
    name = _name(database)
    try:
        async with connection.transaction():
            await _take_turn(connection)
            statements = []
            owner = next((role for role in roles if role.access == "owns"), None)
            if owner is not None:
                statements.append(_HAND_OVER.format(owner=_text(owner.name)))
                statements.append(f"alter database {name} owner to {_name(owner.name)}")
            statements += [
                f"revoke all on database {name} from public",
                "revoke create on schema public from public",
                # An administrator who is not a superuser has to connect again.
                f"grant connect on database {name} to current_user",
            ]
            for role in roles:
                statements.append(f"grant connect on database {name} to {_name(role.name)}")
                if owner is not None and role is not owner:
                    statements += _sharing(owner, role)
            await connection.execute(";".join(statements))
    finally:
        await connection.close(timeout=_CLOSE_SECONDS)
    _log.info("database_settled", database=database, roles=[role.name for role in roles])


# Only tables show whose database it is, so objects in a database without tables are left alone. The owner of a table
# also gets its sequences and indexes; an extension keeps what it created.
_HAND_OVER: Final = """
do $$
declare
    owner constant text := {owner};
    former constant oid[] := array[
        (select datdba from pg_database where datname = current_database()), current_user::regrole::oid
    ];
    statement text;
begin
    if to_regclass('public.schema_migrations') is null then return; end if;
    for statement in
        select format('alter schema %I owner to %I', nspname, owner) from pg_namespace
        where nspowner = any(former) and nspname !~ '^pg_' and nspname not in ('information_schema', 'public')
        union all
        select format('alter %s %s owner to %I', case relkind
            when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence' else 'table' end,
            c.oid::regclass, owner)
        from pg_class c join pg_namespace n on n.oid = relnamespace
        where relkind in ('r', 'p', 'v', 'm', 'S') and relowner = any(former)
            and nspname !~ '^pg_' and nspname <> 'information_schema'
            and not exists (select from pg_depend where classid = 'pg_class'::regclass and objid = c.oid
                and deptype in ('a', 'e', 'i') and (relkind = 'S' or deptype = 'e'))
        union all
        select format('alter routine %s owner to %I', p.oid::regprocedure, owner)
        from pg_proc p join pg_namespace n on n.oid = pronamespace
        where proowner = any(former) and nspname !~ '^pg_' and nspname <> 'information_schema'
            and not exists (select from pg_depend where classid = 'pg_proc'::regclass and objid = p.oid
                and deptype = 'e')
        union all
        select format('alter type %s owner to %I', t.oid::regtype, owner)
        from pg_type t join pg_namespace n on n.oid = typnamespace
        where typtype in ('e', 'd', 'r') and typowner = any(former)
            and nspname !~ '^pg_' and nspname <> 'information_schema'
            and not exists (select from pg_depend where classid = 'pg_type'::regclass and objid = t.oid
                and deptype = 'e')
    loop
        execute statement;
    end loop;
end $$"""


_RELATIONS: Final = (
    "select oid::regclass from pg_class where relkind in ({kinds})"
    " and pg_get_userbyid(relowner) = {{owner}} and relnamespace = 'public'::regnamespace"
)
_OWNED: Final = {
    "tables": _RELATIONS.format(kinds="'r', 'p'"),
    "sequences": _RELATIONS.format(kinds="'S'"),
    "routines": "select oid::regprocedure from pg_proc"
    " where pg_get_userbyid(proowner) = {owner} and pronamespace = 'public'::regnamespace",
}


def _sharing(owner: Role, role: Role) -> Iterable[str]:
    """Grant rights on the owner's present and future tables. Partitions need none of their own."""
    rights = "select" if role.access == "reads" else "select, insert, update, delete"
    kinds = [("tables", rights)]
    if role.access == "writes":
        kinds += [("sequences", "usage"), ("routines", "execute")]
    for kind, some in kinds:
        granted = f"grant {some} on {kind[:-1]} %s to %I"
        yield (
            f"do $$ declare item text; begin for item in {_OWNED[kind].format(owner=_text(owner.name))}"
            f" loop execute format('{granted}', item, {_text(role.name)}); end loop; end $$"
        )
        later = f"alter default privileges for role {_name(owner.name)} in schema public"
        yield f"{later} grant {some} on {kind} to {_name(role.name)}"


async def _close_others(server: _Connection, roles: Sequence[Role], *, whole_server: bool) -> None:
    """Revoke public access: by default everyone may open the templates. A foreign database is left to its owner."""
    rows = await server.fetch(
        "select datname from pg_database where has_database_privilege('public', oid, 'connect')"
        " and datname <> all($1::text[])",
        [role.database for role in roles],
    )
    ours = {row["datname"] for row in rows if whole_server or row["datname"] in _TEMPLATES}
    for database in sorted(ours):
        await server.execute(f"revoke connect on database {_name(database)} from public")
    if left := sorted({row["datname"] for row in rows} - ours):
        _log.warning("databases_open_to_every_role", databases=left)


def _name(identifier: str) -> str:
    return '"{}"'.format(identifier.replace('"', '""'))


def _text(value: str) -> str:
    return "'{}'".format(value.replace("'", "''"))
