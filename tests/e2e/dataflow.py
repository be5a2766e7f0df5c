"""The dataflow test of the ROS document, against any running stack: one line a step, non-zero at the first failure,
with the last lines of the log that the step concerns.

    python tests/e2e/dataflow.py [--stack local|compose|kubernetes|urls] [--wait SECONDS]
                                 [--ingress URL] [--tracker URL] [--archiver URL] [--kruize URL] [--ros-api URL]
                                 [--sources URL] [--aggregator URL]
                                 [--s3 URL] [--kafka HOST:PORT] [--postgres URL]

What is not given comes from HEADRACE_INGRESS, HEADRACE_TRACKER and so on, else from the stack: the local one that runs
on HEADRACE_DIRECTORY (.headrace), or compose.yaml's with its variables; else it is as the documents have it.
"""

import argparse
import asyncio
import os
import socket
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import ResolveResult
from stacks import HEALTH_PATHS, ROWS, SEED_URLS, STACKS, Stack, last_lines
from steps import ros, rules, upload
from steps.flow import Flow

from headrace.objects.endpoint import S3Endpoint
from headrace.objects.store import ObjectStore
from headrace.samples import KINDS, SampleOptions

STEP_SECONDS = 30.0


# By which names presigned URLs may know S3 where only a stack's own containers know them.
S3_ALIASES = ("minio:9000",)


class Resolver(aiohttp.ThreadedResolver):
    """Knows S3 by the names it has inside a stack. A URL keeps its name, which is part of what is signed."""

    def __init__(self, s3: str) -> None:
        super().__init__()
        self._s3 = urlsplit(s3)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        if f"{host}:{port}" in S3_ALIASES:
            host, port = self._s3.hostname or host, self._s3.port or 80
        return await super().resolve(host, port, family)


async def unhealthy(urls: dict[str, str], seconds: float) -> str:
    """The first service that does not answer well within the time; empty when all do."""
    deadline = time.monotonic() + seconds
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=STEP_SECONDS)) as http:
        for name, path in HEALTH_PATHS.items():
            while not await is_healthy(http, urls[name] + path):
                if time.monotonic() > deadline:
                    return name
                await asyncio.sleep(0.5)
    return ""


async def is_healthy(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.get(url) as answer:
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False


async def run(stack: Stack, urls: dict[str, str], wait_seconds: float) -> int:
    if wait_seconds and (name := await unhealthy(urls, wait_seconds)):
        print(f"FAIL {name} is not healthy after {wait_seconds:.0f} s", flush=True)
        print(
            f"last lines of {name}:\n{await asyncio.to_thread(last_lines, stack, ROWS.get(name, name))}",
            flush=True,
        )
        return 1
    # A seed of its own: the request id is always the same, the bytes are new each time.
    options = SampleOptions(seed=time.time_ns())
    async with AsyncExitStack() as closing:
        directory = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="headrace-dataflow-")))
        timeout = aiohttp.ClientTimeout(total=STEP_SECONDS)
        connector = aiohttp.TCPConnector(resolver=Resolver(urls["s3"]))
        http = await closing.enter_async_context(aiohttp.ClientSession(timeout=timeout, connector=connector))
        objects = await ObjectStore.open(S3Endpoint.parse(urls["s3"]))
        closing.push_async_callback(objects.close)
        archive, csv = KINDS["cost"].generate(directory, options)
        (insights,) = KINDS["insights"].generate(directory, options)
        flow = Flow(urls, http, objects, archive, csv, options.cluster(), insights, options.cluster())
        closing.push_async_callback(flow.close)
        for part, step in (*upload.STEPS, *ros.STEPS, *rules.STEPS):
            if not await passes(step, flow):
                print(
                    f"last lines of {part}:\n{await asyncio.to_thread(last_lines, stack, part)}", flush=True
                )
                return 1
    return 0


async def passes(step: Callable[[Flow], Awaitable[None]], flow: Flow) -> bool:
    name, began = step.__name__.replace("_", " "), time.monotonic()
    try:
        async with asyncio.timeout(STEP_SECONDS):
            await step(flow)
    except Exception as error:  # noqa: BLE001 -- whatever went wrong is this step's failure
        reason = str(error) or (
            f"nothing within {STEP_SECONDS:.0f} s"
            if isinstance(error, TimeoutError)
            else type(error).__name__
        )
        print(f"FAIL {name} {time.monotonic() - began:.3f} s: {reason}", flush=True)
        return False
    print(f"PASS {name} {time.monotonic() - began:.3f} s", flush=True)
    return True


def main() -> int:
    kind = argparse.ArgumentParser(add_help=False)
    kind.add_argument("--stack", choices=STACKS, default="local", help="what kind of stack; default: local")
    stack = STACKS[kind.parse_known_args()[0].stack]
    parser = argparse.ArgumentParser(description="Check a running stack, one line a step.", parents=[kind])
    defaults = SEED_URLS | stack.urls()
    for name in SEED_URLS:
        default = os.environ.get(f"HEADRACE_{name.upper()}") or defaults[name]
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, default=default, help=f"default: {default.rpartition('@')[2]}")
    parser.add_argument(
        "--wait",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="let services take so long to answer at first",
    )
    given = vars(parser.parse_args())
    return asyncio.run(run(stack, {name: given[name].rstrip("/") for name in SEED_URLS}, given["wait"]))


if __name__ == "__main__":
    sys.exit(main())
