"""Kruize away, slow, in trouble, forgetful or of another mind."""

import asyncio
from collections import Counter
from functools import partial
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from headrace.contracts.kruize import PERFORMANCE_PROFILE
from headrace.runtime import metrics
from headrace.runtime.errors import Rejected, Retryable
from headrace.web.errors import json_response
from headrace.web.peer import Peer
from headrace_services.ros_processor.client import CREATE_PATH, RESULTS_PATH, UnexpectedAnswer
from headrace_services.ros_processor.profile import ProfileKeeper
from tests.integration.ros_processor import usage
from tests.integration.ros_processor.conftest import CLUSTER, Bench
from tests.integration.ros_processor.peers import KruizePeer, error
from tests.serving import serving

APP = f"12345|7|{CLUSTER}|shop|deployment|app-"


def fail(path: str, status: int, at: str, _body: Any) -> web.Response | None:
    return error(status, "no") if at == path else None


def failures(path: str) -> float:
    return metrics.REGISTRY.get_sample_value("rosocp_kruize_api_exception_total", {"path": path}) or 0.0


def by_start(calls: list[Any]) -> list[Any]:
    """In the order they were begun; a few are under way at once, and overtake one another."""
    return sorted(calls, key=lambda call: (call[0]["experiment_name"], call[0]["interval_start_time"]))


async def test_usage_goes_out_in_calls_of_bounded_size_and_the_same_each_time(bench: Bench) -> None:
    event = await bench.event(usage.day(intervals=35, workloads=10))
    await bench.handle(event)
    calls = by_start(bench.kruize.called("/updateResults"))
    assert [len(call) for call in calls] == [100, 100, 100, 50]
    keys = [(record["experiment_name"], record["interval_start_time"]) for call in calls for record in call]
    assert keys == sorted(keys)
    bench.kruize.calls.clear()
    await bench.handle(event)
    assert by_start(bench.kruize.called("/updateResults")) == calls


async def test_a_record_is_what_kruize_reads(bench: Bench) -> None:
    await bench.handle(await bench.event(usage.written([usage.row(0)])))
    ((record,),) = bench.kruize.called("/updateResults")
    assert record["interval_start_time"] == "2023-06-02T00:00:01.000Z"
    assert record["interval_end_time"] == "2023-06-02T00:15:00.000Z"
    (workload,) = record["kubernetes_objects"]
    assert (workload["type"], workload["name"], workload["namespace"]) == ("deployment", "web", "shop")
    (container,) = workload["containers"]
    assert (container["container_name"], container["container_image_name"]) == ("web", "quay.io/shop/web:1")
    cpu = next(metric for metric in container["metrics"] if metric["name"] == "cpuUsage")
    numbers = {"sum": "0.5", "avg": "0.5", "min": "0.5", "max": "0.5", "format": "cores"}
    assert cpu["results"]["aggregation_info"] == numbers
    experiment = bench.kruize.called("/createExperiment")[-1][0]
    assert experiment == {
        "version": "1.0",
        "experiment_name": f"12345|7|{CLUSTER}|shop|deployment|web",
        "cluster_name": f"12345;{CLUSTER}",
        "performance_profile": "resource-optimization-openshift",
        "mode": "monitor",
        "target_cluster": "remote",
        "kubernetes_objects": [
            {
                "type": "deployment",
                "name": "web",
                "namespace": "shop",
                "containers": [
                    {
                        "container_image_name": "quay.io/shop/web:1",
                        "container_name": "web",
                        "recommendations": {},
                    }
                ],
            }
        ],
        "trial_settings": {"measurement_duration": "15min"},
        "recommendation_settings": {"threshold": "0.1"},
    }


async def test_usage_that_kruize_refuses_is_told_and_not_kept(bench: Bench) -> None:
    def refuse(record: Any) -> str | None:
        bad = (
            record["experiment_name"] == APP + "1"
            and record["interval_end_time"] > "2023-06-02T00:30:00.000Z"
        )
        return "cpuUsage: avg cannot be negative" if bad else None

    bench.kruize.refuse = refuse
    text = await bench.handle(await bench.event(usage.day(intervals=4, workloads=3)))
    assert text == (
        "3 workloads, 6 containers, 10 intervals sent; 2 intervals refused: 2 times 'cpuUsage: avg cannot be negative'"
    )
    rows = await bench.database.fetch(
        "select experiment_name, count(*) from workload_metrics join workloads on workloads.id = workload_id"
        " group by 1 order by 1"
    )
    assert [tuple(row) for row in rows] == [(APP + "0", 8), (APP + "1", 4), (APP + "2", 8)]
    ends = {name: body["Metadata"]["Max_endtime_report"] for name, body in bench.asked}
    assert ends[APP + "1"] == "2023-06-02T00:30:00Z"
    assert ends[APP + "2"] == "2023-06-02T01:00:00Z"


