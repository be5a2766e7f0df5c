"""One request at a time: what is asked of Kruize, what is stored, what the sender is told."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web

from headrace.contracts.kruize import timestamp
from headrace.contracts.ros import RecommendationRequest
from headrace.database.pool import Database
from headrace.runtime.errors import Rejected, Retryable
from headrace.web.peer import Peer
from headrace_services.ros_poller.client import KruizeClient, UnexpectedAnswer
from headrace_services.ros_poller.handlers import Poller
from headrace_services.ros_poller.rows import StoredRecommendation
from headrace_services.ros_poller.store import RecommendationStore
from tests.handling import delivery
from tests.integration.ros_poller.kruize import Kruize, answer, busy, refusal
from tests.integration.ros_poller.tables import ORG, add_usage, add_workloads, dump, name_of
from tests.unit.ros_poller import answers

END = datetime(2023, 6, 3, 0, 45, tzinfo=UTC)
DELIVERY = delivery(END)


def request(workload: int, end: datetime = END, **changes: Any) -> RecommendationRequest:
    metadata = {
        "Org_id": ORG,
        "Workload_id": workload,
        "Experiment_name": name_of(0),
        "Max_endtime_report": end.isoformat(),
        "ExperimentType": "container",
    }
    body = {"Request_id": "test-request-123", "Metadata": metadata | changes}
    return RecommendationRequest.from_json(orjson.dumps(body))


@dataclass
class Bench:
    poller: Poller
    workload: int

    async def poll(self, end: datetime = END, **changes: Any) -> str:
        return await self.poller.handle(request(self.workload, end, **changes), DELIVERY)


@pytest.fixture
async def bench(ros: Database, kruize: Kruize) -> AsyncIterator[Bench]:
    (workload,) = await add_workloads(ros)
    async with aiohttp.ClientSession() as session:
        client = KruizeClient(Peer(session, kruize.url, name="Kruize", timeout_seconds=30.0))
        yield Bench(Poller(RecommendationStore(ros), client, 24), workload)


async def test_a_first_recommendation_is_stored_with_its_columns_and_in_the_past(
    bench: Bench, ros: Database, kruize: Kruize
) -> None:
    kruize.respond = lambda _name, end: answer(
        answers.containers(web=answers.recommendations(end), idle=answers.NOTHING)
    )
    assert await bench.poll() == (
        "new: 1 container up to 2023-06-03T00:45:00Z; idle: not enough data: Kruize has less than 30 minutes"
        " in the day up to 2023-06-03T00:45:00Z"
    )
    assert kruize.asked == [(name_of(0), "2023-06-03T00:45:00.000Z")]
    tables = await dump(ros)
    (row,) = tables["recommendation_sets"]
    assert row["container_name"] == "web"
    assert row["monitoring_start_time"] == datetime(2023, 6, 2, 0, 45, tzinfo=UTC)
    assert row["monitoring_end_time"] == END
    assert row["cpu_request_current"] == 1
    assert row["memory_request_current"] == 1073741824
    assert row["cpu_variation_short_cost_pct"] == Decimal("-93.5")
    assert row["memory_variation_short_performance_pct"] == Decimal("-51.757")
    assert row["cpu_variation_long_cost_pct"] is None
    stored = orjson.loads(row["recommendations"])
    assert stored == StoredRecommendation.of("web", answers.data()).recommendations
    (past,) = tables["historical_recommendation_sets"]
    assert (past["org_id"], past["container_name"], past["monitoring_end_time"]) == (ORG, "web", END)
    assert past["recommendations"] == row["recommendations"]


async def test_a_recommendation_is_renewed_after_a_day_of_usage_and_not_before(
    bench: Bench, ros: Database, kruize: Kruize
) -> None:
    await bench.poll()
    before = await dump(ros)
    for hours, told in ((0, "already stored"), (23.9, "23 of 24 hours since the stored recommendation")):
        text = await bench.poll(END + timedelta(hours=hours))
        assert text == f"not due: {told}, up to 2023-06-03T00:45:00Z"
    assert await bench.poll(END - timedelta(days=3)) == (
        "not due: the stored recommendation is newer, up to 2023-06-03T00:45:00Z"
    )
    assert await dump(ros) == before
    assert len(kruize.asked) == 1

    assert await bench.poll(END + timedelta(days=1)) == "renewed: 1 container up to 2023-06-04T00:45:00Z"
    after = await dump(ros)
    (row,) = after["recommendation_sets"]
    assert row["id"] == before["recommendation_sets"][0]["id"]
    assert row["monitoring_end_time"] == END + timedelta(days=1)
    assert len(after["historical_recommendation_sets"]) == 2


async def test_the_first_day_of_a_month_renews_once(bench: Bench, kruize: Kruize) -> None:
    await bench.poll(datetime(2023, 6, 30, 23, 45, tzinfo=UTC))
    assert (await bench.poll(datetime(2023, 7, 1, 0, 0, tzinfo=UTC))).startswith("renewed: ")
    assert (await bench.poll(datetime(2023, 7, 1, 6, 0, tzinfo=UTC))).startswith("not due: 6 of 24 hours")
    assert len(kruize.asked) == 2


async def test_a_late_older_message_never_replaces_what_is_newer(bench: Bench, ros: Database) -> None:
    store = bench.poller.store
    workload = await store.workload(ORG, bench.workload, name_of(0), "container")
    assert workload
    newer, older = (
        StoredRecommendation.of("web", answers.data(timestamp(end))) for end in (END, END - timedelta(days=2))
    )
    assert await store.keep(workload, [newer]) == 1
    before = await dump(ros)
    assert await store.keep(workload, [older]) == 0
    assert await store.keep(workload, [newer]) == 0
    after = await dump(ros)
    assert after["recommendation_sets"] == before["recommendation_sets"]
    assert [row["monitoring_end_time"] for row in after["historical_recommendation_sets"]] == [
        END - timedelta(days=2),
        END,
    ]


async def test_namespaces_have_tables_of_their_own(bench: Bench, ros: Database, kruize: Kruize) -> None:
    kruize.respond = lambda _name, end: answer(answers.namespace("prod", answers.recommendations(end)))
    assert await bench.poll(ExperimentType="namespace") == "new: the namespace up to 2023-06-03T00:45:00Z"
    assert (await bench.poll(ExperimentType="namespace")).startswith("not due: already stored")
    tables = await dump(ros)
    assert tables["recommendation_sets"] == []
    (row,) = tables["namespace_recommendation_sets"]
    assert (row["org_id"], row["namespace_name"]) == (ORG, "prod")
    assert row["cpu_variation_short_cost_pct"] == Decimal("-93.5")
    (past,) = tables["historical_namespace_recommendation_sets"]
    assert past["recommendations"] == row["recommendations"]
    later = END + timedelta(days=1)
    assert (await bench.poll(later, ExperimentType="namespace")).startswith("renewed: the namespace")
    tables = await dump(ros)
    assert [row["monitoring_end_time"] for row in tables["namespace_recommendation_sets"]] == [later]
    assert len(tables["historical_namespace_recommendation_sets"]) == 2


@pytest.mark.parametrize(
    ("points", "told"), [(1, "15 of 30 minutes"), (0, "Kruize has less than 30 minutes")]
)
async def test_too_little_usage_is_told_in_minutes(
    bench: Bench, ros: Database, kruize: Kruize, points: int, told: str
) -> None:
    ends = [END - timedelta(days=2)] + [END - timedelta(minutes=15 * number) for number in range(points)]
    await add_usage(ros, bench.workload, "web", ends)
    kruize.respond = lambda _name, _end: answer(answers.containers(web=answers.NOTHING))
    assert (await bench.poll()).startswith(f"no recommendation: web: not enough data: {told}")
    assert (await dump(ros))["recommendation_sets"] == []


async def test_too_little_usage_of_a_namespace_is_told_in_minutes(
    bench: Bench, ros: Database, kruize: Kruize
) -> None:
    await add_usage(ros, bench.workload, "prod", [END], "namespace")
    kruize.respond = lambda _name, _end: answer(answers.namespace("prod", answers.NOTHING))
    assert await bench.poll(ExperimentType="namespace") == (
        "no recommendation: prod: not enough data: 15 of 30 minutes"
    )


async def test_a_recommendation_of_another_moment_is_not_stored(
    bench: Bench, ros: Database, kruize: Kruize
) -> None:
    older = "2023-06-03T00:30:00.000Z"
    kruize.respond = lambda _name, _end: answer(answers.containers(web=answers.recommendations(older)))
    assert await bench.poll() == (
        f"no recommendation: web: Kruize has usage only up to {older}, the request is for 2023-06-03T00:45:00.000Z"
    )
    assert (await dump(ros))["recommendation_sets"] == []


async def test_what_is_missing_from_a_recommendation_is_told(bench: Bench, kruize: Kruize) -> None:
    notice = {"323002": {"type": "notice", "message": "CPU usage is zero", "code": 323002}}
    idle = answers.engine(notifications=notice)

    def respond(_name: str, end: str) -> web.Response:
        return answer(
            answers.containers(
                web=answers.recommendations(end, answers.data(end, cost=idle, performance=idle)),
                other={"notifications": {"221001": {"message": "Number of pods cannot be zero"}}, "data": {}},
            )
        )

    kruize.respond = respond
    assert await bench.poll() == (
        "new: 1 container up to 2023-06-03T00:45:00Z; web: CPU usage is zero; other: Number of pods cannot be zero"
    )


async def test_a_workload_that_is_gone_ends_the_request(bench: Bench, ros: Database, kruize: Kruize) -> None:
    await ros.execute("delete from clusters")
    assert await bench.poll() == f"nothing to do: workload {bench.workload} no longer exists"
    assert kruize.asked == []


async def test_a_workload_of_another_organisation_is_left_alone(bench: Bench, kruize: Kruize) -> None:
    assert (await bench.poll(Org_id="another")).startswith("nothing to do: ")
    assert kruize.asked == []


async def test_a_workload_of_ones_own_does_not_open_another_experiment(bench: Bench, kruize: Kruize) -> None:
    another = "another|7|1b77b73f-1d3e-43c6-9f55-bcd9fb6d1a0c|prod|deployment|app-0"
    assert (await bench.poll(Experiment_name=another)).startswith("nothing to do: ")
    assert kruize.asked == []


async def test_no_usage_in_kruize_ends_the_request_with_kruizes_words(bench: Bench, kruize: Kruize) -> None:
    text = "No metrics available from 2023-05-19T00:45:00.000Z to 2023-06-03T00:45:00.000Z"
    kruize.respond = lambda _name, _end: refusal(400, text)
    assert await bench.poll() == f"no recommendation: {text}"


async def test_an_experiment_that_kruize_does_not_know_is_refused(bench: Bench, kruize: Kruize) -> None:
    kruize.respond = lambda name, _end: refusal(400, f"Not Found: experiment_name does not exist: {name}")
    with pytest.raises(Rejected, match="Kruize does not know the experiment: Not Found: experiment_name"):
        await bench.poll()


@pytest.mark.parametrize(
    ("response", "told"),
    [
        (lambda: refusal(409, "duplicate"), "409"),
        (lambda: refusal(400, "interval_end_time is mandatory"), "interval_end_time is mandatory"),
        (lambda: web.Response(status=201, text="<html>"), "<html>"),
        (lambda: answer([]), "without an experiment"),
        (
            lambda: answer([{"experiment_type": "container", "kubernetes_objects": []}]),
            "without an experiment",
        ),
        (lambda: answer({"message": "fine"}), "fine"),
        (
            lambda: answer(answers.namespace("prod", answers.NOTHING)),
            "has a namespace experiment with this name",
        ),
        (
            lambda: answer(
                answers.containers(web=answers.recommendations(moment={"monitoring_end_time": 1.5}))
            ),
            "recommendation for web cannot be read",
        ),
        (
            lambda: answer(answers.containers(web=answers.recommendations(moment={"current": {}}))),
            "recommendation for web cannot be read",
        ),
    ],
)
async def test_an_answer_that_should_not_be_is_neither_stored_nor_forgotten(
    bench: Bench, ros: Database, kruize: Kruize, response: Any, told: str
) -> None:
    kruize.respond = lambda _name, _end: response()
    with pytest.raises(UnexpectedAnswer, match=told):
        await bench.poll()
    assert (await dump(ros))["recommendation_sets"] == []


@pytest.mark.row(31)
async def test_a_kruize_that_is_busy_failing_or_slow_is_asked_again_later(
    bench: Bench, kruize: Kruize
) -> None:
    kruize.fault = busy
    with pytest.raises(Retryable, match="503"):
        await bench.poll()
    kruize.fault = None
    kruize.respond = lambda _name, _end: refusal(503, "database is down")
    with pytest.raises(Retryable, match="database is down"):
        await bench.poll()
    async with aiohttp.ClientSession() as session:
        away = KruizeClient(Peer(session, "http://127.0.0.1:9", name="Kruize"))
        with pytest.raises(Retryable, match="does not answer"):
            await replace(bench.poller, kruize=away).handle(request(bench.workload), DELIVERY)


async def test_a_partition_dropped_meanwhile_is_made_again(bench: Bench, ros: Database) -> None:
    await bench.poll()
    (partition,) = await ros.fetch(
        "select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid"
        " where i.inhparent = 'historical_recommendation_sets'::regclass"
    )
    await ros.execute(f"drop table {partition['relname']}")
    assert (await bench.poll(END + timedelta(days=1))).startswith("renewed: ")


async def test_what_came_of_the_last_poll_is_kept(bench: Bench, ros: Database, kruize: Kruize) -> None:
    query = "select workload_id, usage_end, kind, outcome, minutes, minutes_needed from poll_outcomes"
    await add_usage(ros, bench.workload, "web", [END])
    kruize.respond = lambda _name, _end: answer(answers.containers(web=answers.NOTHING))
    told = await bench.poll()
    (row,) = await ros.fetch(query)
    assert tuple(row) == (bench.workload, END, "not_enough_data", told, 15, 30)
    text = "No metrics available"
    kruize.respond = lambda _name, _end: refusal(400, text)
    later = END + timedelta(days=2)
    await bench.poll(later)
    # A late request changes nothing.
    await bench.poll(END - timedelta(days=1))
    (row,) = await ros.fetch(query)
    assert tuple(row)[1:] == (later, "no_usage", f"no recommendation: {text}", None, None)
    kruize.respond = lambda _name, end: answer(answers.containers(web=answers.recommendations(end)))
    assert await bench.poll(later + timedelta(days=1)) == (
        await ros.fetch_value("select outcome from poll_outcomes")
    )
    assert await ros.fetch_value("select kind from poll_outcomes") == "stored"
    await ros.execute("delete from clusters")
    assert await ros.fetch(query) == []
