"""`clusters`: the owners of clusters in the databases of the services that store something under clusters."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from typing import Any

import asyncpg
import orjson

from headrace.cli.output import Output
from headrace.contracts.message import rfc3339
from headrace.database.errors import Refused
from headrace.database.owners import move_cluster, owned_clusters
from headrace.database.pool import Database
from headrace.runtime.errors import ConfigurationError
from headrace.runtime.settings import EngineSettings
from headrace.service.databases import url_of
from headrace.service.row import Service

_HEADERS = ("cluster_id", "service", "org_id", "since", "refused")


async def show(
    settings: EngineSettings, services: Sequence[Service], cluster_id: str | None, *, as_json: bool
) -> None:
    """Print every cluster, or one: its owner in each service, and the organisations that the service refused."""
    rows: list[dict[str, Any]] = []
    for row in _owning(services):
        async with _database(settings, row) as database:
            rows += [
                asdict(owned) | {"service": row.name, "since": rfc3339(owned.since)}
                for owned in await owned_clusters(database, cluster_id)
            ]
    rows.sort(key=lambda found: (found["cluster_id"], found["service"]))
    if as_json:
        print(orjson.dumps(rows, option=orjson.OPT_INDENT_2).decode())
        return
    shown = [[*(found[name] for name in _HEADERS[:-1]), ", ".join(found["refused"])] for found in rows]
    Output().table(_HEADERS, shown)


async def move(settings: EngineSettings, services: Sequence[Service], cluster_id: str, org_id: str) -> None:
    """Give a cluster to an organisation in every service, or raise ConfigurationError and change nothing."""
    if any(not name.isprintable() or not name or " " in name for name in (cluster_id, org_id)):
        raise ConfigurationError(
            f"got cluster {cluster_id!r} and organisation {org_id!r}, expected a non-empty name without "
            "blanks for each"
        )
    before: dict[str, str | None] = {}
    async with AsyncExitStack() as transactions:
        for row in _owning(services):
            database = await transactions.enter_async_context(_database(settings, row))
            connection = await transactions.enter_async_context(database.transaction())
            try:
                before[row.name] = await move_cluster(connection, cluster_id, org_id)
            except asyncpg.InvalidParameterValueError as error:
                raise ConfigurationError(f"{row.name}: {error}") from error
    for name, owner in before.items():
        was = {None: "had no owner", org_id: "already had this owner"}.get(
            owner, f"belonged to organisation {owner}"
        )
        Output().line(f"{name}: {cluster_id} belongs to organisation {org_id}, {was}")


def _owning(services: Sequence[Service]) -> list[Service]:
    return [row for row in services if row.owns_clusters]


@asynccontextmanager
async def _database(settings: EngineSettings, row: Service) -> AsyncIterator[Database]:
    if row.database is None:
        raise AssertionError(f"{row.name} owns clusters but has no database")
    try:
        database = await Database.open(url_of(row, settings), row.database, service="clusters", create=False)
    except Refused as error:
        raise ConfigurationError(f"{row.name}: {error}; run `headrace init` to create it") from error
    try:
        yield database
    finally:
        await database.close()
