"""Ending tasks that loop over calls of client libraries."""

import asyncio
from typing import Any, Final

_AGAIN_SECONDS: Final = 1.0


async def end(*tasks: "asyncio.Task[Any]") -> None:
    """Cancel the tasks until each has ended; their exceptions are dropped.

    One cancellation may be lost: in Python 3.11 `asyncio.wait_for`, which client libraries use, drops it where its
    call ends at the same moment. A task that loops would then run for ever, and whoever waits for it too.
    """
    while left := [task for task in tasks if not task.done()]:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=_AGAIN_SECONDS)
    await asyncio.gather(*tasks, return_exceptions=True)
