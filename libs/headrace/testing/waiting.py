"""The two ways to call: from a test without an event loop, and from one with."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from headrace.runtime.errors import ConfigurationError

T = TypeVar("T")


def run_now(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end; raises ConfigurationError where an event loop runs, which would stand still."""
    __tracebackhide__ = True
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        # A loop of its own, which nobody else finds: other plugins keep theirs.
        with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
            try:
                return runner.run(work)
            except AssertionError as error:
                # It is about the payload: how it was waited for tells a reader nothing.
                raise error.with_traceback(None) from None
    work.close()
    raise ConfigurationError(
        "called in an async test: use headrace.aio, as in `await headrace.aio.upload(…)`"
    )
