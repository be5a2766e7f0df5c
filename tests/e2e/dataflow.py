"""The dataflow test of the ROS document, against any running stack: one line a step, non-zero at the first failure.

    python tests/e2e/dataflow.py [--ingress URL] [--tracker URL] [--archiver URL] [--kruize URL] [--ros-api URL]
                                 [--sources URL] [--s3 URL] [--kafka HOST:PORT] [--postgres URL]

What is not given comes from HEADRACE_INGRESS, HEADRACE_TRACKER and so on, else from the local stack that runs on
HEADRACE_DIRECTORY (.headrace), else from the documents' ports.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
from steps import ros, upload
from steps.flow import Flow

from headrace.local.stack import read_run
from headrace.objects.endpoint import S3Endpoint
from headrace.objects.store import ObjectStore
from headrace.samples import KINDS, SampleOptions

SEED_URLS = {
    "ingress": "http://localhost:3000",
    "tracker": "http://localhost:8003",
    "archiver": "http://localhost:8004",
    "kruize": "http://localhost:8080",
    "ros_api": "http://localhost:8001",
    "sources": "http://localhost:8002",
    "s3": "http://minioaccesskey:miniosecretkey@localhost:9000",
    "kafka": "localhost:29092",
    "postgres": "postgresql://postgres:postgres@localhost:15432/postgres",
}
# Where the registry has another name for it.
ROWS = {"tracker": "payload_tracker", "sources": "sources_api"}
STEP_SECONDS = 30.0


async def run(urls: dict[str, str]) -> int:
    # A seed of its own: the request id is always the same, the bytes are new each time.
    options = SampleOptions(seed=time.time_ns())
    async with AsyncExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="headrace-dataflow-"))
        timeout = aiohttp.ClientTimeout(total=STEP_SECONDS)
        http = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout))
        objects = await ObjectStore.open(S3Endpoint.parse(urls["s3"]))
        stack.push_async_callback(objects.close)
        archive, csv = KINDS["cost"].generate(Path(directory), options)
        flow = Flow(urls, http, objects, archive, csv, options.cluster())
        stack.push_async_callback(flow.close)
        for step in (*upload.STEPS, *ros.STEPS):
            if not await passes(step, flow):
                return 1
    return 0


async def passes(step: Callable[[Flow], Awaitable[None]], flow: Flow) -> bool:
    name, began = step.__name__.replace("_", " "), time.monotonic()
    try:
        async with asyncio.timeout(STEP_SECONDS):
            await step(flow)
    except Exception as error:  # noqa: BLE001 -- whatever went wrong is this step's failure
        reason = str(error) or type(error).__name__
        print(f"FAIL {name} {time.monotonic() - began:.3f} s: {reason}", flush=True)
        return False
    print(f"PASS {name} {time.monotonic() - began:.3f} s", flush=True)
    return True


def local_urls() -> dict[str, str]:
    """Of the stack that runs on the directory."""
    state = read_run(Path(os.environ.get("HEADRACE_DIRECTORY", ".headrace"))) or {}
    services = state.get("services", {})
    rows = {name: ROWS.get(name, name) for name in SEED_URLS}
    found = {name: services[row]["url"] for name, row in rows.items() if row in services}
    return found | {row["name"]: row["url"] for row in state.get("engines", ())}


def main() -> int:
    parser = argparse.ArgumentParser(description="Check a running stack, one line a step.")
    defaults = SEED_URLS | local_urls()
    for name in SEED_URLS:
        default = os.environ.get(f"HEADRACE_{name.upper()}") or defaults[name]
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, default=default, help=f"default: {default.rpartition('@')[2]}")
    given = vars(parser.parse_args())
    return asyncio.run(run({name: given[name].rstrip("/") for name in SEED_URLS}))


if __name__ == "__main__":
    sys.exit(main())
