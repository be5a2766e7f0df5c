"""The whole local stack, engines and services, is killed at random times under load: every accepted id ends."""

import asyncio
import os
import random
import re
import sys
import time
from contextlib import suppress
from dataclasses import dataclass

import aiohttp
import psutil
import pytest

from headrace.local.ports import EnginePorts
from headrace.run_file import read_run
from tests.faults.sending import payloads, sending
from tests.faults.whole import all_ended, settings_of, verdict_of
from tests.processes import ROOT
from tests.waiting import eventually

# On a quiet machine; beside other tests a start waits for its turn.
PATIENCE_SECONDS = 120.0


# What the supervisor of each engine prints.
ENGINE_READY = re.compile(r"is ready after ([\d.]+) s at")


@dataclass(frozen=True)
class Started:
    """Until the stack was ready, and until its slowest engine was."""

    seconds: float
    engine_seconds: float


class LocalStack:
    """`headrace up` on a directory."""

    def __init__(self, directory):
        self.directory = directory / "data"
        self.log = directory / "up.log"
        self.base = EnginePorts.random().kafka
        self.process = None

    async def start(self):
        """Seconds until it says that it is ready and its ingress answers, and how many its slowest engine took."""
        began, said = time.monotonic(), self.log.stat().st_size if self.log.exists() else 0
        environment = os.environ | {"RULES_ENGINE_WORKERS": "1", "POLARS_MAX_THREADS": "1"}
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "headrace_services", "up", "--directory", str(self.directory),
                "--port-base", str(self.base), cwd=ROOT, env=environment, stdout=log, stderr=log,
            )  # fmt: skip
        await eventually(self.answers, within_seconds=PATIENCE_SECONDS, describe="the local stack is ready")
        seconds = time.monotonic() - began
        text = self.log.read_bytes()[said:].decode(errors="replace")
        return Started(seconds, max(float(found) for found in ENGINE_READY.findall(text)))

    async def answers(self):
        assert self.process.returncode is None, self.log.read_text(errors="replace")[-3000:]
        run = read_run(self.directory)
        if not run or run.get("pid") != self.process.pid or "ingress" not in run.get("services", {}):
            return False
        with suppress(aiohttp.ClientError, TimeoutError):
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session,
                session.get(f"{run['services']['ingress']['url']}/api/ingress/v1/version") as response,
            ):
                return response.status == 200
        return False

    async def kill(self):
        """Every process of it, in any order, and wait until none is left."""
        everybody = psutil.Process(self.process.pid).children(recursive=True)
        everybody.append(psutil.Process(self.process.pid))
        random.shuffle(everybody)
        for process in everybody:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        await self.process.wait()
        await eventually(lambda: not any(alive(process) for process in everybody), describe="all are gone")

    @property
    def url(self):
        return read_run(self.directory)["services"]["ingress"]["url"]


def alive(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.full
@pytest.mark.row(32)
@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_stack_killed_over_and_over_keeps_what_it_accepted(tmp_path, row):
    stack, draw = LocalStack(tmp_path), random.Random(32)
    prepared = await payloads(tmp_path, 2)
    first = await stack.start()
    restarts = []
    try:
        async with sending(stack.url, prepared, senders=3, tries=1000) as load:
            for _ in range(row["kills"]):
                accepted = len(load.acknowledged)
                await eventually(
                    lambda accepted=accepted: len(load.acknowledged) > accepted + 3,
                    within_seconds=PATIENCE_SECONDS,
                )
                await asyncio.sleep(draw.uniform(0, 2))  # the random moment of the kill
                await stack.kill()
                restarts.append(await stack.start())
        settings = settings_of(stack.directory)
        settled = await all_ended(settings, load, within_seconds=PATIENCE_SECONDS + 10 * row["kills"])
        # What was stored and could not be answered any more is archived too.
        verdict = await verdict_of(settings, load, among_others=True)
        assert verdict.broken == []
        beside = [each.seconds - each.engine_seconds for each in restarts]
        row.record(
            kills=len(restarts),
            first_start_seconds=first.seconds,
            slowest_restart_seconds=max(each.seconds for each in restarts),
            mean_restart_seconds=sum(each.seconds for each in restarts) / len(restarts),
            slowest_engine_seconds=max(each.engine_seconds for each in restarts),
            slowest_restart_beside_its_engines_seconds=max(beside),
            sent=len(load.sent),
            accepted=len(load.acknowledged),
            sends_repeated=verdict.counts["sends repeated"],
            last_ended_after_load_seconds=settled,
            lost=0,
        )
        if row.full:
            assert max(beside) <= row["restart_seconds"]
    finally:
        if stack.process.returncode is None:
            stack.process.terminate()
            await asyncio.wait_for(stack.process.wait(), 60)
