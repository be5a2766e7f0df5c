"""A process whose work blocks the event loop, then lets go of it: `stalling_child.py PORT SECONDS SECRET`."""

import asyncio
import sys
import time

from headrace.runtime.logging import configure
from headrace.runtime.settings import EngineSettings, ProcessSettings
from headrace.service.process import running


def block(seconds: float, password: str) -> None:
    time.sleep(seconds)
    assert password


async def handle(seconds: float, password: str) -> None:
    block(seconds, password)


async def main(port: int, seconds: float, secret: str) -> None:
    configure("INFO", "json")
    process = ProcessSettings(admin_port=port, stall_seconds=1.0)
    async with running([], EngineSettings(), process):
        asyncio.create_task(asyncio.sleep(3600), name=f"a neighbour, Bearer {secret}")  # noqa: RUF006
        print("ready", flush=True)
        # On a line from the test, so that it has asked before.
        await asyncio.to_thread(sys.stdin.readline)
        await asyncio.create_task(handle(seconds, secret), name="the blocking one")
        await asyncio.to_thread(sys.stdin.readline)


asyncio.run(main(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]))
