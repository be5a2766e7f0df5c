"""What a listing shows, in which order, which of it and how much of it."""

import json
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from headrace.ros.columns import PERCENTAGE_COLUMNS
from headrace.runtime.metrics import REGISTRY
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
    Api,
    Tenant,
    identity,
)
from tests.integration.ros_api.samples import BYTES, CURRENT_BYTES, recommendation

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_status_needs_nobody(api: Api):
    answer = await api.get("/status", all_time=False)
    assert (answer.status, answer.json) == (200, {"api-server": "working"})


async def test_a_container_is_shown_as_upstream_shows_it(api: Api, tenant: Tenant):
    await tenant.cluster(
        "test-cluster", cluster_uuid="1b77b73f-1d3e-43c6-9f55-bcd9fb6d1a0c", source_id="test-source"
    )
    workload_id = await tenant.workload(
        "test-cluster", project="Yuptoo-prod", kind="replicaset", name="Yuptoo-app"
    )
    identifier = await tenant.container(workload_id, "Yuptoo-service")
    answer = await api.get(OPENSHIFT, tenant)
    (item,) = answer.data
    recommendations = item.pop("recommendations")
    assert item == {
        "id": identifier,
        "cluster_alias": "test-cluster",
        "cluster_uuid": "1b77b73f-1d3e-43c6-9f55-bcd9fb6d1a0c",
        "source_id": "test-source",
        "project": "Yuptoo-prod",
        "workload": "Yuptoo-app",
        "workload_type": "replicaset",
        "container": "Yuptoo-service",
        "last_reported": "2023-06-03T00:45:00Z",
    }
    assert recommendations["monitoring_end_time"] == "2023-06-03T00:45:00Z"
    assert recommendations["current"]["requests"] == {
        "cpu": {"amount": 1, "format": ""},
        "memory": {"amount": CURRENT_BYTES, "format": "bytes"},
    }
    assert "notifications" not in recommendations
    short = recommendations["recommendation_terms"]["short_term"]
    assert set(short) == {"duration_in_hours", "monitoring_start_time", "recommendation_engines"}
    assert short["recommendation_engines"]["cost"] == {
        "config": both(cpu(0.064, ""), memory(BYTES, "bytes")),
        "variation": both(cpu(-93.5, "percent"), memory(-51.757, "percent")),
    }
    assert recommendations["recommendation_terms"]["medium_term"] == {"duration_in_hours": 24.7}
    body = answer.json
    assert body["meta"] == {"count": 1, "limit": 10, "offset": 0}
    assert set(body) == {"data", "meta", "links"}
    assert answer.headers["Content-Type"].startswith("application/json")


def cpu(amount: float, unit: str) -> dict[str, Any]:
    return {"cpu": {"amount": amount, "format": unit}}


def memory(amount: float, unit: str) -> dict[str, Any]:
    return {"memory": {"amount": amount, "format": unit}}


def both(*resources: dict[str, Any]) -> dict[str, Any]:
    merged = resources[0] | resources[1]
    return {"requests": merged, "limits": merged}


@pytest.mark.parametrize(
    ("query", "cores", "bytes_", "config"),
    [
        ("", ("", 1), ("bytes", CURRENT_BYTES), (0.064, BYTES)),
        (
            "cpu-unit=cores&memory-unit=bytes&true-units=true",
            ("cores", 1),
            ("bytes", CURRENT_BYTES),
            (0.064, BYTES),
        ),
        ("cpu-unit=millicores&memory-unit=MiB", ("m", 1000), ("Mi", 1024), (64, 493.99)),
        (
            "cpu-unit=millicores&memory-unit=MiB&true-units=T",
            ("millicores", 1000),
            ("MiB", 1024),
            (64, 493.99),
        ),
        ("memory-unit=GiB&true-units=0", ("", 1), ("Gi", 1), (0.064, 0.48)),
        ("memory-unit=GiB&true-units=1", ("cores", 1), ("GiB", 1), (0.064, 0.48)),
    ],
)
@pytest.mark.parametrize("path", [OPENSHIFT, CONTAINER, NAMESPACE, ROS_RECOMMENDATIONS])
async def test_amounts_come_in_the_units_asked_for_and_percentages_do_not_depend_on_them(
    api: Api, tenant: Tenant, path: str, query: str, cores: Any, bytes_: Any, config: Any
):
    await tenant.app()
    await tenant.namespace("project")
    (item,) = (await api.get(path, tenant, query)).data
    shown = item["recommendations"]
    assert shown["current"]["limits"] == cpu(cores[1], cores[0]) | memory(bytes_[1], bytes_[0])
    engine = shown["recommendation_terms"]["short_term"]["recommendation_engines"]["cost"]
    assert engine["config"]["requests"] == cpu(config[0], cores[0]) | memory(config[1], bytes_[0])
    for section in ("requests", "limits"):
        assert engine["variation"][section] == cpu(-93.5, "percent") | memory(-51.757, "percent")


