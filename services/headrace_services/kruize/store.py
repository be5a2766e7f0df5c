"""Kruize's tables. Experiments and containers are rows with small numbers; results are one row per interval."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import asyncpg
import orjson

from headrace.database.partitions import Partitions
from headrace.database.pool import Database, Record
from headrace_services.kruize.experiments import EVERYTHING, Definition, Experiment, Wanted

# The most intervals of one experiment in one query: 15 days of one a minute.
_MAX_INTERVALS: Final = 21_600

_EXPERIMENT: Final = """
select e.*, c.numbers, c.names, c.images from {tables}
left join lateral (
    select array_agg(id order by id) as numbers, array_agg(name order by id) as names,
        array_agg(image order by id) as images
    from kruize_containers where experiment = e.id
) c on true
"""
_BY_NAME: Final = (
    _EXPERIMENT.format(tables="kruize_experiments e") + "where e.experiment_name = any($1::text[])"
)
_WANTED: Final = """where e.id > $1
and ($3::text is null or e.cluster_name = $3) and ($4::text is null or e.object_type = $4)
and ($5::text is null or e.object_name = $5) and ($6::text is null or e.namespace = $6)
and not exists (
    select from unnest($7::text[], $8::text[]) as wanted (name, image) where not exists (
        select from kruize_containers k
        where k.experiment = e.id and k.name = wanted.name and (wanted.image is null or k.image = wanted.image)
    )
)
order by e.id limit $2
"""
_PAGE: Final = _EXPERIMENT.format(tables="kruize_experiments e") + _WANTED

_TAKEN: Final = """
select exists (select from kruize_experiments where experiment_name = $1) as taken,
    $2::text is null or exists (select from kruize_performance_profiles where name = $2) as has_profile