async def test_a_workload_of_which_kruize_takes_nothing_is_not_asked_for(bench: Bench) -> None:
    bench.kruize.refuse = lambda record: "no" if record["experiment_name"] == APP + "1" else None
    await bench.handle(await bench.event(usage.day()))
    assert [name for name, _ in bench.asked] == [APP + "0", APP + "2"]
    assert await bench.count("workloads") == 2


async def test_when_kruize_takes_nothing_the_message_ends_with_its_reason(bench: Bench) -> None:
    bench.kruize.refuse = lambda _record: "Version number mismatch found. Expected: 2 , Found: 1.0"
    with pytest.raises(Rejected, match="12 intervals refused: 12 times 'Version number mismatch"):
        await bench.handle(await bench.event(usage.day()))
    assert await bench.count("workload_metrics") == 0
    assert bench.producer.batches == []


async def test_an_experiment_that_kruize_refuses_leaves_the_others(bench: Bench) -> None:
    def fault(path: str, body: Any) -> web.Response | None:
        refused = path == "/createExperiment" and body[0]["experiment_name"] == APP + "1"
        return error(400, "Invalid deployment type: x") if refused else None

    bench.kruize.fault = fault
    text = await bench.handle(await bench.event(usage.day()))
    assert text == (
        "2 workloads, 4 containers, 8 intervals sent; 4 intervals refused: 4 times '400: Invalid deployment type: x'"
    )


async def test_an_answer_that_does_not_say_which_records_failed_stores_none(bench: Bench) -> None:
    bench.kruize.fault = lambda path, _body: (
        error(400, "something else", data=[{"experiment_name": "other"}])
        if path == "/updateResults"
        else None
    )
    with pytest.raises(Rejected, match="12 times '400: something else'"):
        await bench.handle(await bench.event(usage.day()))
    assert await bench.count("workload_metrics") == 0


@pytest.mark.parametrize(
    "text", ["Not Found: performance_profile does not exist: ", "Performance Profile doesn't exist: "]
)
async def test_a_missing_profile_is_made_and_the_call_repeated(bench: Bench, text: str) -> None:
    bench.kruize.profile_missing_text = text
    assert (
        await bench.handle(await bench.event(usage.day())) == "3 workloads, 6 containers, 12 intervals sent"
    )
    assert list(bench.kruize.profiles) == [PERFORMANCE_PROFILE]


async def test_a_profile_that_is_lost_when_usage_comes_is_made_again(bench: Bench) -> None:
    await bench.handle(await bench.event(usage.day(intervals=1)))
    bench.kruize.profiles.clear()

    def fault(path: str, _body: Any) -> web.Response | None:
        missing = path == "/updateResults" and not bench.kruize.profiles
        return error(500, 'Cannot invoke "x" because "performanceProfile" is null') if missing else None

    bench.kruize.fault = fault
    assert await bench.handle(await bench.event(usage.day(intervals=2))) == (
        "3 workloads, 6 containers, 6 intervals sent (3 already known to Kruize)"
    )


async def test_a_profile_that_stays_missing_is_no_endless_loop(bench: Bench) -> None:
    bench.kruize.fault = lambda path, _body: (
        error(400, "Not Found: performance_profile does not exist: x")
        if path == "/createExperiment"
        else None
    )
    with pytest.raises(Retryable, match="performance_profile does not exist"):
        await bench.handle(await bench.event(usage.day(workloads=1)))
    assert len(bench.kruize.called("/createExperiment")) == 2


async def test_a_kruize_that_lost_its_database_is_told_again(bench: Bench) -> None:
    await bench.handle(await bench.event(usage.day(intervals=2)))
    bench.kruize.lose_everything()
    text = await bench.handle(await bench.event(usage.day(intervals=3)))
    assert text == "3 workloads, 6 containers, 9 intervals sent"
    assert len(bench.kruize.experiments) == 3
    assert len(bench.kruize.results) == 9
    assert await bench.count("workload_metrics") == 18


@pytest.mark.row(31)
async def test_experiments_that_exist_without_a_row_are_fine(bench: Bench) -> None:
    await bench.handle(await bench.event(usage.day()))
    await bench.database.execute("delete from workload_metrics; delete from workloads")
    text = await bench.handle(await bench.event(usage.day()))
    assert text == "3 workloads, 6 containers, 12 intervals sent (12 already known to Kruize)"
    assert await bench.count("workload_metrics") == 24


