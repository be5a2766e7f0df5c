"""What is deleted when an application is gone, and what is not."""

import asyncio
from contextlib import suppress
from datetime import UTC, timedelta

import pytest

from headrace.contracts.message import utc_now
from headrace.runtime.errors import Rejected, Retryable
from headrace_services.ros_processor.housekeeper import PartitionKeeper
from tests.integration.ros_processor import usage
from tests.integration.ros_processor.conftest import Bench
from tests.integration.ros_processor.peers import error

HISTORY = """
insert into historical_recommendation_sets
    (org_id, workload_id, container_name, monitoring_start_time, monitoring_end_time, recommendations)
select org_id, id, 'main', '2023-06-01', '2023-06-02', '{}' from workloads
"""


async def left(bench: Bench) -> dict[str, int]:
    tables = ("clusters", "workloads", "workload_metrics", "historical_recommendation_sets")
    return {table: await bench.count(table) for table in tables}


async def filled(bench: Bench, **metadata: str) -> None:
    await bench.handle(await bench.event(usage.day(intervals=2), metadata=metadata))


async def test_a_source_that_is_gone_takes_all_its_rows_and_experiments_along(bench: Bench) -> None:
    await filled(bench)
    await filled(bench, cluster_alias="renamed")
    await bench.files.store.make_partitions([usage.START])
    await bench.database.execute(HISTORY)
    assert await bench.destroy() == "2 clusters and 6 workloads deleted"
    assert set((await left(bench)).values()) == {0}
    assert bench.kruize.experiments == {}
    assert bench.sources.asked == ["/insights/platform/cost-management"]
    assert await bench.destroy() == "0 clusters and 0 workloads deleted"


async def test_others_keep_what_is_theirs(bench: Bench) -> None:
    await filled(bench)
    await filled(bench, source_id="8", cluster_uuid="2b77b73f-1d3e-43c6-9f55-bcd9fb6d1a0c")
    await filled(bench, org_id="678", cluster_uuid="3b77b73f-1d3e-43c6-9f55-bcd9fb6d1a0c")
    await bench.destroy()
    rows = await bench.database.fetch("select distinct org_id, experiment_name from workloads order by 2")
    assert {(row["org_id"], row["experiment_name"].split("|")[1]) for row in rows} == {
        ("12345", "8"),
        ("678", "7"),
    }
    assert {name.split("|")[0] for name in bench.kruize.experiments} == {"12345", "678"}
    assert await bench.count("workload_metrics") == 24


async def test_the_tenant_of_the_event_guards_the_cluster(bench: Bench) -> None:
    for tenant, header, deleted in (
        ("678", "", 0), ("12345", "678", 0), ("12345", "", 1), ("", "12345", 1), ("account-number", "12345", 1)
    ):  # fmt: skip
        await filled(bench)
        headers = {"x-rh-sources-org-id": header} if header else {}
        text = await bench.destroy(headers, tenant=tenant)
        assert text.startswith(f"{deleted} clusters")
        assert await bench.count("clusters") == 1 - deleted


async def test_an_event_that_names_no_tenant_deletes_nothing(bench: Bench) -> None:
    await filled(bench)
    with pytest.raises(Rejected, match="no tenant"):
        await bench.destroy(tenant="")
    with pytest.raises(Rejected, match="no source"):
        await bench.destroy(source_id=None)
    assert await bench.count("clusters") == 1


async def test_an_application_of_another_type_is_none_of_its_business(bench: Bench) -> None:
    await filled(bench)
    assert await bench.destroy(application_type_id=5) == "not a cost management event"
    assert await bench.count("clusters") == 1


async def test_a_sources_api_in_trouble_is_asked_again_later(bench: Bench) -> None:
    await filled(bench)
    for status in (500, 503, 404):
        bench.sources.status = status
        with pytest.raises(Retryable, match="Sources API"):
            await bench.destroy()
    bench.sources.status = 200
    bench.sources.application_type_id = "none"
    with pytest.raises(Retryable, match="names no id"):
        await bench.destroy()
    assert await bench.count("clusters") == 1


async def test_koku_s_own_event_is_understood(bench: Bench) -> None:
    await filled(bench)
    bench.sources.application_type_id = "0"
    text = await bench.destroy(
        id=None, source_id=None, application_type_id=None, tenant="",
        Id=3, Source_id=7, Application_type_id=0, Tenant="12345",
    )  # fmt: skip
    assert text == "1 clusters and 3 workloads deleted"


async def test_kruize_in_trouble_keeps_the_rows_until_it_is_well(bench: Bench) -> None:
    await filled(bench)
    bench.kruize.fault = lambda path, _body: error(500, "no") if path == "/createExperiment" else None
    with pytest.raises(Retryable, match="Kruize did not delete"):
        await bench.destroy()
    assert await bench.count("workloads") == 3
    bench.kruize.fault = lambda _path, _body: None
    assert await bench.destroy() == "1 clusters and 3 workloads deleted"


async def test_a_cluster_deleted_while_its_usage_comes_in_leaves_no_orphan(bench: Bench) -> None:
    event = await bench.event(usage.day(intervals=5, workloads=15))

    async def report() -> None:
        for _ in range(6):
            with suppress(Retryable):
                await bench.handle(event)

    async def delete() -> None:
        for _ in range(8):
            await bench.destroy()

    await asyncio.gather(report(), delete())
    await bench.destroy()
    assert set((await left(bench)).values()) == {0}


async def test_more_workloads_than_one_step_takes_are_all_deleted(bench: Bench) -> None:
    await bench.handle(await bench.event(usage.day(intervals=1, workloads=230)))
    assert await bench.destroy() == "1 clusters and 230 workloads deleted"
    assert set((await left(bench)).values()) == {0}


async def test_partitions_are_made_ahead_for_every_table_and_old_ones_dropped(bench: Bench) -> None:
    await filled(bench)
    keeper = PartitionKeeper(bench.files.store, timedelta(days=15))
    await keeper.keep()
    now = utc_now()
    times = "monitoring_start_time, monitoring_end_time, recommendations"
    for columns, values in (
        ("workload_metrics (usage_metrics, interval_start, interval_end, workload_id", "'[]', $1, $1, 1"),
        (f"historical_recommendation_sets (container_name, workload_id, {times}", "'x', 1, $1, $1, '{}'"),
        (
            f"historical_namespace_recommendation_sets (namespace_name, workload_id, {times}",
            "'x', 1, $1, $1, '{}'",
        ),
    ):
        statement = f"insert into {columns}, org_id) values ({values}, '1')"  # noqa: S608
        for moment in (now, now + timedelta(days=15)):
            await bench.database.execute(statement, moment)
    old = now.astimezone(UTC) - timedelta(days=40)
    await bench.database.execute(f"comment on table workload_metrics_2023_06_01 is '{old.isoformat()}'")
    await keeper.keep()
    assert await bench.count("workload_metrics") == 2
