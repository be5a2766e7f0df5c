"""Where files come from, which of them are taken, what of them is kept."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, timedelta

import asyncpg
import pytest
from aiohttp import web

from headrace.contracts.ros import RosEvent
from headrace.runtime import metrics
from headrace.runtime.errors import Rejected, Retryable
from tests.integration.ros_processor import usage
from tests.integration.ros_processor.conftest import CLUSTER, NOW, Bench
from tests.serving import serving
from tests.waiting import eventually

PREFIX = f"12345|7|{CLUSTER}|shop"


def counted(name: str) -> float:
    return metrics.REGISTRY.get_sample_value(name) or 0.0


async def test_a_file_becomes_workloads_usage_experiments_and_requests(bench: Bench) -> None:
    text = await bench.handle(await bench.event(usage.day(intervals=4, workloads=3)))
    assert text == "3 workloads, 6 containers, 12 intervals sent"
    accounts = await bench.database.fetch("select org_id, account from rh_accounts")
    assert [tuple(row) for row in accounts] == [("12345", "12345")]
    clusters = await bench.database.fetch(
        "select source_id, cluster_uuid, cluster_alias, last_reported_at from clusters"
    )
    assert [tuple(row) for row in clusters] == [("7", CLUSTER, "test-cluster", NOW)]
    workloads = await bench.database.fetch("select * from workloads order by experiment_name")
    assert [row["experiment_name"] for row in workloads] == [f"{PREFIX}|deployment|app-{n}" for n in range(3)]
    first = workloads[0]
    assert (first["namespace"], first["workload_type"], first["workload_name"]) == (
        "shop",
        "deployment",
        "app-0",
    )
    assert (first["containers"], first["metrics_upload_at"]) == (["main", "side"], usage.end(3))
    stored = await bench.database.fetch(
        "select * from workload_metrics where workload_id = $1 and container_name = 'main' order by interval_end",
        first["id"],
    )
    assert [row["interval_end"] for row in stored] == [usage.end(n) for n in range(4)]
    assert (stored[0]["org_id"], stored[0]["metric_type"], stored[0]["namespace_name"]) == (
        "12345", "container", None
    )  # fmt: skip
    assert '"cpuUsage"' in stored[0]["usage_metrics"]
    assert sorted(bench.kruize.experiments) == [row["experiment_name"] for row in workloads]
    assert len(bench.kruize.results) == 12
    assert bench.asked == [
        (
            row["experiment_name"],
            {
                "Request_id": "request-1",
                "Metadata": {
                    "Org_id": "12345",
                    "Workload_id": row["id"],
                    "Experiment_name": row["experiment_name"],
                    "Max_endtime_report": "2023-06-02T01:00:00Z",
                    "ExperimentType": "container",
                },
            },
        )
        for row in workloads
    ]


@pytest.mark.row(14)
async def test_an_event_that_comes_again_changes_no_row_and_asks_again(bench: Bench) -> None:
    event = await bench.event(usage.day())
    await bench.handle(event)
    before, results = await bench.dump(), dict(bench.kruize.results)
    text = await bench.handle(event, at=NOW + timedelta(hours=6))
    assert text == "3 workloads, 6 containers, 12 intervals sent (12 already known to Kruize)"
    assert await bench.dump() == before
    assert bench.kruize.results == results
    assert bench.producer.batches[0] != []
    assert [item.value for item in bench.producer.batches[0]] == [
        item.value for item in bench.producer.batches[1]
    ]
    # What has a row is not created again.
    assert len(bench.kruize.called("/createExperiment")) == 3 + 3  # each once more after the profile was made


async def test_the_days_file_sent_again_with_more_in_it_adds_only_what_is_new(bench: Bench) -> None:
    await bench.handle(await bench.event(usage.day(intervals=2)))
    before = await bench.dump()
    later = NOW + timedelta(hours=6)
    await bench.handle(await bench.event(usage.day(intervals=3)), at=later)
    after = await bench.dump()
    assert set(before["workload_metrics"]) < set(after["workload_metrics"])
    assert len(after["workload_metrics"]) == 3 * 3 * 2
    assert await bench.database.fetch_value("select last_reported_at from clusters") == later
    await bench.handle(await bench.event(usage.day(intervals=2)), at=later + timedelta(hours=6))
    assert await bench.dump() == after


async def test_old_events_read_again_do_not_take_newer_workloads_back(bench: Bench) -> None:
    old = await bench.event(usage.written([usage.row(0, container_name="old")]))
    new = await bench.event(usage.written([usage.row(1, container_name="new")]))
    await bench.handle(old)
    await bench.handle(new, at=NOW + timedelta(hours=1))
    before = await bench.dump()
    await bench.handle(old)
    await bench.handle(new, at=NOW + timedelta(hours=1))
    assert await bench.dump() == before
    assert await bench.database.fetch_value("select containers from workloads") == ["new"]


@pytest.mark.row(13)
async def test_rows_dropped_are_told_and_counted(bench: Bench) -> None:
    before = counted("rosocp_invalid_datapoints_total")
    rows = [usage.row(0), usage.row(1), usage.row(2, owner_name="", owner_kind="")]
    text = await bench.handle(await bench.event(usage.written(rows)))
    assert text.startswith("1 workload, 1 container, 2 intervals sent; 1 row dropped: ")
    assert counted("rosocp_invalid_datapoints_total") == before + 1


@pytest.mark.row(13)
async def test_a_bad_file_does_not_stop_the_next(bench: Bench) -> None:
    before = counted("rosocp_invalid_csv_total")
    event = await bench.event(b"a,b\n1,2\n", usage.day(), names=("bad.csv", "good.csv"))
    text = await bench.handle(event)
    assert text.startswith("3 workloads, 6 containers, 12 intervals sent; bad.csv: ")
    assert "does not have all the required columns" in text
    assert counted("rosocp_invalid_csv_total") == before + 1


@pytest.mark.row(13)
async def test_when_no_file_is_of_use_the_message_ends_with_all_reasons(bench: Bench) -> None:
    event = await bench.event(b"a,b\n1,2\n", b"", names=("bad.csv", "empty.csv"))
    keys = event.object_keys or []
    missing = {"files": [*event.files, "http://s3/x/gone.csv"], "object_keys": [*keys, "gone.csv"]}
    with pytest.raises(Rejected) as caught:
        await bench.handle(RosEvent.model_validate(event.model_dump() | missing))
    reasons = str(caught.value).split("; ")
    assert [reason.split(": ")[0] for reason in reasons] == ["bad.csv", "empty.csv", "gone.csv"]
    assert bench.kruize.calls == []
    assert await bench.count("rh_accounts") == 0
    assert bench.producer.batches == []


async def test_a_message_without_files_is_fine(bench: Bench) -> None:
    assert await bench.handle(await bench.event()) == "no files"


async def test_a_url_that_leads_elsewhere_is_refused(bench: Bench) -> None:
    for url, reason in (
        (
            "http://evil.example/x.csv",
            "points to evil.example, which is neither Headrace's S3 nor listed in ROS_ALLOWED_HOSTS",
        ),
        ("http://169.254.169.254/latest/x.csv", "neither Headrace's S3 nor listed"),
        ("file:///etc/passwd", "neither Headrace's S3 nor listed"),
        ("http://minio:9001/ros-data/x.csv", "neither Headrace's S3 nor listed"),
        ("http://[::1/x.csv", "the url is malformed"),
        ("", "neither Headrace's S3 nor listed"),
    ):
        event = await bench.event(files=[url], object_keys=None)
        with pytest.raises(Rejected, match=reason):
            await bench.handle(event)


async def test_the_typed_message_of_the_document_is_taken(bench: Bench) -> None:
    """A plain URL under a container's name for S3, and neither provider nor object keys."""
    await bench.store.put(bench.bucket, "x_openshift_usage_report.0.csv", usage.day())
    event = RosEvent.from_json(
        b"""{
      "request_id": "test-request-123",
      "b64_identity": "eyJpZGVudGl0eSI6eyJhY2NvdW50X251bWJlciI6IjEyMzQ1In19",
      "metadata": {
        "account": "12345", "org_id": "12345", "source_id": "test-source-id",
        "cluster_uuid": "1b77b73f-1d3e-43c6-9f55-bcd9fb6d1a0c", "cluster_alias": "test-cluster"
      },
      "files": ["http://minio:9000/%s/x_openshift_usage_report.0.csv"]
    }"""
        % bench.bucket.encode()
    )
    assert await bench.handle(event) == "3 workloads, 6 containers, 12 intervals sent"
    first = min(bench.kruize.experiments)
    assert first == f"12345|test-source-id|{CLUSTER}|shop|deployment|app-0"
    assert bench.kruize.experiments[first]["cluster_name"] == f"12345;{CLUSTER}"


