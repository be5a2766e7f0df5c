"""A message that ends its process, or its process' membership, is dead-lettered after so many times, unhandled."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from headrace.bus.consumer import Delivery
from headrace.bus.dead_letters import list_dead_letters
from headrace.runtime.settings import EngineSettings
from tests.faults.bus.test_kill import REPOSITORY, bury
from tests.integration.bus.flow import Flow, Note, open_flow
from tests.waiting import eventually

ENDS = 2
MESSAGES = 30
DEADLY = 7


async def test_a_message_that_kills_its_process_is_dead_lettered_and_no_other(
    kafka_url: str, fresh: Callable[[str], str], tmp_path: Path, request: pytest.FixtureRequest
):
    handled = tmp_path / "handled"
    async with open_flow(kafka_url, fresh, partitions=1) as flow:
        deaths = await die_until_all_ended(flow, kafka_url, handled, request, "within", DEADLY)
        # Once with nothing written down, then as often as is allowed.
        assert deaths == 1 + ENDS
        (letter,) = await list_dead_letters(flow.settings, flow.topic.dead_letters)
        assert Note.from_json(letter.value).n == DEADLY
        assert (letter.error_class, letter.attempts) == ("ProcessEnded", 0)
        assert letter.reason == f"was being handled when its process ended, {ENDS} times"
        assert {int(line) for line in handled.read_text().split()} == set(range(MESSAGES)) - {DEADLY}


async def test_a_message_that_had_ended_when_its_process_ended_is_not_blamed(
    kafka_url: str, fresh: Callable[[str], str], tmp_path: Path, request: pytest.FixtureRequest
):
    handled = tmp_path / "handled"
    async with open_flow(kafka_url, fresh, partitions=1) as flow:
        # Whoever comes after two such ends lets it run alone, and puts its end on record at once. It is the last, so
        # that nobody else's start does.
        assert await die_until_all_ended(flow, kafka_url, handled, request, "after", MESSAGES - 1) <= 3
        assert await list_dead_letters(flow.settings, flow.topic.dead_letters) == []
        assert {int(line) for line in handled.read_text().split()} == set(range(MESSAGES))


async def die_until_all_ended(
    flow: Flow, kafka_url: str, handled: Path, request: pytest.FixtureRequest, when: str, deadly: int
) -> int:
    """Start the child again each time it dies, until every message has ended; how often it died."""
    await flow.send([Note(request_id=f"r{n}", n=n) for n in range(MESSAGES)])
    arguments = (
        kafka_url,
        flow.topic.name,
        flow.group,
        flow.service,
        str(ENDS),
        str(handled),
        when,
        str(deadly),
    )
    deaths = 0
    while True:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.faults.bus.dying_child", *arguments, cwd=REPOSITORY
        )
        request.addfinalizer(partial(end_if_alive, child))
        died = asyncio.create_task(child.wait())
        done = asyncio.create_task(eventually(lambda: at_the_end(flow, MESSAGES), within_seconds=60))
        await asyncio.wait((died, done), return_when=asyncio.FIRST_COMPLETED)
        if done.done():
            await done
            break
        done.cancel()
        assert await died == -signal.SIGKILL
        deaths += 1
        assert deaths < 10
        await bury(flow)
    child.send_signal(signal.SIGTERM)
    # What is to die after a message that has ended may do so on its way out.
    assert await died in ({0} if when == "within" else {0, -signal.SIGKILL})
    return deaths


def end(pid: int) -> None:
    """Leave no child behind where the test fails; by its id, since its transport has gone with the loop."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def end_if_alive(child: asyncio.subprocess.Process) -> None:
    if child.returncode is None:
        end(child.pid)


async def at_the_end(flow: Flow, offset: int) -> bool:
    # The first group of a broker waits for its coordinator.
    with suppress(KafkaError):
        return await flow.committed() == offset
    return False


async def test_a_message_that_blocks_its_process_out_of_the_group_is_dead_lettered(flow: Flow):
    flow.settings = EngineSettings(kafka=flow.settings.kafka, process_ends=1)
    blocked = 0

    async def handle(note: Note, _delivery: Delivery) -> None:
        nonlocal blocked
        if note.n == DEADLY:
            blocked += 1
            # Longer than the session: the whole loop, so that no heartbeat goes out.
            threading.Event().wait(8)

    await flow.send([Note(request_id=f"r{n}", key="k", n=n) for n in range(DEADLY + 3)])
    async with flow.running(flow.consumer(handle)):
        await eventually(lambda: flow.counted("dead_lettered") == 1, within_seconds=90)
        await eventually(lambda: at_the_end(flow, DEADLY + 3), within_seconds=30)
    (letter,) = await list_dead_letters(flow.settings, flow.topic.dead_letters)
    assert Note.from_json(letter.value).n == DEADLY
    assert letter.reason == "was being handled when its process ended, 1 times"
    assert blocked == 2


async def test_orderly_stops_in_the_middle_of_a_message_do_not_count(flow: Flow):
    flow.settings = EngineSettings(kafka=flow.settings.kafka, process_ends=1)
    begun, go_on = asyncio.Event(), False

    async def handle(_note: Note, _delivery: Delivery) -> None:
        begun.set()
        if not go_on:
            await asyncio.sleep(60)

    await flow.send([Note(request_id="r", key="k")])
    for _ in range(3):
        begun.clear()
        consumer = flow.consumer(handle)
        run = asyncio.create_task(consumer.run())
        await asyncio.wait_for(begun.wait(), 30)
        await consumer.stop(3)
        await run
        assert await left(flow) == ""
    go_on = True
    async with flow.running(flow.consumer(handle)):
        await eventually(lambda: flow.counted("processed") == 1)
    assert await flow.dead() == []


async def left(flow: Flow) -> str:
    """The metadata beside the one offset that is committed."""
    from headrace.bus.admin import admin_client

    async with admin_client(flow.settings) as client:
        offsets = await client.list_consumer_group_offsets(flow.group)
    (found,) = {
        known.metadata
        for at, known in offsets.items()
        if known.offset >= 0 and isinstance(at, TopicPartition)
    }
    return found
