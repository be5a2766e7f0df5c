import asyncio
import sys
from collections import Counter
from pathlib import Path

import pytest

from headrace.bus.consumer import Delivery
from headrace.bus.dead_letters import redrive
from headrace.runtime.errors import Poison
from tests.integration.bus.flow import Flow, Note
from tests.waiting import eventually

REPOSITORY = Path(__file__).parents[3]
LETTERS = 90


@pytest.mark.row(15)
async def test_a_redrive_killed_on_its_way_puts_each_letter_back_once_in_the_end(flow: Flow):
    async def refuse(_note: Note, _delivery: Delivery) -> None:
        raise Poison("bad")

    await flow.send(Note(request_id=f"r{n}", n=n) for n in range(LETTERS))
    async with flow.running(flow.consumer(refuse)):
        await eventually(lambda: flow.counted("dead_lettered") == LETTERS)

    midway = []
    for killed_at in (LETTERS // 6, LETTERS // 2):
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.faults.bus.redriving_child",
            flow.settings.kafka,
            flow.topic.dead_letters,
            cwd=REPOSITORY,
            stdout=asyncio.subprocess.PIPE,
        )
        await asyncio.wait_for(child.stdout.readline(), 90)
        await eventually(lambda: put_back(flow, killed_at), within_seconds=90)  # noqa: B023
        child.kill()
        await child.wait()
        midway.append(len(await flow.records(flow.topic.name)) - LETTERS)
    assert 0 < midway[0] < midway[1] < LETTERS

    await redrive(flow.settings, flow.topic.dead_letters)
    counted = Counter(Note.from_json(record.value).n for record in await flow.put_back(2 * LETTERS))
    assert counted == dict.fromkeys(range(LETTERS), 2)


async def put_back(flow: Flow, at_least: int) -> bool:
    return len(await flow.records(flow.topic.name)) - LETTERS >= at_least
