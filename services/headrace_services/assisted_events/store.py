"""Reads the installer's tables: ended installations, and all data of one cluster."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from headrace.contracts.assisted import ADDING_HOSTS, END_STATES, EVENT_FIELDS, outcome_of
from headrace.database.pool import Connection, Database, Record
from headrace_services.assisted_events.sanitising import Model, milliseconds, model_of

_HOSTS_AT_ONCE: Final = 20
_EVENTS_AT_ONCE: Final = 1000
_CLUSTERS_AT_ONCE: Final = 500
_JSON_TYPES: Final = frozenset({"json", "jsonb"})
# The start of an attempt that ended before it began.
NEVER_STARTED: Final = datetime(1970, 1, 1, tzinfo=UTC)

_ENDED: Final = f"""
select id, status, install_started_at, install_completed_at, coalesce(status_updated_at, updated_at, now()) as ended_at
from clusters
where deleted_at is null
  and (status in {END_STATES!r} or (status = '{ADDING_HOSTS}' and install_completed_at is not null))
"""  # noqa: S608 -- constants of the contract
_EVENTS: Final = f"""
select {", ".join(EVENT_FIELDS)} from events
where cluster_id = $1 and category in ('user', 'metrics') and deleted_at is null
order by event_time, id
"""  # noqa: S608 -- constants of the contract


@dataclass(frozen=True)
class Ended:
    """The end of an installation attempt."""

    cluster_id: str
    install_started_at: datetime
    outcome: str
    ended_at: datetime


class Snapshot:
    """The rows of one cluster at one time."""

    def __init__(self, connection: Connection, cluster_id: str) -> None:
        self._connection = connection
        self.cluster_id = cluster_id

    async def cluster(self) -> tuple[Model, str] | None:
        """Return the cluster's model and its pull secret (``""`` without one); None if there is no such cluster."""
        async for models in self._models(
            "cluster",
            "select * from clusters where id = $1 and deleted_at is null",
            self.cluster_id,
            at_once=1,
        ):
            ((model, row),) = models
            return model, row.get("pull_secret") or ""
        return None

    async def hosts(self) -> AsyncIterator[list[Model]]:
        """Yield its hosts, a few at a time."""
        statement = "select * from hosts where cluster_id = $1 and deleted_at is null order by created_at, id"
        async for models in self._models("host", statement, self.cluster_id, at_once=_HOSTS_AT_ONCE):
            yield [model for model, _ in models]

    async def infra_envs(self) -> list[Model]:
        """Return the infra-envs of its hosts, that of the first host first."""
        statement = """
            select infra_envs.* from infra_envs
            join (select infra_env_id, min((created_at, id)::text) as place from hosts
                  where cluster_id = $1 and deleted_at is null group by infra_env_id) as used
            on used.infra_env_id = infra_envs.id
            where infra_envs.deleted_at is null order by used.place
        """
        found = self._models("infra_env", statement, self.cluster_id, at_once=_HOSTS_AT_ONCE)
        return [model async for models in found for model, _ in models]

    async def user_names(self) -> set[str]:
        """Return the users of the cluster's hosts."""
        rows = await self._connection.fetch(
            "select distinct user_name from hosts where cluster_id = $1", self.cluster_id
        )
        return {row["user_name"] for row in rows if row["user_name"]}

    async def events(self) -> AsyncIterator[list[Model]]:
        """Yield its events by time, a thousand at a time."""
        cursor = await self._connection.cursor(_EVENTS, self.cluster_id)
        while rows := await cursor.fetch(_EVENTS_AT_ONCE):
            yield [_event(row) for row in rows]

    async def _models(
        self, kind: str, statement: str, *arguments: Any, at_once: int
    ) -> AsyncIterator[list[tuple[Model, dict[str, Any]]]]:
        prepared = await self._connection.prepare(statement)
        json_columns = {item.name for item in prepared.get_attributes() if item.type.name in _JSON_TYPES}
        cursor = await prepared.cursor(*arguments)
        while rows := await cursor.fetch(at_once):
            yield [(model_of(kind, dict(row), json_columns), dict(row)) for row in rows]


class InstallerStore:
    """Reads only; the tables may belong to a foreign service."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ended(self, cluster_ids: Sequence[str] | None = None) -> AsyncIterator[list[Ended]]:
        """Yield clusters in an end state, the named ones or all, some hundreds at a time."""
        if cluster_ids is not None:
            rows = await self._database.fetch(f"{_ENDED} and id = any($1)", list(cluster_ids))
            yield [_ended(row) for row in rows]
            return
        last = ""
        while rows := await self._database.fetch(
            f"{_ENDED} and id > $1 order by id limit {_CLUSTERS_AT_ONCE}", last
        ):
            yield [_ended(row) for row in rows]
            last = rows[-1]["id"]

    @asynccontextmanager
    async def snapshot(self, cluster_id: str) -> AsyncIterator[Snapshot]:
        """Open a snapshot of rows; it holds a connection of the pool, and no lock that blocks others."""
        async with (
            self._database.connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield Snapshot(connection, cluster_id)

    async def exists(self, cluster_id: str) -> bool:
        """Return whether the cluster exists."""
        found = await self._database.fetch_value(
            "select true from clusters where id = $1 and deleted_at is null", cluster_id
        )
        return bool(found)


def _ended(row: Record) -> Ended:
    outcome = outcome_of(row["status"], row["install_completed_at"])
    return Ended(row["id"], row["install_started_at"] or NEVER_STARTED, str(outcome), row["ended_at"])


def _event(row: Record) -> Model:
    event = {name: value for name, value in row.items() if value}
    event["event_time"] = milliseconds(row["event_time"])
    return event
