"""Writes simulated and replayed installations into our own tables."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Final

import asyncpg
import orjson

from headrace.contracts.assisted import EVENT_FIELDS
from headrace.database.owners import foreign
from headrace.database.pool import Connection, Database
from headrace.runtime.errors import Rejected
from headrace_services.assisted_events.rate_limits import RateLimiter, key_of

Model = Mapping[str, Any]
Converter = Callable[[str, Any], Any]

_EVENTS_AT_ONCE: Final = 5000
_KEYS: Final = {"clusters": ("id",), "infra_envs": ("id",), "hosts": ("id", "infra_env_id")}


@dataclass(frozen=True)
class Stored:
    """The numbers of stored events and of events over their rate limit."""

    events: int
    discarded: int


@dataclass(frozen=True)
class Registry:
    """Writes installations; ``rate_limits`` are seconds by event name."""

    database: Database
    rate_limits: Mapping[str, float]

    async def register(
        self,
        cluster: Model,
        *,
        hosts: Iterable[Model],
        infra_envs: Iterable[Model],
        events: Iterable[Model],
        pull_secret: str = "",
    ) -> Stored:
        """Store an installation; an existing one of the cluster is replaced, and its events are added.

        Raises `Rejected` for a value that a table cannot store, or if the cluster belongs to another organisation.
        """
        async with _readable(), self.database.transaction() as connection:
            cluster = await _of_its_owner(connection, cluster)
            columns = {table: await _columns(connection, table) for table in (*_KEYS, "events")}
            await connection.execute("delete from hosts where cluster_id = $1", str(cluster["id"]))
            for table, models in (("infra_envs", infra_envs), ("hosts", hosts)):
                for model in models:
                    if not await _upsert(connection, table, columns[table], model, cluster):
                        raise _foreign(cluster)
            stored = await self._store(connection, columns["events"], str(cluster["id"]), events)
            # The cluster comes last, because its trigger sends the notification.
            row = {**cluster, **({"pull_secret": pull_secret} if pull_secret else {})}
            if not await _upsert(connection, "clusters", columns["clusters"], row, cluster):
                raise _foreign(cluster)
        return stored

    async def add_events(self, cluster_id: str, events: Iterable[Model]) -> Stored:
        """Store more events of a cluster."""
        async with _readable(), self.database.transaction() as connection:
            columns = await _columns(connection, "events")
            return await self._store(connection, columns, cluster_id, events)

    async def _store(
        self, connection: Connection, columns: Mapping[str, str], cluster_id: str, events: Iterable[Model]
    ) -> Stored:
        limiter = await self._limiter(connection, cluster_id)
        converters = _converters({name: columns[name] for name in EVENT_FIELDS})
        rows = ({**_converted(converters, event), "cluster_id": cluster_id} for event in events)
        records = (tuple(map(row.get, EVENT_FIELDS)) for row in limiter.pass_through(_defaulted(rows)))
        known = await connection.fetchval(
            "select exists (select from events where cluster_id = $1)", cluster_id
        )
        if not known:
            return Stored(await _copy(connection, "events", records), limiter.discarded)
        names = ", ".join(EVENT_FIELDS)
        await connection.execute(
            f"create temporary table incoming on commit drop as select {names} from events with no data"  # noqa: S608
        )
        await _copy(connection, "incoming", records)
        # Replayed events may already be stored.
        tag = await connection.execute(
            f"insert into events ({names}) select {names} from incoming where not exists ("  # noqa: S608
            " select from events where cluster_id = $1 and events.event_time = incoming.event_time"
            " and events.name = incoming.name and events.message = incoming.message"
            " and events.host_id is not distinct from incoming.host_id) order by event_time",
            cluster_id,
        )
        await connection.execute("drop table incoming")
        return Stored(int(tag.rpartition(" ")[2]), limiter.discarded)

    async def _limiter(self, connection: Connection, cluster_id: str) -> RateLimiter:
        rows = await connection.fetch(
            "select name, cluster_id, host_id, infra_env_id, max(event_time) as last from events"
            " where cluster_id = $1 and name = any($2) group by 1, 2, 3, 4",
            cluster_id,
            list(self.rate_limits),
        )
        return RateLimiter(self.rate_limits, {key_of(row): row["last"] for row in rows})


@asynccontextmanager
async def _readable() -> AsyncIterator[None]:
    try:
        yield
    except (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError) as error:
        raise Rejected(f"the rows cannot be stored: {str(error).splitlines()[0]}") from error


async def _of_its_owner(connection: Connection, cluster: Model) -> Model:
    """Return the cluster with its present organisation; a model may omit the organisation, but not name another."""
    owner = await connection.fetchval(
        "select org_id from clusters where id = $1 for update", str(cluster["id"])
    )
    if not owner:
        return cluster
    if (given := cluster.get("org_id")) and given != owner:
        raise _foreign(cluster)
    return {**cluster, "org_id": owner}


def _foreign(cluster: Model) -> Rejected:
    return foreign("assisted_events", str(cluster["id"]), str(cluster.get("org_id") or ""))


async def _columns(connection: Connection, table: str) -> dict[str, str]:
    """Return the types of columns by name."""
    rows = await connection.fetch(
        "select attname::text as name, format_type(atttypid, null) as type from pg_attribute"
        " where attrelid = to_regclass($1) and attnum > 0 and not attisdropped",
        table,
    )
    return {row["name"]: row["type"] for row in rows}


async def _copy(connection: Connection, table: str, records: Iterator[tuple[Any, ...]]) -> int:
    """Load rows in bulk, some thousands at a time, because creating them counts towards the statement's deadline."""
    count = 0
    while batch := list(islice(records, _EVENTS_AT_ONCE)):
        await connection.copy_records_to_table(table, records=batch, columns=list(EVENT_FIELDS))
        count += len(batch)
    return count