async def test_the_stored_percentages_of_requests_are_shown_where_they_are(api: Api, tenant: Tenant):
    workload_id = await tenant.workload()
    await tenant.container(
        workload_id, cpu_variation_short_cost_pct=12.3456, cpu_variation_short_performance_pct=None
    )
    (item,) = (await api.get(OPENSHIFT, tenant)).data
    engines = item["recommendations"]["recommendation_terms"]["short_term"]["recommendation_engines"]
    shown = [
        engines[name]["variation"][section]["cpu"]["amount"]
        for name in engines
        for section in ("requests", "limits")
    ]
    assert shown == [12.3456, -93.5, -93.5, -93.5]


async def test_a_resource_without_advice_varies_by_its_stored_percentage(api: Api, tenant: Tenant):
    stored = recommendation()
    cost = stored["recommendation_terms"]["short_term"]["recommendation_engines"]["cost"]
    for name in ("config", "variation"):
        cost[name]["requests"]["cpu"] = cost[name]["limits"]["cpu"] = {}
    await tenant.container(await tenant.workload(), stored=stored, cpu_variation_short_cost_pct=0)
    (item,) = (await api.get(OPENSHIFT, tenant)).data
    shown = item["recommendations"]["recommendation_terms"]["short_term"]["recommendation_engines"]["cost"]
    assert shown["variation"]["requests"] == cpu(0, "percent") | memory(-51.757, "percent")
    assert shown["variation"]["limits"] == {"cpu": {}} | memory(-51.757, "percent")
    assert shown["config"]["requests"] == {"cpu": {}} | memory(BYTES, "bytes")


async def test_what_was_stored_without_its_zero_is_shown_with_it(api: Api, tenant: Tenant):
    stored = json.loads(json.dumps(BARE))
    await tenant.container(await tenant.workload(), stored=stored, **dict.fromkeys(PERCENTAGE_COLUMNS))
    (item,) = (await api.get(OPENSHIFT, tenant)).data
    assert item["recommendations"]["current"] == {"requests": cpu(0, ""), "limits": {"memory": {}}}
    engine = item["recommendations"]["recommendation_terms"]["long_term"]["recommendation_engines"]["cost"]
    assert engine["variation"]["requests"] == cpu(0, "percent")


BARE = {
    "monitoring_end_time": "2023-06-03T00:45:00Z",
    "current": {"requests": {"cpu": {"format": "cores"}}, "limits": {"memory": {}}},
    "recommendation_terms": {
        "long_term": {
            "recommendation_engines": {"cost": {"variation": {"requests": {"cpu": {"format": "cores"}}}}}
        }
    },
}


async def test_a_recommendation_without_content_is_an_empty_object(api: Api, tenant: Tenant):
    identifier = await tenant.container(await tenant.workload(), stored={})
    assert (await api.get(OPENSHIFT, tenant)).column("recommendations") == [{}]
    answer = await api.get(f"{OPENSHIFT}/{identifier}", tenant)
    assert answer.status == 404
    assert answer.json == {"status": "not_found", "message": "recommendation not found"}


