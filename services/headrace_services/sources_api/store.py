"""Reads and writes rows. Every statement on a tenant's rows names the tenant."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from headrace.database.pool import Connection, Database, Record
from headrace.runtime.errors import ConfigurationError, Retryable
from headrace.runtime.logging import get_logger
from headrace_services.sources_api.models import Kind, Resource
from headrace_services.sources_api.parameters import Listing

Values = Mapping[str, Any]

_log: Final = get_logger(__name__)
# The lock that serialises the creation of an extension, which fails if it runs twice concurrently.
_PREPARING: Final = 0x50C5_0002


async def page(database: Database, listing: Listing, tenant_id: int | None) -> tuple[int, list[Record]]:
    """Return the number of matches on all pages, and the rows of one page; ``tenant_id`` is None only for types."""
    resource = listing.resource
    if resource.scoped:
        listing.where.compare("tenant_id", "=", _known(tenant_id))
    matching = f"from {resource.table} where {listing.where.text}"
    async with database.connection() as connection:
        count = await connection.fetchval(f"select count(*) {matching}", *listing.where.arguments)
        rows = await connection.fetch(
            f"select {resource.columns} {matching} order by {listing.order}"
            f" limit {listing.limit} offset {listing.offset}",
            *listing.where.arguments,
        )
    return count, rows


async def sources_of_all(database: Database, listing: Listing) -> tuple[int, list[Record]]:
    """Return the sources of every tenant with their tenant, for services of the platform."""
    matching = f"from sources where {listing.where.text}"
    named = "join tenants on tenants.id = found.tenant_id"
    async with database.connection() as connection:
        count = await connection.fetchval(f"select count(*) {matching}", *listing.where.arguments)
        rows = await connection.fetch(
            "select found.id, found.availability_status, coalesce(account, '') tenant, coalesce(org_id, '') org_id"  # noqa: S608
            f" from (select *, row_number() over (order by {listing.order}) place {matching}) found {named}"
            f" order by place limit {listing.limit} offset {listing.offset}",
            *listing.where.arguments,
        )
    return count, rows


async def one(
    connection: Connection, resource: Resource, tenant_id: int | None, row_id: int
) -> Record | None:
    """Return a row; None if it does not exist or belongs to another tenant."""
    statement = f"select {resource.columns} from {resource.table} where id = $1"  # noqa: S608
    if not resource.scoped:
        return await connection.fetchrow(statement, row_id)
    return await connection.fetchrow(f"{statement} and tenant_id = $2", row_id, _known(tenant_id))


async def matching(
    connection: Connection, resource: Resource, tenant_id: int, column: str, values: Sequence[Any]
) -> list[Record]:
    """Return a tenant's rows with one of the values in a column, oldest first."""
    return await connection.fetch(
        f"select {resource.columns} from {resource.table}"  # noqa: S608
        f" where {column} = any($1) and tenant_id = $2 order by id",
        values,
        tenant_id,
    )


async def insert(connection: Connection, resource: Resource, tenant_id: int, values: Values) -> Record:
    """Add a row."""
    columns = ["tenant_id", *values]
    names = ", ".join(f'"{name}"' for name in columns)
    places = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
    row = await connection.fetchrow(
        f"insert into {resource.table} ({names}) values ({places}) returning {resource.columns}",  # noqa: S608
        tenant_id,
        *_encoded(resource, values),
    )
    return _there(row)


async def update(
    connection: Connection, resource: Resource, tenant_id: int, row_id: int, values: Values
) -> Record:
    """Change columns of an existing row."""
    changes = "".join(f'"{name}" = ${number}, ' for number, name in enumerate(values, 3))
    row = await connection.fetchrow(
        f"update {resource.table} set {changes}updated_at = now()"  # noqa: S608
        f" where id = $1 and tenant_id = $2 returning {resource.columns}",
        row_id,
        tenant_id,
        *_encoded(resource, values),
    )
    return _there(row)


async def delete(connection: Connection, resource: Resource, tenant_id: int, ids: Sequence[int]) -> None:
    """Delete rows; no row may refer to them any more."""
    await connection.execute(
        f"delete from {resource.table} where id = any($1) and tenant_id = $2",  # noqa: S608
        ids,
        tenant_id,
    )


class Passwords:
    """Writes and reads passwords: encrypted by PostgreSQL's pgcrypto with a key, unencrypted without one."""

    def __init__(self, database: Database, key: str) -> None:
        self._database = database
        self._key = key

    async def prepare(self, *, lenient: bool = False) -> None:
        """Create the extension; raises `ConfigurationError` if a key is set and the server cannot encrypt.

        Without a key a warning says so, except where a lenient installation has nothing to protect.
        """
        if not self._key:
            tell = _log.info if lenient else _log.warning
            tell("passwords_stored_as_given", reason="ENCRYPTION_KEY is not set")
            return
        if not await self._database.fetch_value(
            "select 1 from pg_available_extensions where name = 'pgcrypto'"
        ):
            raise ConfigurationError(
                "ENCRYPTION_KEY: set, and the PostgreSQL server has no extension pgcrypto"
            )
        async with self._database.transaction() as connection:
            await connection.execute("select pg_advisory_xact_lock($1)", _PREPARING)
            await connection.execute("create extension if not exists pgcrypto")

    async def set(self, connection: Connection, tenant_id: int, row_id: int, password: str) -> None:
        """Store a password."""
        value = "convert_to($3, 'UTF8')"
        arguments: list[Any] = [row_id, tenant_id, password]
        if self._key:
            value = "pgp_sym_encrypt($3, $4, 'cipher-algo=aes256')"
            arguments.append(self._key)
        await connection.execute(
            f"update authentications set password = {value}, password_encrypted = {bool(self._key)}"  # noqa: S608
            " where id = $1 and tenant_id = $2",
            *arguments,
        )

    async def get(self, tenant_id: int, row_id: int) -> str | None:
        """Return a password, None if there is none. Raises `Retryable` if the key that it needs is not set."""
        row = await self._database.fetch_row(
            "select password, password_encrypted from authentications where id = $1 and tenant_id = $2",
            row_id,
            tenant_id,
        )
        if row is None or row["password"] is None:
            return None
        stored: bytes = row["password"]
        if not row["password_encrypted"]:
            return stored.decode()
        if not self._key:
            raise Retryable("the password is encrypted, and ENCRYPTION_KEY is not set")
        return str(await self._database.fetch_value("select pgp_sym_decrypt($1, $2)", stored, self._key))


def _known(tenant_id: int | None) -> int:
    if tenant_id is None:
        raise RuntimeError("a tenant's rows were asked for without a tenant")
    return tenant_id


def _there(row: Record | None) -> Record:
    if row is None:
        raise RuntimeError("PostgreSQL returned no row")
    return row


def _encoded(resource: Resource, values: Values) -> list[Any]:
    kinds = resource.fields
    return [
        orjson.dumps(value).decode() if kinds.get(name) is Kind.JSON and value is not None else value
        for name, value in values.items()
    ]
