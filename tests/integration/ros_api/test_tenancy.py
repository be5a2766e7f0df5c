"""Two organisations whose rows have the same names everywhere: neither sees the other's by any way of asking."""

from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from headrace.contracts.identity import Identity, encode_identity
from tests.integration.ros_api.harness import (
    COLLECTIONS,
    CONTAINER,
    DETAILS,
    LISTS,
    NAMESPACE,
    OPENSHIFT,
    ROS_RECOMMENDATIONS,
    ROS_WORKLOADS,
    UUID_A,
    Api,
    Tenant,
    identity,
    open_api,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

VALUES = {
    "cluster": "test-cluster",
    "project": "project",
    "workload": "app",
    "workload_type": "deployment",
    "container": "main",
}


@dataclass
class Pair:
    mine: Tenant
    theirs: Tenant
    ids: dict[str, dict[str, str]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(api: Api) -> Pair:
    ids: dict[str, dict[str, str]] = {}
    tenants = []
    for _ in range(2):
        tenant = await api.tenant()
        await tenant.cluster("test-cluster", cluster_uuid=UUID_A)
        container = await tenant.app(cluster="test-cluster")
        namespace = await tenant.namespace("project", cluster="test-cluster")
        ids[tenant.org_id] = {OPENSHIFT: container, CONTAINER: container, NAMESPACE: namespace}
        tenants.append(tenant)
    mine, theirs = tenants
    return Pair(mine, theirs, ids)


def asked(path: str) -> list[str]:
    """Every filter in each of its forms, every order, pages and units."""
    collection = COLLECTIONS[path]
    values = {name: VALUES[name] for name in collection.filters}
    queries = ["", "limit=-1", "offset=1&limit=1", "limit=0"]
    for name, value in values.items():
        queries += [f"{name}={value}", f"filter[exact:{name}]={value}"]
        queries.append(f"exclude[{name}]={'daemonset' if name == 'workload_type' else 'x'}")
    queries += [
        f"cluster={UUID_A}",
        f"filter[exact:cluster]={UUID_A}",
        f"project={UUID_A}&exclude[cluster]={UUID_A}",
    ]
    # Values that would end the text of a statement, if they ever stood in one.
    queries += ["project=%27%29 or %28%271%27=%271", "cluster=x%27 or true --", "project=%25"]
    return queries + [f"order_by={name}" for name in collection.sorts]


@pytest.mark.parametrize("path", LISTS)
async def test_no_query_of_a_list_shows_or_counts_the_others_rows(api: Api, pair: Pair, path: str):
    for query in asked(path):
        for tenant, other in ((pair.mine, pair.theirs), (pair.theirs, pair.mine)):
            answer = await api.get(path, tenant, query)
            whole = 2 if path == ROS_WORKLOADS else 1
            assert answer.json["meta"]["count"] <= whole, query
            own = await own_ids(tenant, path)
            assert {str(item["id"]) for item in answer.data} <= own, query
            assert other.org_id not in answer.text


async def own_ids(tenant: Tenant, path: str) -> set[str]:
    table = {NAMESPACE: "namespace_recommendation_sets", ROS_WORKLOADS: "workloads"}.get(
        path, "recommendation_sets"
    )
    key = "id" if path == ROS_WORKLOADS else "workload_id"
    rows = await tenant.database.fetch(
        f"select t.id from {table} t join workloads w on w.id = t.{key} where w.org_id = $1",  # noqa: S608 -- ours
        tenant.org_id,
    )
    return {str(row["id"]) for row in rows}


@pytest.mark.parametrize("path", LISTS)
async def test_the_own_rows_are_shown(api: Api, pair: Pair, path: str):
    for tenant in (pair.mine, pair.theirs):
        shown = {str(item["id"]) for item in (await api.get(path, tenant)).data}
        assert shown == await own_ids(tenant, path) != set()


@pytest.mark.parametrize("path", [OPENSHIFT, CONTAINER, ROS_RECOMMENDATIONS])
async def test_a_csv_has_the_own_rows_only(api: Api, pair: Pair, path: str):
    for query in asked(path):
        answer = await api.get(path, pair.mine, query, Accept="text/csv")
        ids = {row["id"] for row in answer.table}
        assert ids <= {pair.ids[pair.mine.org_id][OPENSHIFT]}, query
    assert len((await api.get(path, pair.mine, "format=csv")).table) == 2


@pytest.mark.parametrize("path", DETAILS)
async def test_the_others_id_is_as_unknown_as_any(api: Api, pair: Pair, path: str):
    theirs = pair.ids[pair.theirs.org_id][path]
    unknown = await api.get(f"{path}/{UUID_A}", pair.mine, all_time=False)
    answer = await api.get(f"{path}/{theirs}", pair.mine, all_time=False)
    assert (answer.status, answer.text) == (404, unknown.text)
    assert (await api.get(f"{path}/{theirs}", pair.theirs, all_time=False)).status == 200


@pytest.mark.parametrize("path", LISTS)
async def test_an_organisation_that_nobody_knows_sees_nothing(api: Api, pair: Pair, path: str):
    for org_id in (f"{pair.mine.org_id}x", pair.mine.org_id.upper(), "%", "_", "' or true --"):
        answer = await api.get(path, org_id)
        assert answer.json["meta"]["count"] == len(answer.data) == 0


@pytest.mark.parametrize("path", LISTS)
async def test_a_row_that_two_organisations_could_claim_is_shown_to_neither(api: Api, path: str):
    """A workload whose own org id differs from its cluster's: no part of the data is trusted alone."""
    owner, claimant = await api.tenant(), await api.tenant()
    await owner.app()
    await owner.namespace("project")
    await owner.database.execute(
        "update workloads set org_id = $1 where org_id = $2", claimant.org_id, owner.org_id
    )
    for tenant in (owner, claimant):
        assert (await api.get(path, tenant)).data == []


BAD_IDENTITIES = [
    ("", "Unable to marshal X-Rh-Identity into struct"),
    ("not base64!", "Unable to decode X-Rh-Identity"),
    ("bm90IGpzb24=", "Unable to marshal X-Rh-Identity into struct"),
    ("W10=", "Unable to marshal X-Rh-Identity into struct"),
    ("eyJpZGVudGl0eSI6eyJvcmdfaWQiOjEyM319", "Unable to marshal X-Rh-Identity into struct"),
    ("e30=", "X-Rh-Identity has no org_id"),
    (identity(""), "X-Rh-Identity has no org_id"),
    (identity("a\0b"), "X-Rh-Identity has no org_id"),
    (encode_identity(Identity(type="Associate")), "X-Rh-Identity has no org_id"),
]


@pytest.mark.parametrize("path", [*LISTS, *(f"{path}/{UUID_A}" for path in DETAILS)])
async def test_without_a_good_identity_nothing_is_shown(api: Api, path: str):
    for header, message in BAD_IDENTITIES:
        answer = await api.get(path, X_Rh_Identity=header)
        assert (answer.status, answer.message) == (401, message)
    absent = await api.get(path)
    assert (absent.status, absent.message) == (401, "Unable to marshal X-Rh-Identity into struct")


async def test_two_identities_that_differ_are_refused(api: Api, pair: Pair):
    headers = [("X-Rh-Identity", identity(tenant.org_id)) for tenant in (pair.mine, pair.theirs)]
    async with api.session.get(api.url + OPENSHIFT, headers=headers) as response:
        assert response.status == 401
        assert "more than one" in (await response.json())["message"]


@pytest.mark.parametrize("path", LISTS)
async def test_an_org_id_in_the_internal_part_is_as_good(api: Api, pair: Pair, path: str):
    answer = await api.get(path, X_Rh_Identity=identity(pair.mine.org_id, internal=True))
    assert {str(item["id"]) for item in answer.data} == await own_ids(pair.mine, path)


@pytest.mark.parametrize(
    ("options", "org_id"),
    [({"lenient": True}, "12345"), ({"lenient": True, "ROS_API_DEFAULT_ORG_ID": "777"}, "777")],
)
async def test_in_the_local_shape_a_curl_without_identity_is_the_documents_organisation(
    postgres_url: str, options: dict[str, Any], org_id: str
):
    async with open_api(postgres_url, **options) as api:
        for name in ("12345", "777"):
            await (await api.tenant(name)).app(project=f"project-{name}")
        for path in (OPENSHIFT, ROS_RECOMMENDATIONS, ROS_WORKLOADS):
            assert (await api.get(path)).column("project") == [f"project-{org_id}"]
            # Only an absent one is replaced.
            assert (await api.get(path, X_Rh_Identity="")).status == 401
            assert (await api.get(path, "none")).data == []