@pytest.mark.parametrize("path", [OPENSHIFT, CONTAINER, NAMESPACE])
async def test_one_alone_has_its_plots_and_memory_in_mib(api: Api, tenant: Tenant, path: str):
    container, namespace = await tenant.app(), await tenant.namespace("project")
    units = "memory-unit=MiB" if path == NAMESPACE else ""
    identifier = namespace if path == NAMESPACE else container
    for spelling in (identifier, identifier.upper(), identifier.replace("-", "")):
        answer = await api.get(f"{path}/{spelling}", tenant, units, all_time=False)
        assert answer.status == 200
        assert answer.json["id"] == identifier
    shown = answer.json["recommendations"]
    assert shown["current"]["requests"]["memory"] == {"amount": 1024, "format": "Mi"}
    plots = shown["recommendation_terms"]["short_term"]["plots"]
    assert plots["datapoints"] == 4
    assert plots["plots_data"]["2023-06-02T06:45:00.000Z"] == {}
    assert plots["plots_data"]["2023-06-03T00:45:00Z"] == {
        "cpuUsage": {"min": 0.031, "q1": 0.064, "median": 0.064, "q3": 0.064, "max": 0.064, "format": ""},
        "memoryUsage": dict.fromkeys(("q1", "median", "q3", "max"), 493.99) | {"min": 0, "format": "Mi"},
    }


async def test_a_namespace_alone_has_its_memory_in_bytes(api: Api, tenant: Tenant):
    identifier = await tenant.namespace("project")
    shown = (await api.get(f"{NAMESPACE}/{identifier}", tenant, all_time=False)).json["recommendations"]
    assert shown["current"]["requests"]["memory"] == {"amount": CURRENT_BYTES, "format": "bytes"}
    point = shown["recommendation_terms"]["short_term"]["plots"]["plots_data"]["2023-06-03T00:45:00Z"]
    assert point["memoryUsage"]["format"] == "bytes"


