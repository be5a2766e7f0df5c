"""Runs a command's coroutine, and stops it on a signal at any moment, even while it starts."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager, suppress
from typing import Any, TypeVar

import uvloop

from headrace.cli.output import fail
from headrace.runtime.errors import HeadraceError

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run on uvloop with `reported`."""
    with reported():
        return uvloop.run(work)


@contextmanager
def reported() -> Iterator[None]:
    """End the command with one clear line if one of our errors reaches the top."""
    try:
        yield
    except HeadraceError as error:
        fail(str(error))
    except BaseExceptionGroup as group:
        ours, others = group.split(HeadraceError)
        if ours is None or others is not None:
            raise
        fail(str(_first(ours)))


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


def _first(group: BaseExceptionGroup[HeadraceError]) -> HeadraceError:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