@pytest.mark.row(30)
async def test_a_presigned_url_of_our_own_is_read_even_after_it_expired(bench: Bench) -> None:
    event = await bench.event(usage.day())
    (key,) = event.object_keys
    url = bench.store.presign(bench.bucket, key, expires_seconds=1).replace("X-Amz-Date=20", "X-Amz-Date=19")
    text = await bench.handle(await bench.event(files=[url], object_keys=None))
    assert text == "3 workloads, 6 containers, 12 intervals sent"


@asynccontextmanager
async def hosting(status: int = 200, body: bytes = b"", stall: bool = False) -> AsyncIterator[str]:
    async def answer(_request: web.Request) -> web.StreamResponse:
        if stall:
            await asyncio.sleep(30)
        return web.Response(status=status, body=body)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with serving(app) as url:
        yield url


async def test_a_file_of_an_allowed_host_is_fetched(bench: Bench) -> None:
    async with hosting(body=usage.day()) as url:
        files = bench.with_hosts(url.removeprefix("http://"))
        # Another S3's key, which our bucket does not have.
        event = await bench.event(files=[f"{url}/x/ros.csv?X-Amz-Signature=s"], object_keys=["x/ros.csv"])
        assert await bench.handle(event, files) == "3 workloads, 6 containers, 12 intervals sent"


