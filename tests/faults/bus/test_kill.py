"""kill -9 between an effect and the commit of its offset, at random points: the state is that of a single run."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiokafka.protocol.group import LeaveGroupRequest

from headrace.bus.admin import admin_client
from headrace.contracts.status import TERMINAL, PayloadStatus
from headrace.contracts.topics import PAYLOAD_STATUS
from tests.integration.bus.flow import Flow, Note, open_flow
from tests.waiting import answered, eventually

REPOSITORY = Path(__file__).parents[3]
MESSAGES = 1000
KILLS = 25


@asynccontextmanager
async def nursery(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.faults.bus.consuming_child",
        *arguments,
        cwd=REPOSITORY,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def bury(flow: Flow) -> None:
    """Tell the group that its dead members are gone, as the end of their sessions would after seconds."""
    async with admin_client(flow.settings) as client:
        coordinator = await answered(partial(client.find_coordinator, flow.group))
        answers: Any = await client.describe_consumer_groups([flow.group], coordinator)
        (described,) = answers[0].groups
        for member_id, *_ in described[5]:
            await client._client.send(coordinator, LeaveGroupRequest(flow.group, member_id))


@pytest.mark.row(20)
async def test_state_after_any_number_of_kills_equals_the_single_run(
    kafka_url: str, database: str, fresh: Callable[[str], str]
):
    async with open_flow(kafka_url, fresh, partitions=3) as flow:
        connection = await asyncpg.connect(database)
        await connection.execute(
            "CREATE TABLE effects (request_id text PRIMARY KEY, n int NOT NULL, deliveries int DEFAULT 1)"
        )
        prefix = fresh("r")
        notes = [Note(request_id=f"{prefix}-{n}", key=f"k{n % 20}", n=n) for n in range(MESSAGES)]
        await flow.send(notes)
        good = {note.request_id: note.n for note in notes if note.n % 50 != 7}

        arguments = (kafka_url, database, flow.topic.name, flow.group, flow.service, "4711")
        async with nursery(*arguments) as process:
            kills = 0
            for _ in range(KILLS):
                process.stdin.write(b"kill\n")
                status = int(await asyncio.wait_for(process.stdout.readline(), 90))
                assert status == -signal.SIGKILL
                kills += 1
                await bury(flow)
            process.stdin.write(b"live\n")
            await eventually(lambda: caught_up(flow), within_seconds=40)
            process.send_signal(signal.SIGTERM)
            assert int(await asyncio.wait_for(process.stdout.readline(), 90)) == 0

        rows = await connection.fetch("SELECT request_id, n, deliveries FROM effects")
        await connection.close()
        assert {row["request_id"]: row["n"] for row in rows} == good
        dead = {Note.from_json(record.value).request_id for record in await flow.dead()}
        assert dead == {note.request_id for note in notes} - good.keys()
        statuses = [PayloadStatus.from_json(item.value) for item in await flow.records(PAYLOAD_STATUS.name)]
        ended = {item.request_id for item in statuses if item.status in TERMINAL}
        assert {note.request_id for note in notes} <= ended
        again = sum(row["deliveries"] - 1 for row in rows)
        # Else no kill fell between an effect and its commit, and nothing was tested.
        assert again > 0
        print(f"{kills} kills, {again} effects repeated")


async def caught_up(flow: Flow) -> bool:
    return await flow.committed() == MESSAGES
