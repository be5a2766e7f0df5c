"""The CSV says what the JSON says, whatever its length."""

import csv
import io
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.integration.ros_api.harness import (
    CONTAINER,
    NAMESPACE,
    OPENSHIFT,
    ROS_RECOMMENDATIONS,
    ROS_WORKLOADS,
    Api,
    Tenant,
)
from tests.integration.ros_api.samples import engine, recommendation

pytestmark = pytest.mark.asyncio(loop_scope="module")

HEADER = (
    "id,cluster_uuid,cluster_alias,container,project,workload,workload_type,last_reported,source_id,"
    "current_cpu_limit_amount,current_cpu_limit_format,current_memory_limit_amount,current_memory_limit_format,"
    "current_cpu_request_amount,current_cpu_request_format,current_memory_request_amount,"
    "current_memory_request_format,monitoring_end_time,recommendation_term,duration_in_hours,"
    "monitoring_start_time,recommendation_type,"
    "config_cpu_limit_amount,config_cpu_limit_format,config_memory_limit_amount,config_memory_limit_format,"
    "config_cpu_request_amount,config_cpu_request_format,config_memory_request_amount,"
    "config_memory_request_format,"
    "variation_cpu_limit_amount,variation_cpu_limit_format,variation_memory_limit_amount,"
    "variation_memory_limit_format,variation_cpu_request_amount,variation_cpu_request_format,"
    "variation_memory_request_amount,variation_memory_request_format"
)
TERMS: dict[str, Any] = {
    "medium_term": {
        "duration_in_hours": 168,
        "monitoring_start_time": "2023-05-27T00:45:00Z",
        "recommendation_engines": {"cost": engine(0.5, 3.5e8), "performance": engine(2.0004, 2e9)},
    },
    "long_term": {"duration_in_hours": 360, "recommendation_engines": {"performance": engine(1, 1073741824)}},
}


async def test_a_row_is_written_as_upstream_writes_it(api: Api, tenant: Tenant):
    await tenant.cluster('test, "cluster"', cluster_uuid="1b77b73f-1d3e-43c6-9f55-bcd9fb6d1a0c")
    identifier = await tenant.app(cluster='test, "cluster"')
    answer = await api.get(OPENSHIFT, tenant, Accept="text/csv")
    header, first, second, end = answer.text.split("\n")
    assert (header, end) == (HEADER, "")
    assert first == (
        f'{identifier},1b77b73f-1d3e-43c6-9f55-bcd9fb6d1a0c,"test, ""cluster""",main,project,app,deployment,'
        "2023-06-03T00:45:00Z,7,1,,1073741824,bytes,1,,1073741824,bytes,"
        "2023-06-03 00:45:00 +0000 UTC,short_term,24,2023-06-02 00:45:00 +0000 UTC,cost,"
        "0.064,,517986304,bytes,0.064,,517986304,bytes,"
        "-93.5,percent,-51.757,percent,-93.5,percent,-51.757,percent"
    )
    assert second == first.replace(",cost,", ",performance,")
    assert answer.headers["Content-Type"].startswith("text/csv")
    today = f"{datetime.now(UTC):%Y%m%d}"
    assert answer.headers["Content-Disposition"] == f"attachment; filename=recommendations-{today}.csv"


async def test_a_variation_that_is_missing_is_still_one_in_percent(api: Api, tenant: Tenant):
    stored = recommendation(short_term={"recommendation_engines": {"cost": {}}})
    await tenant.container(await tenant.workload(), stored=stored)
    [row] = (await api.get(OPENSHIFT, tenant, "format=csv&cpu-unit=millicores&memory-unit=MiB")).table
    for name in ("cpu_limit", "memory_limit", "cpu_request", "memory_request"):
        assert (row[f"variation_{name}_amount"], row[f"variation_{name}_format"]) == ("", "percent")
    assert (row["current_cpu_limit_format"], row["current_memory_limit_format"]) == ("m", "Mi")


@pytest.mark.parametrize(
    "alias",
    ['=HYPERLINK("http://evil";"x")', "+1", "-2+3|' /C calc'!A0", "@SUM(A1)", "\t=1", '"=1', "\uff1d1"],
)
async def test_a_name_is_no_formula_and_a_negative_number_stays_one(api: Api, tenant: Tenant, alias: str):
    await tenant.cluster(alias)
    await tenant.app(cluster=alias)
    answer = await api.get(OPENSHIFT, tenant, Accept="text/csv")
    header, *rows = csv.reader(io.StringIO(answer.text, newline=""))
    assert len(rows) == 2
    for row in rows:
        shown = dict(zip(header, row, strict=True))
        # A tab may part cells, so that what is behind it is a beginning too.
        assert shown["cluster_alias"] == "'" + alias.replace("\t=", "\t'=")
        assert shown["variation_cpu_limit_amount"] == "-93.5"
    as_json = await api.get(OPENSHIFT, tenant)
    assert as_json.json["data"][0]["cluster_alias"] == alias