async def test_a_url_that_is_expired_or_gone_ends_with_its_reason(bench: Bench) -> None:
    before = counted("rosocp_csv_fetch_error_total")
    for status in (403, 404, 302):
        async with hosting(status=status) as url:
            event = await bench.event(files=[f"{url}/ros.csv?X-Amz-Signature=secret"], object_keys=None)
            with pytest.raises(
                Rejected, match=rf"^ros\.csv: the request for .* was answered {status}$"
            ) as caught:
                await bench.handle(event, bench.with_hosts("127.0.0.1"))
        assert "secret" not in str(caught.value)
    assert counted("rosocp_csv_fetch_error_total") == before + 3


async def test_a_host_that_is_away_busy_or_silent_is_asked_again_later(bench: Bench) -> None:
    async with hosting(status=503) as busy, hosting(stall=True) as silent:
        for url in (busy, silent, "http://127.0.0.1:1"):
            event = await bench.event(files=[f"{url}/ros.csv"], object_keys=None)
            with pytest.raises(Retryable):
                await bench.handle(event, bench.with_hosts("127.0.0.1"))


async def test_the_kind_of_a_file_is_in_its_columns_whatever_its_url_says(bench: Bench) -> None:
    event = await bench.event(
        usage.written([usage.namespace_row(n, namespace=name) for n in range(2) for name in ("ns1", "ns2")]),
        usage.written([usage.row(0)]),
        names=("plain.csv", "namespace/namespace.csv"),
    )
    text = await bench.handle(event)
    assert text == "3 workloads, 1 container, 5 intervals sent"
    rows = await bench.database.fetch(
        "select experiment_name, workload_type, namespace from workloads order by experiment_name"
    )
    assert [tuple(row) for row in rows] == [
        (f"12345|7|{CLUSTER}|namespace|ns1", "namespace", "ns1"),
        (f"12345|7|{CLUSTER}|namespace|ns2", "namespace", "ns2"),
        (f"{PREFIX}|deployment|web", "deployment", "shop"),
    ]
    stored = await bench.database.fetch(
        "select distinct container_name, namespace_name, metric_type from workload_metrics order by 2"
    )
    assert [tuple(row) for row in stored] == [
        (None, "ns1", "namespace"), (None, "ns2", "namespace"), ("web", None, "container")
    ]  # fmt: skip
    kinds = [body["Metadata"]["ExperimentType"] for _, body in bench.asked]
    assert kinds == ["namespace", "namespace", "container"]
    experiment = bench.kruize.experiments[f"12345|7|{CLUSTER}|namespace|ns1"]
    assert (experiment["experiment_type"], experiment["kubernetes_objects"]) == (
        "namespace", [{"namespaces": {"namespace": "ns1"}}]
    )  # fmt: skip


