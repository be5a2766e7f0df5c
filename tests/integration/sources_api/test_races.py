"""Many at once: each request whole, and none in another's way."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.integration.sources_api.harness import COST, Sources, identity, types, value

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_one_cluster_registered_by_many_at_once_is_one_source(sources: Sources, org: str) -> None:
    """As koku and the operator do it: look, create, and look again when that was refused."""
    openshift, cost = await sources.type_id("openshift"), await sources.type_id(COST)
    look = f"sources?filter[source_type_id]={openshift}&filter[source_ref]=ref"

    async def register(number: int) -> tuple[str, int]:
        body = {"name": f"cluster-{number}", "source_type_id": openshift, "source_ref": "ref"}
        answer = await sources.post("sources", org, body)
        if answer.status == 400:
            assert answer.detail == (
                "bad request: Validation failed: source_ref already exists in tenant for this source type"
            )
        (source_id,) = (await sources.get(look, org)).ids
        body = {"source_id": source_id, "application_type_id": cost}
        return source_id, (await sources.post("applications", org, body)).status

    found = await asyncio.gather(*(register(number) for number in range(12)))
    assert len({source_id for source_id, _ in found}) == 1
    assert Counter(status for _, status in found) == {201: 1, 400: 11}
    assert types(await sources.events.exactly(org, 2)) == ["Source.create", "Application.create"]


async def test_a_tenant_seen_by_many_at_once_is_one(sources: Sources, org: str) -> None:
    openshift = await sources.type_id("openshift")

    async def create(number: int) -> int:
        header = identity(org, account_number=f"account-of-{org}" if number % 2 else None)
        body = {"name": f"cluster-{number}", "source_type_id": openshift}
        return (await sources.post("sources", body=body, x_rh_identity=header)).status

    assert await asyncio.gather(*(create(number) for number in range(12))) == [201] * 12
    assert (await sources.get("sources", org)).json["meta"]["count"] == 12
    assert await sources.database.fetch_value("select count(*) from tenants where org_id = $1", org) == 1


async def test_what_is_added_while_a_source_is_deleted_is_deleted_or_refused(
    sources: Sources, org: str
) -> None:
    for number in range(5):
        source = await sources.source(org, f"cluster-{number}")
        add: dict[str, Any] = {"source_id": source["id"]}
        deleted, *added = await asyncio.gather(
            sources.delete(f"sources/{source['id']}", org),
            *(sources.post("endpoints", org, add | {"role": f"role-{at}"}) for at in range(4)),
        )
        assert deleted.status == 204
        for answer in added:
            assert (
                answer.status == 201 or answer.detail == "bad request: Validation failed: source id not found"
            )
    assert (await sources.get("endpoints", org)).ids == []
    rows = await sources.database.fetch("select * from outbox")
    told = await sources.events.of(org)
    created = [value(record)["id"] for record in told if types([record]) == ["Endpoint.create"]]
    destroyed = [value(record)["id"] for record in told if types([record]) == ["Endpoint.destroy"]]
    assert rows or sorted(created) == sorted(destroyed)


async def test_the_last_of_many_changes_is_the_last_event(sources: Sources, org: str) -> None:
    source = await sources.source(org)
    await asyncio.gather(
        *(sources.patch(f"sources/{source['id']}", org, {"version": str(number)}) for number in range(20))
    )
    records = await sources.events.exactly(org, 21)
    now = (await sources.get(f"sources/{source['id']}", org)).json
    assert value(records[-1])["version"] == now["version"]
