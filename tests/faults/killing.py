"""A stack whose every part may be killed: engines under supervision, services as processes that are brought back."""

import asyncio
import os
import random
import signal
from collections import defaultdict
from contextlib import suppress

from headrace.local.ports import EnginePorts
from headrace.local.shape import settings_of_ports
from headrace.local.stack import Engines
from headrace.local.supervisor import RestartBudget
from headrace.runtime.settings import EngineSettings
from headrace.service.initialise import initialise
from headrace_services.registry import BY_NAME, SERVICES
from tests.processes import ServiceProcess
from tests.waiting import eventually


class Stack:
    """Three engines under supervision and the named services, a process each."""

    def __init__(self, directory, names, **environment):
        self.directory = directory
        self.rows = [BY_NAME[name] for name in names]
        self.environment = environment
        self.ports = EnginePorts.random()
        self.base = self.ports.kafka
        self.engines = Engines(
            directory / "data", self.ports, budget=RestartBudget(restarts=1000, seconds=60)
        )
        self.services = {}
        self.kills = defaultdict(int)

    async def start(self, stack):
        await stack.enter_async_context(self.engines)
        environment = self.engines.environment() | settings_of_ports(SERVICES, self.base) | self.environment
        self.url = f"http://127.0.0.1:{environment['INGRESS_WEBPORT']}"
        self.settings = EngineSettings(
            kafka=environment["HEADRACE_KAFKA"],
            s3=environment["HEADRACE_S3"],
            postgres=environment["HEADRACE_POSTGRES"],
        )
        await initialise(self.settings, self.rows)
        for number, row in enumerate(self.rows):
            log = self.directory / f"{row.name}.log"
            process = ServiceProcess((row.name,), environment, self.base + 60 + number, log)
            self.services[row.name] = process
            stack.push_async_callback(process.stop)
        await asyncio.gather(*(process.start(ready_within_seconds=120) for process in self.services.values()))

    async def keep(self, process):
        """Bring a service back whenever it ends, as an orchestrator does."""
        while True:
            await process.process.wait()
            spawning = asyncio.create_task(process.spawn())
            try:
                await asyncio.shield(spawning)
            except asyncio.CancelledError:
                # Half made, nobody would know it and end it.
                await spawning
                raise

    async def kill(self, part):
        """kill -9 of what is up; the keepers bring services back, their supervisor the engines."""
        os.kill(
            await eventually(lambda: self._pid(part), within_seconds=60, describe=f"{part} up"),
            signal.SIGKILL,
        )
        self.kills[part] += 1

    def _pid(self, part):
        if part in self.services:
            process = self.services[part].process
            return process.pid if process.returncode is None else None
        row = next(row for row in self.engines.describe() if row.name == part)
        return row.pid if row.state == "ready" else None


def moments_of(kills, numbers):
    """Which part is to be killed at which of the numbers, drawn at random: `kills` has how often, by part."""
    parts = [part for part, times in kills.items() for _ in range(times)]
    return dict(zip(random.sample(range(numbers), len(parts)), parts, strict=True))


async def kill_at_random(stack, done, parts, every_seconds):
    """One part after another, at random times, until it is done."""
    order = []
    while not done.is_set():
        order = order or random.sample(parts, len(parts))
        with suppress(TimeoutError):
            async with asyncio.timeout(2 * every_seconds * random.random()):
                await done.wait()
        await stack.kill(order.pop())
