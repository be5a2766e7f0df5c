"""Admission: a bounded amount of a resource (places, bytes) that uploads share, first come, first served.

An upload requests its share only when it has data to buffer, so slow connections hold none. It requests the whole share
at once, so uploads never wait for one another with half a body in memory.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from prometheus_client import Gauge

# A longer queue would not be served in time.
_MAX_WAITING: Final = 1024


class Busy(Exception):
    """No share became free in time."""


class Budget:
    """A weighted semaphore; ``gauge`` shows the amount in use.

    A claim waits at most ``wait_seconds``, and gives up earlier if nothing is released for ``stall_seconds``.
    """

    def __init__(
        self,
        total: int,
        wait_seconds: float,
        gauge: Gauge,
        *,
        stall_seconds: float = math.inf,
        max_waiting: int = _MAX_WAITING,
    ) -> None:
        self._total = total
        self._free = total
        self._wait_seconds = wait_seconds
        self._max_waiting = max_waiting
        self._stall_seconds = stall_seconds
        self._released_at = 0.0
        self._gauge = gauge
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def reserve(self, amount: int) -> AsyncIterator[None]:
        """Hold an amount, limited to the total, within the block; raises `Busy`."""
        share = min(amount, self._total)
        await self._acquire(share)
        try:
            yield
        finally:
            self._release(share)

    async def _acquire(self, share: int) -> None:
        if not self._waiting and self._take(share):
            return
        if len(self._waiting) >= self._max_waiting:
            raise Busy
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((share, granted))
        try:
            async with asyncio.timeout(self._wait_seconds):
                await self._while_others_release(granted)
        except BaseException as error:
            if granted.done() and not granted.cancelled():
                self._release(share)
            else:
                # A release between the deadline and this line has already removed it.
                with suppress(ValueError):
                    self._waiting.remove((share, granted))
                self._grant()
            if isinstance(error, TimeoutError):
                raise Busy from None
            raise

    async def _while_others_release(self, granted: asyncio.Future[None]) -> None:
        began = time.monotonic()
        while not granted.done():
            left = max(began, self._released_at) + self._stall_seconds - time.monotonic()
            if left <= 0:
                raise Busy
            await asyncio.wait([granted], timeout=None if left == math.inf else left)
        await granted

    def _take(self, share: int) -> bool:
        if self._free < share:
            return False
        self._free -= share
        self._gauge.inc(share)
        return True

    def _release(self, share: int) -> None:
        self._free += share
        self._released_at = time.monotonic()
        self._gauge.dec(share)
        self._grant()

    def _grant(self) -> None:
        while self._waiting:
            share, granted = self._waiting[0]
            if not granted.cancelled() and not self._take(share):
                return
            self._waiting.popleft()
            if not granted.cancelled():
                granted.set_result(None)
