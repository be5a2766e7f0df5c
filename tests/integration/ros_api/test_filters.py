"""Which rows the filters and dates of a listing leave."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.ros_api.harness import (
    COLLECTIONS,
    CONTAINER,
    LISTS,
    MOMENT,
    NAMESPACE,
    OPENSHIFT,
    ROS_RECOMMENDATIONS,
    ROS_WORKLOADS,
    UUID_A,
    UUID_B,
    Api,
    Tenant,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def filtered(api: Api, path: str) -> Tenant:
    key = (id(api), path)
    if key not in FILTERED:
        tenant = await api.tenant()
        await tenant.cluster("Alpha-1", cluster_uuid=UUID_A)
        await tenant.cluster("beta_2%", cluster_uuid=UUID_B.upper())
        for cluster in tenant.clusters:
            for name in ("one", "One-two", "50%_o\\ff"):
                kind = "statefulset" if name == "one" else "deployment"
                workload_id = await tenant.workload(
                    cluster, project=name, name=name, kind=kind, containers=(name, "side")
                )
                if path == NAMESPACE:
                    await tenant.database.execute(
                        "insert into namespace_recommendation_sets (org_id, workload_id, namespace_name,"
                        " monitoring_start_time, monitoring_end_time, recommendations)"
                        " values ($1, $2, $3, $4, $4, '{}')",
                        tenant.org_id,
                        workload_id,
                        name,
                        MOMENT,
                    )
                else:
                    await tenant.container(workload_id, name)
        FILTERED[key] = tenant
    return FILTERED[key]


FILTERED: dict[tuple[int, str], Tenant] = {}
TEXT_FILTERS = [
    ("{}=ONE", {"one", "One-two"}),
    ("{}=one&{}=50", {"one", "One-two", "50%_o\\ff"}),
    ("{}=", {"one", "One-two", "50%_o\\ff"}),
    ("{}=%25", {"50%_o\\ff"}),
    ("{}=_", {"50%_o\\ff"}),
    ("{}=%5C", {"50%_o\\ff"}),
    ("{}=n%25", set()),
    ("{}=o_e", set()),
    ("{}=%27 or 1%3D1 --", set()),
    ("filter[exact:{}]=one", {"one"}),
    ("filter[exact:{}]=one&filter[exact:{}]=One-two", {"one", "One-two"}),
    ("filter[exact:{}]=50%25", set()),
    ("exclude[{}]=one", {"One-two", "50%_o\\ff"}),
    ("exclude[{}]=one&exclude[{}]=One-two", {"50%_o\\ff"}),
    ("{}=one&exclude[{}]=One-two", {"one"}),
    ("{}=one&filter[exact:{}]=one", {"one"}),
    ("{}=two&filter[exact:{}]=one", {"one", "One-two"}),
    ("filter[{}]=TWO&filter[exact:{}]=one", {"one", "One-two"}),
    ("{}=two&filter[{}]=50", {"One-two", "50%_o\\ff"}),
    ("filter[{}]=one&filter[exact:{}]=one&exclude[{}]=One-two", {"one"}),
]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (path, name)
        for path in LISTS
        for name in ("project", "workload", "container")
        if name in COLLECTIONS[path].filters
    ],
)
@pytest.mark.parametrize(("query", "expected"), TEXT_FILTERS)
async def test_filters_of_text_find_what_they_say(
    api: Api, path: str, name: str, query: str, expected: set[str]
):
    tenant = await filtered(api, path)
    answer = await api.get(path, tenant, query.replace("{}", name))
    assert set(answer.column("project")) == expected
    assert answer.json["meta"]["count"] == 2 * len(expected)


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("cluster=ALPHA", {"Alpha-1"}),
        ("cluster=a", {"Alpha-1", "beta_2%"}),
        ("cluster=_", {"beta_2%"}),
        ("cluster=2%25", {"beta_2%"}),
        (f"cluster={UUID_A}", {"Alpha-1"}),
        (f"cluster={UUID_B}", {"beta_2%"}),
        (f"cluster={UUID_A.replace('-', '').upper()}", {"Alpha-1"}),
        (f"cluster={UUID_A}&cluster=beta", {"Alpha-1", "beta_2%"}),
        (f"cluster={UUID_A[:8]}", set()),
        (f"filter[exact:cluster]={UUID_B}", {"beta_2%"}),
        ("filter[exact:cluster]=Alpha-1", {"Alpha-1"}),
        ("filter[exact:cluster]=Alpha", set()),
        ("filter[exact:cluster]=Alpha-1&filter[cluster]=beta", {"Alpha-1", "beta_2%"}),
        (f"filter[exact:cluster]=none&cluster={UUID_B}", {"beta_2%"}),
        ("exclude[cluster]=Alpha-1", {"beta_2%"}),
        (f"exclude[cluster]={UUID_B}", {"Alpha-1"}),
        (f"exclude[cluster]={UUID_B}&exclude[cluster]=Alpha-1", set()),
    ],
)
async def test_filters_of_clusters_take_uuids_and_aliases(
    api: Api, path: str, query: str, expected: set[str]
):
    tenant = await filtered(api, path)
    assert set((await api.get(path, tenant, query)).column("cluster_alias")) == expected


@pytest.mark.parametrize("path", [OPENSHIFT, CONTAINER, ROS_RECOMMENDATIONS, ROS_WORKLOADS])
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("workload_type=statefulset", {"one"}),
        ("workload_type=statefulset&workload_type=deployment", {"one", "One-two", "50%_o\\ff"}),
        ("filter[exact:workload_type]=deployment", {"One-two", "50%_o\\ff"}),
        ("filter[exact:workload_type]=deployment&workload_type=statefulset", {"one", "One-two", "50%_o\\ff"}),
        ("exclude[workload_type]=deployment", {"one"}),
        ("workload_type=daemonset", set()),
    ],
)
async def test_filters_of_types_are_exact(api: Api, path: str, query: str, expected: set[str]):
    tenant = await filtered(api, path)
    assert set((await api.get(path, tenant, query)).column("workload")) == expected


async def test_all_filters_hold_at_once(api: Api):
    tenant = await filtered(api, OPENSHIFT)
    query = (
        "cluster=alpha&project=one&workload=two&container=one&workload_type=deployment&exclude[workload]=x"
    )
    answer = await api.get(OPENSHIFT, tenant, query)
    assert [(item["cluster_alias"], item["project"]) for item in answer.data] == [("Alpha-1", "One-two")]


async def test_workloads_without_a_name_are_not_lost_to_an_exclusion(api: Api, tenant: Tenant):
    await tenant.namespace("project")
    assert (await api.get(ROS_WORKLOADS, tenant, "exclude[workload]=x")).column("workload") == [""]


@pytest.mark.parametrize("path", [OPENSHIFT, CONTAINER, NAMESPACE])
async def test_without_dates_only_this_month_is_shown(api: Api, tenant: Tenant, path: str):
    now = datetime.now(UTC)
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    for name, end in (
        ("old", first - timedelta(seconds=1)),
        ("first", first),
        ("later", now + timedelta(days=1)),
    ):
        await tenant.app(end=end, project=name)
        await tenant.namespace(name, end=end)
    assert (await api.get(path, tenant, all_time=False)).column("project") == ["first"]


@pytest.mark.parametrize("path", [ROS_RECOMMENDATIONS, ROS_WORKLOADS])
async def test_the_documents_routes_show_whatever_is_stored(api: Api, tenant: Tenant, path: str):
    await tenant.app()
    assert len((await api.get(path, tenant, all_time=False)).data) == 1


@pytest.mark.parametrize("path", [OPENSHIFT, NAMESPACE, ROS_RECOMMENDATIONS])
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("start_date=2023-06-03", {"last", "next"}),
        ("start_date=2023-06-03&end_date=2023-06-03", {"last"}),
        ("start_date=2023-06-02&end_date=2023-06-03", {"eve", "last"}),
        ("start_date=2023-06-04&end_date=2023-06-03", set()),
        ("start_date=0001-01-01&end_date=9999-12-31", {"eve", "last", "next"}),
    ],
)
async def test_dates_are_days_of_the_end_with_the_last_one_included(
    api: Api, path: str, query: str, expected: set[str]
):
    tenant = await dated(api)
    assert set((await api.get(path, tenant, query)).column("project")) == expected


async def dated(api: Api) -> Tenant:
    if id(api) not in DATED:
        tenant = await api.tenant()
        for name, end in (
            ("eve", datetime(2023, 6, 2, 23, 59, 59, tzinfo=UTC)),
            ("last", datetime(2023, 6, 3, 23, 59, 59, tzinfo=UTC)),
            ("next", datetime(2023, 6, 4, tzinfo=UTC)),
        ):
            await tenant.app(end=end, project=name)
            await tenant.namespace(name, end=end)
        DATED[id(api)] = tenant
    return DATED[id(api)]


DATED: dict[int, Tenant] = {}