@pytest.mark.parametrize("path", [OPENSHIFT, CONTAINER, ROS_RECOMMENDATIONS])
@pytest.mark.parametrize(
    "units", ["", "cpu-unit=millicores&memory-unit=MiB", "memory-unit=GiB&true-units=true"]
)
async def test_a_csv_has_what_the_json_list_has(api: Api, path: str, units: str):
    tenant = await varied(api)
    query = f"order_by=container&order_how=asc&{units}"
    # Eleven recommendations are more than one flush of four.
    as_csv = await api.get(path, tenant, f"format=csv&{query}")
    assert "Content-Length" not in as_csv.headers
    items = (await api.get(path, tenant, f"limit=-1&{query}")).data
    assert as_csv.table == [row for item in items for row in rows(item)]
    assert len(as_csv.table) == 11 * 5


def rows(item: dict[str, Any]) -> list[dict[str, str]]:
    """A JSON item in the file's columns, by another way than the service's."""
    shown = item["recommendations"]
    found = []
    for term in ("short_term", "medium_term", "long_term"):
        about = shown["recommendation_terms"][term]
        for name in ("cost", "performance"):
            if name not in about.get("recommendation_engines", {}):
                continue
            part = about["recommendation_engines"][name]
            row = {column: item[column] for column in HEADER.split(",")[:9]}
            row |= {
                "monitoring_end_time": go_time(shown["monitoring_end_time"]),
                "recommendation_term": term,
                "duration_in_hours": about["duration_in_hours"],
                "monitoring_start_time": go_time(about.get("monitoring_start_time", "")),
                "recommendation_type": name,
            }
            for prefix, config in (
                ("current", shown["current"]),
                ("config", part["config"]),
                ("variation", part["variation"]),
            ):
                for resource in ("cpu", "memory"):
                    for section in ("limit", "request"):
                        for what, value in config[f"{section}s"][resource].items():
                            row[f"{prefix}_{resource}_{section}_{what}"] = value
            found.append({column: str(row[column]) for column in HEADER.split(",")})
    return found


def go_time(text: str) -> str:
    return text.replace("T", " ").replace("Z", " +0000 UTC")


VARIED: dict[int, Tenant] = {}


async def varied(api: Api) -> Tenant:
    if id(api) not in VARIED:
        tenant = VARIED[id(api)] = await api.tenant()
        workload_id = await tenant.workload()
        for number in range(11):
            stored = recommendation(**TERMS)
            await tenant.container(workload_id, f"c{number:02}", stored=stored)
    return VARIED[id(api)]


async def test_a_csv_has_so_many_recommendations_whatever_the_limit_and_goes_on_at_the_offset(
    api: Api, tenant: Tenant
):
    workload_id = await tenant.workload()
    for number in range(33):
        await tenant.container(workload_id, f"c{number:02}")
    query = "format=csv&order_by=container&order_how=asc&limit=1"
    first = (await api.get(OPENSHIFT, tenant, query)).table
    rest = (await api.get(OPENSHIFT, tenant, f"{query}&offset=30")).table
    names = [row["container"] for row in first + rest]
    assert len(first) == 60
    assert names == [f"c{number:02}" for number in range(33) for _ in range(2)]


async def test_a_csv_of_nothing_is_its_header(api: Api, tenant: Tenant):
    answer = await api.get(OPENSHIFT, tenant, "format=csv")
    assert answer.text == HEADER + "\n"


async def test_what_is_missing_is_an_empty_cell(api: Api, tenant: Tenant):
    stored = {"recommendation_terms": {"short_term": {"recommendation_engines": {"cost": {}}}}}
    await tenant.container(await tenant.workload(), stored=stored)
    (row,) = (await api.get(OPENSHIFT, tenant, "format=csv")).table
    assert {row[name] for name in HEADER.split(",") if name.startswith(("current", "config"))} == {""}
    assert {row[name] for name in HEADER.split(",") if name.startswith("variation")} == {"", "percent"}
    assert row["duration_in_hours"] == row["monitoring_end_time"] == ""


@pytest.mark.parametrize(
    ("accept", "query", "kind"),
    [
        ("", "", "json"),
        ("", "format=CSV", "csv"),
        ("", "format=json", "json"),
        ("text/csv", "format=json", "csv"),
        ("text/csv; charset=utf-8", "", "csv"),
        ("application/json", "format=csv", "json"),
        ("*/*", "", "json"),
        ("application/json, text/plain, */*", "format=csv", "csv"),
        ("text/html", "", "json"),
    ],
)
@pytest.mark.parametrize("path", [OPENSHIFT, ROS_RECOMMENDATIONS])
async def test_the_accept_header_goes_before_the_format(
    api: Api, tenant: Tenant, path: str, accept: str, query: str, kind: str
):
    headers: dict[str, Any] = {"Accept": accept} if accept else {}
    answer = await api.get(path, tenant, query, **headers)
    assert answer.status == 200
    assert kind in answer.headers["Content-Type"]


@pytest.mark.parametrize("path", [NAMESPACE, ROS_WORKLOADS])
async def test_what_there_is_no_csv_of_is_406(api: Api, tenant: Tenant, path: str):
    for answer in (await api.get(path, tenant, Accept="text/csv"), await api.get(path, tenant, "format=csv")):
        message = "CSV format is not supported. Please use application/json"
        assert (answer.status, answer.message) == (406, message)