async def test_namespace_files_are_left_alone_where_that_is_asked(bench: Bench) -> None:
    off = replace(bench.files, namespaces=False)
    event = await bench.event(usage.written([usage.namespace_row(0)]), names=("ns.csv",))
    assert await bench.handle(event, off) == "ns.csv: ignored, because namespace recommendations are disabled"
    assert await bench.count("workloads") == 0


async def test_usage_of_years_ago_is_kept(bench: Bench) -> None:
    await bench.handle(await bench.event(usage.day()))
    partition = await bench.database.fetch_value(
        "select distinct tableoid::regclass::text from workload_metrics"
    )
    assert partition == "workload_metrics_2023_06_01"
    await bench.files.store.retire_partitions(NOW.astimezone(UTC) - timedelta(days=15))
    assert await bench.count("workload_metrics") == 24


async def test_a_partition_that_another_replica_retired_is_made_again(bench: Bench) -> None:
    await bench.handle(await bench.event(usage.day(intervals=1)))
    await bench.database.execute("drop table workload_metrics_2023_06_01")
    await bench.handle(await bench.event(usage.day(intervals=2)))
    assert await bench.count("workload_metrics") == 12


async def test_two_images_of_a_container_in_one_interval_are_one_row_of_usage(bench: Bench) -> None:
    rows = [usage.row(0, image_name="web:1"), usage.row(0, image_name="web:2", pod="web-2"), usage.row(1)]
    assert (
        await bench.handle(await bench.event(usage.written(rows)))
        == "1 workload, 1 container, 2 intervals sent"
    )
    assert await bench.count("workload_metrics") == 2


async def test_one_request_a_workload_names_the_latest_interval_of_all_files(bench: Bench) -> None:
    event = await bench.event(usage.written([usage.row(7)]), usage.written([usage.row(3)]))
    await bench.handle(event)
    ((_, body),) = bench.asked
    assert body["Metadata"]["Max_endtime_report"] == "2023-06-02T02:00:00Z"


async def test_a_payload_in_several_events_asks_once_after_the_last_as_if_it_were_one(bench: Bench) -> None:
    first = await bench.event(usage.written([usage.row(3), usage.row(1, workload="early")]), more_follow=True)
    second = await bench.event(usage.written([usage.row(2), usage.row(9, workload="late")]))
    for _ in range(2):
        # The first one again, as after a crash: what is kept is kept once.
        await bench.handle(first)
    assert bench.producer.batches == []
    await bench.handle(second)
    (asked,) = bench.producer.batches
    until = {key.rpartition("|")[2]: body["Metadata"]["Max_endtime_report"] for key, body in bench.asked}
    assert len(asked) == 3
    ends = {"web": 3, "early": 1, "late": 9}
    assert until == {name: f"{usage.end(number):%Y-%m-%dT%H:%M:%SZ}" for name, number in ends.items()}
    assert await bench.count("deferred_asks") == 0