"""
_CREATE: Final = """
with created as (
    insert into kruize_experiments (experiment_name, experiment_id, version, cluster_name, experiment_type, mode,
        target_cluster, performance_profile, object_type, object_name, namespace, settings)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
    on conflict (experiment_name) do nothing returning id
), contained as (
    insert into kruize_containers (experiment, name, image)
    select id, c.name, c.image from created, unnest($13::text[], $14::text[]) with ordinality as c (name, image, at)
    order by at
)
select id from created
"""
_DELETE: Final = """
with gone as (delete from kruize_experiments where experiment_name = $1 returning id),
results as (delete from kruize_results where experiment in (select id from gone)),
recommended as (delete from kruize_recommendations where experiment in (select id from gone))
select id from gone
"""
# The same order in every call prevents deadlocks between concurrent calls.
_ADD_CONTAINERS: Final = """
insert into kruize_containers (experiment, name, image)
select e.id, c.name, c.image from kruize_experiments e, unnest($2::text[], $3::text[]) as c (name, image)
where e.id = $1 order by c.name
on conflict (experiment, name) do nothing
"""
# Another transaction that holds an experiment's row stores results of it too, so its `updated_at` is skipped.
_ADD_RESULTS: Final = """
with alive as materialized (select id from kruize_experiments where id = any($5::integer[])),
stored as (
    insert into kruize_results (experiment, interval_end_time, interval_start_time, measurements)
    select r.* from unnest($1::integer[], $2::timestamptz[], $3::timestamptz[], $4::bytea[])
        as r (experiment, interval_end_time, interval_start_time, measurements)
    where r.experiment in (select id from alive)
    order by r.experiment, r.interval_end_time, r.interval_start_time
    on conflict do nothing
    returning experiment, interval_end_time, interval_start_time
), touched as (
    update kruize_experiments set updated_at = now() where id in (
        select e.id from kruize_experiments e where e.id in (select experiment from stored)
        for no key update skip locked
    )
)
select experiment, interval_end_time, interval_start_time from stored
union all select id, null, null from alive
"""
_MEASUREMENTS: Final = """
select string_agg(measurements, ''::bytea order by interval_end_time, interval_start_time) from (
    select * from kruize_results
    where experiment = $1 and interval_start_time >= $2 and interval_end_time > $2 and interval_end_time <= $3
    order by experiment, interval_end_time desc, interval_start_time desc limit $4
) r
"""
_LOAD: Final = f"""
select x.*, ({_MEASUREMENTS.replace("$1", "x.id")}) as measurements
from ({_EXPERIMENT.format(tables="kruize_experiments e")} where e.experiment_name = $1) x
"""  # noqa: S608 -- both are constants
_NEWEST_END: Final = """
select max(r.interval_end_time) from kruize_experiments e join kruize_results r on r.experiment = e.id
where e.experiment_name = $1
"""
_KEEP: Final = """
insert into kruize_recommendations (experiment, interval_end_time, extended_data)
select id, $2, $3 from kruize_experiments where id = $1
on conflict (experiment, interval_end_time)
do update set extended_data = excluded.extended_data, updated_at = excluded.updated_at
"""
_RECOMMENDED: Final = """
select interval_end_time, extended_data from kruize_recommendations
where experiment = $1 and ($2::timestamptz is null or interval_end_time = $2)
order by interval_end_time desc limit $3
"""
_RECOMMENDED_OF_MANY: Final = """
select distinct on (experiment) experiment, extended_data from kruize_recommendations
where experiment = any($1::integer[]) and ($2::timestamptz is null or interval_end_time = $2)
order by experiment, interval_end_time desc
"""


@dataclass(frozen=True)
class Row:
    """One interval of one experiment; ``measurements`` are its chunks."""

    experiment: int
    end: datetime
    start: datetime
    measurements: bytes

    @property
    def key(self) -> tuple[int, datetime, datetime]:
        """The key by which a repeated result is recognised."""
        return (self.experiment, self.end, self.start)


@dataclass(frozen=True)
class Added:
    """The outcome of an insert: the keys that are new, and the experiments that exist."""

    stored: frozenset[tuple[int, datetime, datetime]]
    experiments: frozenset[int]


class ExperimentStore:
    """Experiments and their containers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ping(self) -> None:
        """Make one round trip."""
        await self._database.ping()

    async def taken(self, definition: Definition) -> tuple[bool, bool]:
        """Return whether an experiment of that name exists, and whether the profile that it names exists."""
        row = await self._database.fetch_row(
            _TAKEN, definition.experiment_name, definition.performance_profile
        )
        return (row["taken"], row["has_profile"]) if row else (False, False)

    async def create(self, definition: Definition) -> bool:
        """Create an experiment; return whether it is new.

        If its profile was deleted meanwhile, asyncpg raises ``ForeignKeyViolationError``.
        """
        created = await self._database.fetch_value(
            _CREATE,
            definition.experiment_name,
            definition.experiment_id,
            definition.version,
            definition.cluster_name,
            definition.experiment_type,
            definition.mode,
            definition.target_cluster,
            definition.performance_profile,
            definition.object_type,
            definition.object_name,
            definition.namespace,
            orjson.dumps(definition.settings).decode(),
            list(definition.containers),
            list(definition.containers.values()),
        )
        return created is not None

    async def delete(self, name: str) -> bool:
        """Delete an experiment with its results and recommendations; return whether it existed."""
        return await self._database.fetch_value(_DELETE, name) is not None

    async def by_name(self, names: Sequence[str]) -> list[Experiment]:
        """Return the existing experiments with these names."""
        return [_experiment(row) for row in await self._database.fetch(_BY_NAME, names)]

    async def page(self, after_id: int, size: int, wanted: Wanted = EVERYTHING) -> list[Experiment]:
        """Return the next experiments in the order of their numbers."""
        rows = await self._database.fetch(
            _PAGE,
            after_id,
            size,
            wanted.cluster_name,
            wanted.object_type,
            wanted.object_name,
            wanted.namespace,
            list(wanted.containers),
            list(wanted.containers.values()),
        )
        return [_experiment(row) for row in rows]

    async def add_containers(self, experiment: int, images: Mapping[str, str | None]) -> None:
        """Number containers that first occur in results; do nothing if the experiment is deleted."""
        with suppress(asyncpg.ForeignKeyViolationError):  # the experiment may be deleted at this moment
            await self._database.execute(_ADD_CONTAINERS, experiment, list(images), list(images.values()))