@pytest.mark.parametrize("path", [OPENSHIFT, NAMESPACE, ROS_WORKLOADS])
@pytest.mark.parametrize(
    ("microsecond", "shown"), [(0, "00Z"), (120_000, "00.12Z"), (123_000, "00.123Z"), (123_456, "00.123456Z")]
)
async def test_the_last_report_has_the_digits_of_its_second_and_no_more(
    api: Api, tenant: Tenant, path: str, microsecond: int, shown: str
):
    await tenant.cluster("cluster", reported=MOMENT.replace(microsecond=microsecond))
    await (tenant.namespace("project") if path == NAMESPACE else tenant.app())
    assert (await api.get(path, tenant)).column("last_reported") == [f"2023-06-03T00:45:{shown}"]


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/api/ros/v1/nowhere", 404, "Not Found"),
        ("GET", "/status/", 404, "Not Found"),
        ("GET", f"{OPENSHIFT}/", 404, "Not Found"),
        ("POST", OPENSHIFT, 405, "Method Not Allowed"),
    ],
)
async def test_what_no_route_takes_is_told_as_by_upstreams_router(
    api: Api, method: str, path: str, status: int, message: str
):
    headers = {"X-Rh-Identity": identity("12345")}
    async with api.session.request(method, f"{api.url}{path}", headers=headers) as response:
        assert (response.status, await response.json()) == (status, {"message": message})


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        (f"{OPENSHIFT}/container/", 400, "bad recommendation_id"),
        (f"{OPENSHIFT}/namespace/", 400, "bad recommendation_id"),
        (f"{NAMESPACE}/1b77b73f-1d3e-43c6-9f55-bcd9fb6d1a0c/", 400, "bad recommendation-id for project"),
        (f"{CONTAINER}/1b77b73f-1d3e-43c6-9f55-bcd9fb6d1a0c/x", 400, "bad recommendation_id"),
        (f"{OPENSHIFT}/nonsense", 400, "bad recommendation_id"),
        (f"{CONTAINER}/1b77b73f", 400, "bad recommendation_id"),
        (f"{NAMESPACE}/nonsense", 400, "bad recommendation-id for project"),
        (f"{OPENSHIFT}/1b77b73f-1d3e-43c6-9f55-bcd9fb6d1a0c", 404, "unable to fetch recommendation"),
        (f"{CONTAINER}/1b77b73f-1d3e-43c6-9f55-bcd9fb6d1a0c", 404, "unable to fetch recommendation"),
        (f"{NAMESPACE}/1b77b73f-1d3e-43c6-9f55-bcd9fb6d1a0c", 404, "unable to fetch project recommendation"),
        (f"{OPENSHIFT}/1b77b73f-1d3e-43c6-9f55-bcd9fb6d1a0c?cpu-unit=x", 400, "invalid cpu unit"),
        (f"{NAMESPACE}/1b77b73f-1d3e-43c6-9f55-bcd9fb6d1a0c?memory-unit=x", 400, "invalid memory unit"),
        (
            f"{CONTAINER}/1b77b73f-1d3e-43c6-9f55-bcd9fb6d1a0c?true-units=x",
            400,
            "invalid value for true-units",
        ),
    ],
)
async def test_what_is_not_there_says_so(api: Api, tenant: Tenant, path: str, status: int, message: str):
    path, _, query = path.partition("?")
    answer = await api.get(path, tenant, query, all_time=False)
    assert (answer.status, answer.message) == (status, message)


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("limit=-2", "limit cannot be less than -1"),
        ("order_by=color", "invalid order_by value: color"),
        ("order_by=cpu_variation", "invalid order_by value: cpu_variation"),
        ("order_how=up", "invalid order_how value: up"),
        ("format=xml", 'invalid value for format: "xml"'),
        ("start_date=2023-6-1", "invalid start_date format, use YYYY-MM-DD: got '2023-6-1'"),
        ("end_date=2023-02-30", "invalid end_date format, use YYYY-MM-DD: got '2023-02-30'"),
        ("end_date=0000-01-01", "invalid end_date format, use YYYY-MM-DD: got '0000-01-01'"),
        ("cpu-unit=Cores", "invalid cpu unit"),
        ("memory-unit=MB", "invalid memory unit"),
        ("true-units=yes", "invalid value for true-units"),
        ("&".join(["project=a"] * 6), "too many project parameters, a maximum of 5 is allowed"),
        ("&".join(["exclude[cluster]=a"] * 6), "too many cluster parameters, a maximum of 5 is allowed"),
        ("&".join(["filter[exact:project]=a"] * 6), "too many project parameters, a maximum of 5 is allowed"),
        ("project=a&exclude[project]=a", "exclude and include cannot share values for project"),
        ("filter[exact:cluster]=a&exclude[cluster]=a", "exclude and exact cannot share values for cluster"),
        ("project=a%00b", "project: got a NUL character, expected text without one"),
    ],
)
async def test_a_bad_parameter_is_400_and_the_text_says_which(
    api: Api, tenant: Tenant, path: str, query: str, message: str
):
    answer = await api.get(path, tenant, query)
    assert (answer.status, answer.message) == (400, message)


@pytest.mark.parametrize(
    ("path", "query", "got", "expected"),
    [
        (OPENSHIFT, "workload_type=job", "workload_type: got 'job'", "statefulset"),
        (OPENSHIFT, "workload_type=namespace", "workload_type: got 'namespace'", "statefulset"),
        (
            OPENSHIFT,
            "filter[exact:workload_type]=Deployment",
            "filter[exact:workload_type]: got",
            "deployment,",
        ),
        (OPENSHIFT, "exclude[workload_type]=x", "exclude[workload_type]: got 'x'", "daemonset"),
        (ROS_WORKLOADS, "workload_type=job", "workload_type: got 'job'", "namespace"),
        (OPENSHIFT, "filter[projects]=a", "filter[projects]: no such filter", "filter[exact:project]"),
        (NAMESPACE, "exclude[workload]=a", "exclude[workload]: no such filter", "exclude[project]"),
        (OPENSHIFT, f"order_by={'x' * 500}", "invalid order_by value: xxx", "..."),
    ],
)
async def test_a_bad_filter_is_named_with_what_was_expected(
    api: Api, tenant: Tenant, path: str, query: str, got: str, expected: str
):
    answer = await api.get(path, tenant, query)
    assert answer.status == 400
    assert answer.message.startswith(got)
    assert expected in answer.message
    assert len(answer.message) < 400


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    ("query", "limit", "offset", "count"),
    [
        ("", 10, 0, 10),
        ("limit=3", 3, 0, 3),
        ("limit=3&offset=11", 3, 11, 1),
        ("offset=12", 10, 12, 0),
        ("limit=0", 0, 0, 0),
        ("limit=-1", -1, 0, 12),
        ("limit=-1&offset=5", -1, 5, 7),
        ("limit=abc&offset=x", 10, 0, 10),
        ("limit=&offset=", 10, 0, 10),
        ("offset=-4", 10, 0, 10),
        ("limit=99999999999999999999", 10, 0, 10),
        ("limit=9223372036854775807&offset=2", 1 << 53, 2, 10),
        ("offset=9223372036854775807", 10, 1 << 53, 0),
    ],
)
async def test_limit_and_offset_cut_the_page_and_never_the_count(
    api: Api, path: str, query: str, limit: int, offset: int, count: int
):
    tenant = await a_dozen(api)
    answer = await api.get(path, tenant, query)
    assert len(answer.data) == count
    assert answer.json["meta"] == {"count": 12, "limit": limit, "offset": offset}