async def test_what_a_payload_deferred_is_asked_for_though_its_last_event_is_of_no_use(bench: Bench) -> None:
    await bench.handle(await bench.event(usage.written([usage.row()]), more_follow=True))
    with pytest.raises(Rejected):
        await bench.handle(await bench.event(b"no csv"))
    assert [body["Metadata"]["ExperimentType"] for _, body in bench.asked] == ["container"]
    assert await bench.count("deferred_asks") == 0


async def test_an_event_of_no_use_amid_a_payload_asks_for_nothing_early(bench: Bench) -> None:
    await bench.handle(await bench.event(usage.written([usage.row(1)]), more_follow=True))
    with pytest.raises(Rejected):
        await bench.handle(await bench.event(b"no csv", more_follow=True))
    # An answer up to here would count as fresh for a day, and the rest of the payload would not be in it.
    assert bench.producer.batches == []
    await bench.handle(await bench.event(usage.written([usage.row(9)])))
    ((_, body),) = bench.asked
    assert body["Metadata"]["Max_endtime_report"] == f"{usage.end(9):%Y-%m-%dT%H:%M:%SZ}"
    assert await bench.count("deferred_asks") == 0


async def test_messages_of_the_same_workloads_at_once_do_not_block_each_other(bench: Bench) -> None:
    backwards = [
        usage.row(number, workload=f"app-{which}", container_name="main")
        for which in reversed(range(20))
        for number in range(10)
    ]
    files = [usage.day(intervals=20, workloads=20), usage.written(backwards)]
    events = [await bench.event(file) for file in files for _ in range(3)]
    texts = await asyncio.gather(*(bench.handle(event) for event in events))
    assert all(text.startswith("20 workloads") for text in texts)
    assert await bench.count("workloads") == 20
    assert await bench.count("workload_metrics") == 20 * 20 * 2


async def test_a_name_too_long_to_store_is_left_out_by_itself(bench: Bench) -> None:
    rows = [
        usage.row(0),
        usage.row(0, namespace="x", container_name="c" * 2000),
        usage.row(0, namespace="y", workload="w" * 2000),
    ]
    text = await bench.handle(await bench.event(usage.written(rows)))
    assert text == "1 workload, 1 container, 1 interval sent; 2 rows dropped: a name is too long"


async def test_names_of_a_cluster_too_long_to_store_are_refused(bench: Bench) -> None:
    event = await bench.event(usage.day(), metadata={"cluster_alias": "ü" * 1000, "source_id": "x" * 1000})
    with pytest.raises(Rejected, match="more than 2000 bytes"):
        await bench.handle(event)


async def test_a_connection_lost_half_way_leaves_nothing_half_done(database: str, bench: Bench) -> None:
    event = await bench.event(usage.day())
    await bench.files.store.make_partitions([usage.START])
    admin = await asyncpg.connect(database)
    waiting = "from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    async with admin.transaction():
        # The workloads' rows are written by then, the usage is not.
        await admin.execute("lock table workload_metrics in share mode")
        handling = asyncio.create_task(bench.handle(event))
        await eventually(lambda: admin.fetchval(f"select count(*) {waiting}"))
        await admin.execute(f"select pg_terminate_backend(pid) {waiting}")
        with pytest.raises(Retryable, match="PostgreSQL cannot serve"):
            await handling
    await admin.close()
    assert await bench.count("workloads") == 0
    assert len(bench.kruize.results) == 12
    assert bench.producer.batches == []
    await bench.handle(event)
    assert await bench.count("workload_metrics") == 24
    before = await bench.dump()
    await bench.handle(event)
    assert await bench.dump() == before


async def test_every_connection_cut_between_messages_is_no_failure_for_long(
    database: str, bench: Bench
) -> None:
    await bench.handle(await bench.event(usage.day(intervals=1)))
    admin = await asyncpg.connect(database)
    await admin.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
    )
    await admin.close()
    event = await bench.event(usage.day(intervals=2))
    for _ in range(20):
        with suppress(Retryable):
            await bench.handle(event)
            break
    assert await bench.count("workload_metrics") == 12