class ResultStore:
    """Results and recommendations, in partitions by time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._results = Partitions(database, "kruize_results")
        self._recommendations = Partitions(database, "kruize_recommendations")

    async def add(self, rows: Sequence[Row]) -> Added:
        """Store new results in one round trip; existing results stay unchanged."""
        moments = [row.end for row in rows]
        arguments = (
            [row.experiment for row in rows],
            moments,
            [row.start for row in rows],
            [row.measurements for row in rows],
            list({row.experiment for row in rows}),
        )
        found = await self._results.fill(moments, lambda: self._database.fetch(_ADD_RESULTS, *arguments))
        return Added(
            frozenset((row[0], row[1], row[2]) for row in found if row[1] is not None),
            frozenset(row[0] for row in found if row[1] is None),
        )

    async def load(self, name: str, since: datetime, until: datetime) -> tuple[Experiment, bytes] | None:
        """Return an experiment with the chunks of results within a span; None if it does not exist."""
        row = await self._database.fetch_row(_LOAD, name, since, until, _MAX_INTERVALS)
        return (_experiment(row), row["measurements"] or b"") if row else None

    async def measurements(self, experiment: int, since: datetime, until: datetime, *, latest: bool) -> bytes:
        """Return only the chunks, of the newest interval or of all."""
        found = await self._database.fetch_value(
            _MEASUREMENTS, experiment, since, until, 1 if latest else _MAX_INTERVALS
        )
        return found or b""

    async def newest_end(self, name: str) -> datetime | None:
        """Return the end of an experiment's newest interval, None without intervals."""
        found: datetime | None = await self._database.fetch_value(_NEWEST_END, name)
        return found

    async def keep(self, experiment: int, end: datetime, document: bytes) -> None:
        """Store recommendations; the latest of one time replaces earlier ones."""
        text = document.decode()
        await self._recommendations.fill([end], lambda: self._database.execute(_KEEP, experiment, end, text))

    async def recommended(self, experiment: int, end: datetime | None, limit: int) -> list[str]:
        """Return the newest documents of an experiment, or that of one time."""
        rows = await self._database.fetch(_RECOMMENDED, experiment, end, limit)
        return [row["extended_data"] for row in rows]

    async def recommended_of_many(self, experiments: Sequence[int], end: datetime | None) -> dict[int, str]:
        """Return the newest document (or that of one time) of each experiment that has one."""
        rows = await self._database.fetch(_RECOMMENDED_OF_MANY, experiments, end)
        return {row["experiment"]: row["extended_data"] for row in rows}

    async def retire(self, before: datetime) -> list[str]:
        """Drop old partitions; return their names."""
        return [*await self._results.retire(before), *await self._recommendations.retire(before)]


class ProfileStore:
    """Performance profiles."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> list[dict[str, Any]]:
        """Return every profile as it was sent."""
        rows = await self._database.fetch("select profile from kruize_performance_profiles order by name")
        return [orjson.loads(row["profile"]) for row in rows]

    async def find(self, name: str) -> dict[str, Any] | None:
        """Return one profile, or None."""
        text = await self._database.fetch_value(
            "select profile from kruize_performance_profiles where name = $1", name
        )
        return None if text is None else dict(orjson.loads(text))

    async def create(self, name: str, version: float, profile: dict[str, Any]) -> bool:
        """Create a profile; return whether it is new."""
        tag = await self._database.execute(
            "insert into kruize_performance_profiles values ($1, $2, $3) on conflict do nothing",
            name,
            version,
            orjson.dumps(profile).decode(),
        )
        return tag == "INSERT 0 1"

    async def update(self, name: str, version: float, profile: dict[str, Any], *, was: float) -> bool:
        """Replace a profile; return whether it still had version ``was``."""
        tag = await self._database.execute(
            "update kruize_performance_profiles set profile_version = $2, profile = $3"
            " where name = $1 and profile_version = $4",
            name,
            version,
            orjson.dumps(profile).decode(),
            was,
        )
        return tag == "UPDATE 1"

    async def users(self, name: str) -> int:
        """Return the number of experiments that name a profile."""
        count: int = await self._database.fetch_value(
            "select count(*) from kruize_experiments where performance_profile = $1", name
        )
        return count

    async def delete(self, name: str) -> bool:
        """Delete a profile; return whether it existed.

        If it is in use, asyncpg raises ``ForeignKeyViolationError``.
        """
        tag = await self._database.execute("delete from kruize_performance_profiles where name = $1", name)
        return tag == "DELETE 1"


def _experiment(row: Record) -> Experiment:
    names, numbers, images = row["names"] or [], row["numbers"] or [], row["images"] or []
    return Experiment(
        experiment_name=row["experiment_name"],
        experiment_id=row["experiment_id"],
        version=row["version"],
        cluster_name=row["cluster_name"],
        experiment_type=row["experiment_type"],
        mode=row["mode"],
        target_cluster=row["target_cluster"],
        performance_profile=row["performance_profile"],
        object_type=row["object_type"],
        object_name=row["object_name"],
        namespace=row["namespace"],
        settings=orjson.loads(row["settings"]),
        containers=dict(zip(names, images, strict=True)),
        id=row["id"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        numbers=dict(zip(names, numbers, strict=True)),
    )