# The owner of an existing row: its own organisation, else that of its cluster.
_OWNERS: Final = {
    "clusters": "clusters.org_id",
    "infra_envs": "coalesce(nullif(infra_envs.org_id, ''),"
    " (select c.org_id from clusters c where c.id = infra_envs.cluster_id))",
    "hosts": "(select c.org_id from clusters c where c.id = hosts.cluster_id)",
}


async def _upsert(
    connection: Connection, table: str, columns: Mapping[str, str], model: Model, cluster: Model
) -> bool:
    """Return whether the row was written; it is not if a row with its key belongs to another organisation."""
    row = _converted(_converters(columns), model)
    names = ", ".join(row)
    places = ", ".join(f"${n}" for n in range(1, len(row) + 1))
    # Columns without a value, such as the completion, are reset, so that the old attempt's values do not remain.
    updates = ", ".join(
        f"{name} = excluded.{name}"
        for name in columns
        if name not in (*_KEYS[table], "pull_secret", "created_at")
    )
    tag = await connection.execute(
        f"insert into {table} ({names}) values ({places})"  # noqa: S608 -- names of our own columns
        f" on conflict ({', '.join(_KEYS[table])}) do update set {updates}"
        f" where coalesce({_OWNERS[table]}, '') in ('', ${len(row) + 1})",
        *row.values(),
        str(cluster.get("org_id") or ""),
    )
    return tag.endswith(" 1")


def _converters(columns: Mapping[str, str]) -> list[tuple[str, Converter]]:
    return [(name, _CONVERTERS.get(type_name, _as_it_is)) for name, type_name in columns.items()]


def _converted(converters: list[tuple[str, Converter]], model: Model) -> dict[str, Any]:
    """Return the model's fields that have a column, as asyncpg's types."""
    return {
        name: convert(name, value) for name, convert in converters if (value := model.get(name)) is not None
    }


def _defaulted(rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for row in rows:
        row.setdefault("category", "user")
        missing = [name for name in ("name", "message", "severity", "event_time") if name not in row]
        if missing:
            raise Rejected(f"an event has no {', '.join(missing)}")
        yield row


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise Rejected(f"{name}: got {type(value).__name__}, expected text")
    if "\0" in value:
        raise Rejected(f"{name}: contains a NUL character")
    return value


def _moment(name: str, value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    try:
        moment = datetime.fromisoformat(value)
    except (ValueError, TypeError):
        raise Rejected(f"{name}: expected a time such as 2026-01-02T03:04:05.678Z") from None
    if moment.tzinfo is None:
        raise Rejected(f"{name}: expected a time with a time zone")
    return moment


def _json(name: str, value: Any) -> str:
    text = orjson.dumps(value).decode()
    if "\\u0000" in text:
        raise Rejected(f"{name}: contains a NUL character")
    return text


def _integer(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not -(1 << 63) <= value < 1 << 63:
        raise Rejected(f"{name}: expected an integer")
    return value


def _boolean(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise Rejected(f"{name}: expected true or false")
    return value


def _texts(name: str, value: Any) -> list[str]:
    if not isinstance(value, list):
        raise Rejected(f"{name}: expected a list of strings")
    return [_text(name, item) for item in value]


def _as_it_is(_name: str, value: Any) -> Any:
    return value


_CONVERTERS: Final = {
    "text": _text,
    "text[]": _texts,
    "timestamp with time zone": _moment,
    "jsonb": _json,
    "bigint": _integer,
    "boolean": _boolean,
}