DOZENS: dict[int, Tenant] = {}


async def a_dozen(api: Api) -> Tenant:
    """Twelve of everything, made once for a module's API."""
    if id(api) not in DOZENS:
        tenant = await api.tenant()
        cluster = await tenant.cluster("cluster")
        assert cluster
        for number in range(12):
            workload_id = await tenant.workload(project=f"p{number:02}", name=f"w{number:02}")
            await tenant.container(workload_id, f"c{number:02}")
        await tenant.database.execute(
            "insert into namespace_recommendation_sets (org_id, workload_id, namespace_name, monitoring_start_time,"
            " monitoring_end_time, recommendations) select w.org_id, w.id, w.namespace, r.monitoring_start_time,"
            " r.monitoring_end_time, r.recommendations from workloads w join recommendation_sets r"
            " on r.workload_id = w.id where w.org_id = $1",
            tenant.org_id,
        )
        DOZENS[id(api)] = tenant
    return DOZENS[id(api)]


@pytest.mark.parametrize("path", LISTS)
async def test_following_next_shows_everything_once_and_previous_leads_back(api: Api, path: str):
    tenant = await a_dozen(api)
    query = "limit=5&order_by=project&order_how=ASC&project=p"
    seen, links, pages = [], [], 0
    while True:
        answer = await api.get(path, tenant, query)
        seen += answer.column("project")
        links.append(answer.json["links"])
        pages += 1
        if "next" not in links[-1]:
            break
        assert links[-1]["next"].startswith(path + "?")
        query = urlsplit(links[-1]["next"]).query
    assert seen == [f"p{number:02}" for number in range(12)]
    assert pages == 3
    assert [dict(parse_qsl(urlsplit(link["last"]).query))["offset"] for link in links] == ["10"] * 3
    assert [dict(parse_qsl(urlsplit(link["first"]).query))["offset"] for link in links] == ["0"] * 3
    back = (await api.get(path, tenant, urlsplit(links[2]["previous"]).query)).column("project")
    assert back == seen[5:10]
    assert "previous" not in links[0]


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("direction", ["asc", "desc"])
async def test_pages_of_rows_that_tie_neither_overlap_nor_miss_one(api: Api, path: str, direction: str):
    tenant = await a_dozen(api)
    seen: list[Any] = []
    for offset in range(0, 12, 5):
        query = f"order_by=cluster&order_how={direction}&limit=5&offset={offset}"
        seen += (await api.get(path, tenant, query)).column("id")
    assert seen == sorted(seen)
    assert len(set(seen)) == 12


async def test_a_listing_longer_than_a_batch_is_streamed_whole(api: Api):
    tenant = await a_dozen(api)
    answer = await api.get(OPENSHIFT, tenant, "limit=-1&order_by=container&order_how=asc")
    assert "Content-Length" not in answer.headers
    assert answer.column("container") == [f"c{number:02}" for number in range(12)]
    short = await api.get(OPENSHIFT, tenant, "limit=4")
    assert "Content-Length" in short.headers


