"""Organisations, which are created at their first request."""

from dataclasses import dataclass
from typing import Final, Self

from headrace.database.pool import Connection, Database, Record
from headrace_services.sources_api.callers import Caller
from headrace_services.sources_api.refusals import Unauthorized

# The lock that serialises the creation of tenants, which happens once for each.
_MAKING: Final = 0x50C5_0001


@dataclass(frozen=True)
class Tenant:
    """One organisation."""

    id: int
    org_id: str
    account: str

    @classmethod
    def of(cls, row: Record) -> Self:
        """Read a row."""
        return cls(row["id"], row["org_id"] or "", row["account"] or "")

    @property
    def name(self) -> str:
        """The tenant in events: the account number as upstream has it, else the org id."""
        return self.account or self.org_id


class Tenants:
    """The table of tenants."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, caller: Caller) -> Tenant:
        """Return the client's tenant. Raises `Unauthorized` if an account number alone is ambiguous."""
        async with self._database.connection() as connection:
            found = await _find(connection, caller)
        if found and (found.account or not caller.account):
            return found
        async with self._database.transaction() as connection:
            await connection.execute("select pg_advisory_xact_lock($1)", _MAKING)
            return await _find_or_make(connection, caller)


async def _find(connection: Connection, caller: Caller) -> Tenant | None:
    if caller.org_id:
        row = await connection.fetchrow("select * from tenants where org_id = $1", caller.org_id)
        return Tenant.of(row) if row else None
    rows = await connection.fetch(
        "select * from tenants where account = $1 order by id limit 2", caller.account
    )
    if len(rows) > 1:
        raise Unauthorized("the account number belongs to several organisations; send the org id")
    return Tenant.of(rows[0]) if rows else None


async def _find_or_make(connection: Connection, caller: Caller) -> Tenant:
    org_id, account = caller.org_id or None, caller.account or None
    found = await _find(connection, caller)
    if found is None and org_id and account:
        # So far the tenant is known only by its account number.
        row = await connection.fetchrow(
            "update tenants set org_id = $1 where account = $2 and org_id is null returning *",
            org_id,
            account,
        )
        found = Tenant.of(row) if row else None
    if found is None:
        row = await connection.fetchrow(
            "insert into tenants (org_id, account) values ($1, $2) returning *", org_id, account
        )
    elif account and not found.account:
        row = await connection.fetchrow(
            "update tenants set account = $2 where id = $1 returning *", found.id, account
        )
    else:
        return found
    if row is None:
        raise RuntimeError("PostgreSQL returned no row of the tenant")
    return Tenant.of(row)
