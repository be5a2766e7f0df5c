"""Runs a command's coroutine, and stops it on a signal at any moment, even while it starts."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run on uvloop."""
    return uvloop.run(work)


async def until_signal(
    context: AbstractAsyncContextManager[T], work: Callable[[T, asyncio.Event], Awaitable[None]]
) -> None:
    """Enter the context, do the work, leave in order; SIGTERM and Ctrl-C set the event.

    A signal while the context is being entered undoes what has started.
    """
    from headrace.service.process import stop_on_signals

    stop = stop_on_signals()
    async with AsyncExitStack() as stack:
        entering = asyncio.create_task(stack.enter_async_context(context))
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({entering, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopped.cancel()
        if not entering.done():
            entering.cancel()
            with suppress(asyncio.CancelledError):
                await entering
            return
        await work(entering.result(), stop)