SORTED = {
    "cluster": ("a", "b"),
    "project": ("a", "b"),
    "workload": ("a", "b"),
    "workload_type": ("daemonset", "deployment"),
    "container": ("a", "b"),
}


@pytest.mark.parametrize("path", LISTS)
async def test_every_order_is_the_one_asked_for_with_ids_to_settle_ties(api: Api, path: str):
    tenant = await api.tenant()
    for number, name in enumerate("ba"):
        await tenant.cluster(name, reported=MOMENT + timedelta(hours=number))
        values: dict[str, Any] = dict.fromkeys(PERCENTAGE_COLUMNS, float(number))
        values["cpu_request_current"] = float(number)
        values["memory_request_current"] = float(number)
        workload_id = await tenant.workload(
            name, project=name, name=name, kind=SORTED["workload_type"][name == "b"], containers=(name,)
        )
        await tenant.container(workload_id, name, **values)
        await tenant.namespace(name, cluster=name, **values)
        await tenant.database.execute(
            "update workloads set metrics_upload_at = $1 where cluster_id = $2",
            MOMENT + timedelta(hours=number),
            tenant.clusters[name],
        )
    for key in COLLECTIONS[path].sorts:
        query = f"order_by={key}&workload_type=daemonset&workload_type=deployment"
        by_name = key in SORTED
        for direction in ("asc", "DESC"):
            answer = await api.get(path, tenant, f"{query}&order_how={direction}")
            expected = ["a", "b"] if by_name else ["b", "a"]
            wanted = expected if direction == "asc" else expected[::-1]
            assert answer.column("cluster_alias") == wanted, (key, direction)


async def test_what_is_null_comes_last_when_descending(api: Api, tenant: Tenant):
    workload_id = await tenant.workload()
    for name, value in (("none", None), ("low", -10.5), ("high", 7.25)):
        await tenant.container(workload_id, name, memory_variation_long_cost_pct=value)
    descending = await api.get(OPENSHIFT, tenant, "order_by=memory_variation_long_cost")
    assert descending.column("container") == ["high", "low", "none"]
    ascending = await api.get(OPENSHIFT, tenant, "order_by=memory_variation_long_cost&order_how=asc")
    assert ascending.column("container") == ["low", "high", "none"]


async def test_a_workload_is_shown_with_its_cluster(api: Api, tenant: Tenant):
    await tenant.cluster("test-cluster", cluster_uuid=UUID_A)
    workload_id = await tenant.workload(
        "test-cluster", project="Yuptoo-prod", name="servers", containers=("server-one", "Server-two")
    )
    (item,) = (await api.get(ROS_WORKLOADS, tenant)).data
    assert item.pop("experiment_name").startswith(tenant.org_id)
    assert item == {
        "id": workload_id,
        "project": "Yuptoo-prod",
        "workload": "servers",
        "workload_type": "deployment",
        "containers": ["server-one", "Server-two"],
        "metrics_upload_at": "2023-06-03T00:45:00Z",
        "cluster_uuid": UUID_A,
        "cluster_alias": "test-cluster",
        "source_id": "7",
        "last_reported": "2023-06-03T00:45:00Z",
    }


async def test_answers_are_counted_by_route_and_code(api: Api, tenant: Tenant):
    def seen(name: str, **labels: str) -> float:
        return REGISTRY.get_sample_value(name, labels) or 0.0

    route = f"{OPENSHIFT}/{{recommendation_id}}"
    bad = {"url": route, "http_code": "400"}
    before, timed = seen("rosocp_http_4xx_total", **bad), seen(DURATIONS, url=OPENSHIFT, code="200")
    unmatched = seen("rosocp_http_4xx_total", url="unmatched", http_code="404")
    await api.get(f"{OPENSHIFT}/nonsense", tenant)
    await api.get(OPENSHIFT, tenant)
    await api.get("/a/path/of/a/stranger")
    assert seen("rosocp_http_4xx_total", **bad) == before + 1
    assert seen(DURATIONS, url=OPENSHIFT, code="200") == timed + 1
    assert seen("rosocp_http_4xx_total", url="unmatched", http_code="404") == unmatched + 1


DURATIONS = "rosocp_request_duration_seconds_count"
