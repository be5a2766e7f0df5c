"""The poller as `headrace serve` runs it, on a topic of its own: faults, replicas, replays."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
from aiohttp import web

from tests.integration.ros_poller.flow import START, Flow
from tests.integration.ros_poller.kruize import answer, busy, one_container, refusal, silent
from tests.integration.ros_poller.tables import dump, name_of
from tests.unit.ros_poller import answers
from tests.waiting import eventually


def expected_days(flow: Flow, days: int) -> tuple[int, datetime, int]:
    """Present rows, their end, past rows, once so many days of every workload are through."""
    return len(flow.workloads), START + timedelta(days=days - 1), len(flow.workloads) * days


async def send_days(flow: Flow, days: int) -> None:
    for day in range(days):
        for number in range(len(flow.workloads)):
            await flow.send(number, START + timedelta(days=day))


async def is_complete(flow: Flow, days: int) -> None:
    count, end, past = expected_days(flow, days)
    tables = await dump(flow.ros)
    assert [row["monitoring_end_time"] for row in tables["recommendation_sets"]] == [end] * count
    assert len(tables["historical_recommendation_sets"]) == past


@pytest.mark.row(14)
async def test_replays_and_two_replicas_leave_equal_rows(flow: Flow) -> None:
    await send_days(flow, 3)
    async with flow.poller():
        await flow.all_ended()
    await is_complete(flow, 3)
    before = await dump(flow.ros)
    asked = len(flow.kruize.asked)
    async with flow.poller(replicas=2):
        endings = await flow.all_ended(2)
    assert await dump(flow.ros) == before
    assert len(flow.kruize.asked) == asked
    assert all(": not due: " in texts[1][1] for texts in endings.values())

    # The same requests into empty tables, by two replicas: what they choose anew aside, the same rows.
    await flow.ros.execute("truncate recommendation_sets, historical_recommendation_sets")
    async with flow.poller(replicas=2):
        await flow.all_ended(3)
    without_ids = {
        table: [{name: row[name] for name in row if name not in {"id", "updated_at"}} for row in rows]
        for table, rows in before.items()
    }
    assert await dump(flow.ros, whole=False) == without_ids


async def test_requests_in_any_order_never_leave_an_older_recommendation(flow: Flow) -> None:
    days = [(number, day) for number in range(8) for day in range(3)]
    Random(1).shuffle(days)
    for number, day in days:
        await flow.send(number, START + timedelta(days=day))
    async with flow.poller(replicas=2):
        await flow.all_ended()
    newest = START + timedelta(days=2)
    rows = (await dump(flow.ros))["recommendation_sets"]
    assert [row["monitoring_end_time"] for row in rows] == [newest] * 8


async def _terminate(flow: Flow) -> int:
    rows = await flow.ros.fetch(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and application_name = 'headrace-ros_poller'"
    )
    return len(rows)


@pytest.mark.row(24)
async def test_terminated_database_connections_lose_and_double_nothing(flow: Flow) -> None:
    await send_days(flow, 4)

    async def slowly() -> None:
        await asyncio.sleep(0.02)

    flow.kruize.fault = slowly
    terminated = 0
    async with flow.poller():
        # After every third request that ended, not by the clock: a busy machine too gets on between two cuts.
        for count in range(0, len(flow.sent), 3):
            await flow.ended(count)
            terminated += await _terminate(flow)
        endings = await flow.all_ended()
    assert terminated > 3
    assert {status for texts in endings.values() for status, _ in texts} == {"success"}
    await is_complete(flow, 4)
    assert await dead_letters_of(flow) == []


async def dead_letters_of(flow: Flow) -> list[Any]:
    return [record.value for record in await flow.dead_letters()]


@pytest.mark.parametrize("fault", [busy, silent], ids=["503", "no answer"])
@pytest.mark.row(31)
async def test_requests_wait_for_a_kruize_that_is_away(
    flow: Flow, fault: Callable[[], Awaitable[web.Response | None]]
) -> None:
    flow.kruize.fault = fault
    await send_days(flow, 1)
    async with flow.poller(GLOBAL_HTTP_CLIENT_TIMEOUT_SECS="0.3") as (host,):
        (context,) = host.contexts
        problem = await eventually(
            lambda: [text for text in context.health.problems.values() if "held since" in text],
            within_seconds=30,
            describe="a partition is held",
        )
        assert "Kruize" in problem[0]
        assert (await dump(flow.ros))["recommendation_sets"] == []
        flow.kruize.fault = None
        await flow.all_ended()
        assert context.health.problems == {}
    await is_complete(flow, 1)
    assert await dead_letters_of(flow) == []
    assert len(flow.kruize.asked) == 8


async def test_answers_that_should_not_be_end_in_the_dead_letters_and_the_rest_goes_on(flow: Flow) -> None:
    strange = {
        name_of(0): lambda: refusal(409, "duplicate"),
        name_of(1): lambda: web.Response(status=201, text="<html>"),
        name_of(2): lambda: answer([]),
        name_of(3): lambda: answer(answers.namespace("prod", answers.NOTHING)),
        name_of(4): lambda: refusal(400, f"Not Found: experiment_name does not exist: {name_of(4)}"),
    }
    flow.kruize.respond = lambda name, end: strange[name]() if name in strange else one_container(name, end)
    await send_days(flow, 1)
    broken = await flow.send(5, Workload_id=0)
    async with flow.poller():
        endings = await flow.all_ended()
    told = [endings[request_id][0] for request_id in flow.sent[:8]]
    assert [status for status, _ in told] == ["error"] * 5 + ["success"] * 3
    for number, words in enumerate(
        ("409", "<html>", "without an experiment", "namespace experiment with this name")
    ):
        assert told[number][1].startswith("dead-lettered: ")
        assert words in told[number][1]
    assert "Kruize does not know the experiment" in told[4][1]
    assert endings[broken][0][1].startswith("dead-lettered: ")
    # Each of the first four was tried three times; the unknown experiment once, and it is no dead letter.
    asked = [name for name, _ in flow.kruize.asked]
    assert [asked.count(name_of(number)) for number in range(5)] == [3, 3, 3, 3, 1]
    assert len(await dead_letters_of(flow)) == 5
    assert len((await dump(flow.ros))["recommendation_sets"]) == 3
