"""Reliable cancellation of tasks that loop over calls of client libraries."""

import asyncio
from typing import Any, Final

_AGAIN_SECONDS: Final = 1.0


async def end(*tasks: "asyncio.Task[Any]") -> None:
    """Cancel the tasks repeatedly until each has ended; ignore their exceptions.

    A single cancellation may be lost: in Python 3.11 `asyncio.wait_for`, which client libraries use, drops it if its
    inner call ends at the same moment. A looping task would then run for ever, and so would everything that awaits it.
    """
    while left := [task for task in tasks if not task.done()]:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=_AGAIN_SECONDS)
    await asyncio.gather(*tasks, return_exceptions=True)
