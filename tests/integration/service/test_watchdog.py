"""An event loop that stands still is seen by a thread, in a real process."""

import asyncio
import json
import re
import signal
import sys
from pathlib import Path

import aiohttp
import pytest

from headrace.local.ports import EnginePorts
from tests.waiting import eventually

CHILD = Path(__file__).with_name("stalling_child.py")
PROBE_SECONDS = 1.0


class Process:
    """The child, its lines read as they come."""

    def __init__(self, child: asyncio.subprocess.Process, port: int) -> None:
        self.child, self.port = child, port
        self.lines: list[str] = []
        self.reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        while line := await self.child.stdout.readline():
            self.lines.append(line.decode())

    def events(self, name: str) -> list[dict]:
        return [json.loads(line) for line in self.lines if f'"event":"{name}"' in line]

    def say(self) -> None:
        self.child.stdin.write(b"\n")

    async def get(self, path: str) -> tuple[int, str]:
        timeout = aiohttp.ClientTimeout(total=PROBE_SECONDS)
        url = f"http://127.0.0.1:{self.port}{path}"
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as answer:
            return answer.status, await answer.text()

    async def stalls(self) -> float:
        _, text = await self.get("/metrics")
        return float(re.search(r"^headrace_loop_stalls_total (\S+)$", text, re.MULTILINE)[1])


@pytest.fixture
async def process(request: pytest.FixtureRequest):
    port = EnginePorts.random().kafka
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, str(CHILD), str(port), str(request.param), "s3cret-of-a-test"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 22,
    )
    found = Process(child, port)
    try:
        await eventually(lambda: "ready\n" in found.lines)
        yield found
    finally:
        child.kill()
        await child.wait()
        await found.reading


@pytest.mark.parametrize("process", [6.0], indirect=True)
@pytest.mark.row(28)
async def test_a_blocked_loop_logs_every_stack_once_fails_its_probe_and_is_well_again(process: Process):
    assert (await process.get("/health/live"))[0] == 200
    assert await process.stalls() == 0
    process.say()
    await eventually(lambda: process.events("loop_stalled"), within_seconds=20)
    with pytest.raises((TimeoutError, aiohttp.ClientError)):
        await process.get("/health/live")

    await eventually(lambda: process.events("loop_goes_on"), within_seconds=30)
    assert (await process.get("/health/live"))[0] == 200
    assert await process.stalls() == 1
    (told,) = process.events("loop_stalled")
    assert told["level"] == "error"
    assert 1.0 <= told["seconds"] < 6.0
    loop = told["threads"].split("\nthread ")[0]
    assert "(the event loop)" in loop
    assert re.search(r"stalling_child\.py\", line \d+, in block\n +time\.sleep\(seconds\)", loop)
    assert "task the blocking one" in told["tasks"]
    assert "task a neighbour, Bearer ***" in told["tasks"]
    assert "s3cret" not in "".join(process.lines)
    assert process.events("loop_goes_on")[0]["stalled_seconds"] >= 5.0


@pytest.mark.parametrize("process", [0.0], indirect=True)
@pytest.mark.row(28)
async def test_a_process_that_was_stopped_is_not_taken_for_a_blocked_loop(process: Process):
    """A laptop that slept, a debugger, SIGSTOP: nothing ran, so the loop is not to blame."""
    process.child.send_signal(signal.SIGSTOP)
    await asyncio.sleep(3)  # the length is what is tried
    process.child.send_signal(signal.SIGCONT)
    await eventually(lambda: process.get("/health/live"), within_seconds=20)
    process.say()
    assert await process.stalls() == 0
    assert process.events("loop_stalled") == []
