"""A pool with one worker that hangs and one that waits; prints the numbers of its processes, then waits for its end."""

import asyncio
import json

import psutil
import uvloop

from headrace.rules.workers.pool import WorkerPool
from tests.unit.rules.worker_archives import CONFIG, at_work, bidding
from tests.waiting import eventually


async def main() -> None:
    pool = await WorkerPool.open(CONFIG, workers=2, deadline_seconds=600.0, max_rss_bytes=256 << 20)
    hanging = asyncio.create_task(pool.evaluate(bidding("hang")))
    await eventually(lambda: at_work(pool, 1))
    print(json.dumps([child.pid for child in psutil.Process().children(recursive=True)]), flush=True)
    await hanging


if __name__ == "__main__":
    uvloop.run(main())