@pytest.mark.row(31)
async def test_a_kruize_in_trouble_is_asked_again_later_and_nothing_is_lost(bench: Bench) -> None:
    event = await bench.event(usage.day())
    for path, status in [
        (CREATE_PATH, 500),
        (CREATE_PATH, 404),
        *((RESULTS_PATH, at) for at in (500, 503, 429, 404)),
    ]:
        before = failures(path)
        bench.kruize.fault = partial(fail, path, status)
        with pytest.raises(UnexpectedAnswer if status == 500 else Retryable, match=str(status)):
            await bench.handle(event)
        assert failures(path) > before
    assert await bench.count("workloads") == 0
    assert bench.producer.batches == []
    bench.kruize.fault = lambda _path, _body: None
    await bench.handle(event)
    assert await bench.count("workload_metrics") == 24
    assert len(bench.kruize.results) == 12


@pytest.mark.row(31)
async def test_a_kruize_that_hangs_is_given_up_within_the_deadline(bench: Bench) -> None:
    async def hang(request: web.Request) -> web.Response:
        await asyncio.sleep(600)
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", hang)
    async with serving(app) as url:
        files = bench.asking(url, timeout_seconds=0.2)
        async with asyncio.timeout(60):
            with pytest.raises(Retryable, match="Kruize does not answer: TimeoutError"):
                await bench.handle(await bench.event(usage.day(workloads=20)), files)


@pytest.mark.row(31)
async def test_trouble_after_some_calls_repeats_them_without_harm(bench: Bench) -> None:
    seen: Counter[str] = Counter()

    def fault(path: str, _body: Any) -> web.Response | None:
        seen[path] += 1
        return error(500, "no") if path == "/updateResults" and seen[path] == 3 else None

    bench.kruize.fault = fault
    event = await bench.event(usage.day(intervals=50, workloads=10))
    with pytest.raises(UnexpectedAnswer):
        await bench.handle(event)
    assert await bench.count("workload_metrics") == 0
    await bench.handle(event)
    assert await bench.count("workload_metrics") == 1000
    assert len(bench.kruize.results) == 500


async def test_few_calls_are_under_way_at_once(bench: Bench) -> None:
    running, most = 0, 0

    async def slow(request: web.Request) -> web.Response:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.02)
        running -= 1
        return json_response({}, 201)

    app = web.Application()
    app.router.add_post("/{path:.*}", slow)
    async with serving(app) as url:
        files = bench.asking(url, timeout_seconds=5.0)
        events = [await bench.event(usage.day(workloads=20)) for _ in range(2)]
        await asyncio.gather(*(bench.handle(event, files) for event in events))
    assert most == 4


async def keep(kruize: KruizePeer, version: float = 2.0, update: bool = True) -> ProfileKeeper:
    async with serving(kruize.application()) as url, aiohttp.ClientSession() as session:
        keeper = ProfileKeeper(
            Peer(session, url, name="Kruize", timeout_seconds=10.0), version=version, update=update
        )
        assert keeper.problem
        async with asyncio.timeout(90):
            await keeper.run()
        return keeper


async def test_the_profile_is_made_once_and_then_left_alone() -> None:
    kruize = KruizePeer()
    keeper = await keep(kruize)
    assert keeper.problem is None
    await keep(kruize)
    assert [path for _, path, _ in kruize.calls] == [
        "/listPerformanceProfiles", "/createPerformanceProfile", "/listPerformanceProfiles"
    ]  # fmt: skip


@pytest.mark.parametrize(("update", "sent"), [(True, 1), (False, 0)])
async def test_an_older_profile_is_replaced_where_that_is_wanted(update: bool, sent: int) -> None:
    kruize = KruizePeer()
    await keep(kruize, version=1.0)
    await keep(kruize, version=2.0, update=update)
    assert len(kruize.called("/updatePerformanceProfile")) == sent
    await keep(kruize, version=1.0)
    assert len(kruize.called("/updatePerformanceProfile")) == sent


async def test_a_kruize_that_is_away_at_first_gets_its_profile_later() -> None:
    kruize = KruizePeer()
    answers = iter([error(503, "starting"), error(500, "starting"), error(200, "not a list")])
    kruize.fault = lambda _path, _body: next(answers, None)
    keeper = await keep(kruize)
    assert keeper.problem is None
    assert list(kruize.profiles) == [PERFORMANCE_PROFILE]
