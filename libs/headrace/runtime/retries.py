"""The wait before a retry: full jitter within a budget. The policy does no I/O, so tests can check it exactly."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from headrace.runtime.errors import Retryable

T = TypeVar("T")


@dataclass(frozen=True)
class RetryPolicy:
    """A budget: at most ``attempts`` attempts and ``budget_seconds`` of waiting, whichever is reached first."""

    attempts: int = 3
    budget_seconds: float = 30.0
    base_seconds: float = 0.2
    cap_seconds: float = 10.0

    def delay_seconds(self, attempt: int, draw: float) -> float:
        """Return the wait after failed attempt number ``attempt`` (1 the first); ``draw`` is uniform in [0, 1)."""
        # 2**60 exceeds any cap; without the limit a long hold would overflow a float.
        ceiling = min(self.cap_seconds, self.base_seconds * 2.0 ** min(attempt - 1, 60))
        return draw * ceiling

    def next_delay_seconds(
        self, attempt: int, waited_seconds: float, draw: float | None = None
    ) -> float | None:
        """Return the wait before the next attempt, or None when the budget is spent."""
        if attempt >= self.attempts:
            return None
        delay = self.delay_seconds(attempt, _draw(draw))
        return delay if waited_seconds + delay <= self.budget_seconds else None

    def wait_seconds(self, error: Retryable, attempt: int, waited_seconds: float) -> float | None:
        """Return the same wait after ``error``, extended within the budget to what the engine requests."""
        delay = self.next_delay_seconds(attempt, waited_seconds)
        if delay is None or waited_seconds + error.retry_after_seconds > self.budget_seconds:
            return None
        return max(delay, error.retry_after_seconds)

    def hold_seconds(self, attempt: int, draw: float | None = None) -> float:
        """Return the wait during a hold, which has no budget and lasts as long as the engine is away."""
        return self.delay_seconds(attempt, _draw(draw))


def _draw(draw: float | None) -> float:
    return random.random() if draw is None else draw  # noqa: S311 -- jitter, no secret


async def retrying(policy: RetryPolicy, call: Callable[[], Awaitable[T]]) -> T:
    """Call the function until it succeeds, fails permanently, or spends the budget; time in failed calls counts too."""
    attempt, started = 1, time.monotonic()
    while True:
        try:
            return await call()
        except Retryable as error:
            delay = policy.wait_seconds(error, attempt, time.monotonic() - started)
            if delay is None:
                raise
            await asyncio.sleep(delay)
            attempt += 1
