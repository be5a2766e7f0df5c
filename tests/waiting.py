"""Waiting for what happens elsewhere, without guessing how long it takes."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from aiokafka.errors import KafkaError

T = TypeVar("T")


async def eventually(
    condition: Callable[..., Any],
    *,
    within_seconds: float = 90.0,
    describe: str = "",
    every_seconds: float = 0.02,
) -> Any:
    """Call or await `condition` until it is truthy and return that; fail with the last value seen.

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


async def answered(question: Callable[[], Awaitable[T]], *, within_seconds: float = 60.0) -> T:
    """Ask a Kafka broker until it answers.

    A broker that was starved for some seconds is fenced for a moment, and no group has a coordinator meanwhile.
    """

    async def ask() -> tuple[T]:
        try:
            return (await question(),)
        except KafkaError as error:
            if not error.retriable:
                raise
            raise AssertionError(repr(error)) from error

    (answer,) = await eventually(ask, within_seconds=within_seconds, every_seconds=0.3)
    return answer
