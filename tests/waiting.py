"""Waiting for what happens elsewhere, without guessing how long it takes."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

T = TypeVar("T")


@overload
async def eventually(
    condition: Callable[[], Awaitable[T | None]],
    *,
    within_seconds: float = ...,
    describe: str = ...,
    every_seconds: float = ...,
) -> T: ...
@overload
async def eventually(
    condition: Callable[[], T | None],
    *,
    within_seconds: float = ...,
    describe: str = ...,
    every_seconds: float = ...,
) -> T: ...
async def eventually(
    condition: Callable[[], T | Awaitable[T]],
    *,
    within_seconds: float = 90.0,
    describe: str = "",
    every_seconds: float = 0.02,
) -> T:
    """Call `condition` until it is truthy and return that; fail with the last value seen.

    An AssertionError inside the condition counts as "not yet" and is shown at the end.
    """
    deadline = time.monotonic() + within_seconds
    while True:
        try:
            found = condition()
            last = await found if inspect.isawaitable(found) else found
            if last:
                return last
            seen = repr(last)
        except AssertionError as error:
            seen = f"AssertionError: {error}"
        if time.monotonic() >= deadline:
            what = describe or getattr(condition, "__name__", "the condition")
            raise AssertionError(f"{what}: not within {within_seconds:g} s; last seen: {seen}")
        await asyncio.sleep(every_seconds)
