"""An installation that is registered states whose cluster it is; one that is there is not another organisation's."""

import asyncio
from typing import Any

import pytest

from headrace.database.pool import Database
from headrace.installations.installation import Installation
from headrace.installations.origin import Origin
from headrace.runtime.errors import Rejected
from headrace_services.assisted_events.registering import Registry, Stored


async def register(tables: Database, org_id: str | None) -> Stored:
    made = Installation(Origin(org_id=org_id or ""), hosts=1)
    cluster = made.cluster()
    if org_id is None:
        del cluster["org_id"]
    return await Registry(tables, {}).register(
        cluster, hosts=made.hosts(), infra_envs=[made.infra_env()], events=made.events()
    )


async def dump(tables: Database) -> list[str]:
    return [
        row["row"]
        for table in ("clusters", "hosts", "infra_envs", "events")
        for row in await tables.fetch(f"select t::text as row from {table} t order by 1")  # noqa: S608
    ]


async def test_another_organisation_does_not_replace_an_installation(tables: Database) -> None:
    await register(tables, "1001")
    before = await dump(tables)
    for org_id in ("2002", "01001", "1001 "):
        with pytest.raises(Rejected, match="belongs to another organisation"):
            await register(tables, org_id)
    assert await dump(tables) == before


async def test_an_installation_without_an_organisation_stays_its_owners(tables: Database) -> None:
    await register(tables, "1001")
    await register(tables, None)
    assert await tables.fetch_value("select org_id from clusters") == "1001"
    with pytest.raises(Rejected, match="belongs to another organisation"):
        await register(tables, "2002")


@pytest.mark.parametrize("part", ["hosts", "infra_envs"])
async def test_another_organisations_cluster_takes_no_hosts_and_no_infra_envs_along(
    tables: Database, part: str
) -> None:
    await register(tables, "1001")
    before = await dump(tables)
    theirs = Installation(Origin(org_id="1001"), hosts=1)
    other = Installation(Origin(org_id="2002"), number=7, hosts=1)
    cluster = other.cluster()
    stolen = {"hosts": [*theirs.hosts()], "infra_envs": [theirs.infra_env()]}[part]
    for model in stolen:
        model |= {"cluster_id": cluster["id"], "org_id": "2002"}
    parts: dict[str, Any] = {"hosts": [], "infra_envs": [], "events": []} | {part: stolen}
    with pytest.raises(Rejected, match="belongs to another organisation"):
        await Registry(tables, {}).register(cluster, **parts)
    assert await dump(tables) == before


async def test_of_two_organisations_that_register_a_cluster_at_once_one_has_it(tables: Database) -> None:
    for _ in range(10):
        await tables.execute("truncate clusters, hosts, infra_envs, events")
        found = await asyncio.gather(
            register(tables, "1001"), register(tables, "2002"), return_exceptions=True
        )
        refused = [each for each in found if isinstance(each, Rejected)]
        assert len(refused) == 1, found
        assert "belongs to another organisation" in str(refused[0])
