"""Admission: how many uploads are stored at once and how much memory their bodies may hold, in all.

A place is asked for only when an upload has something to buffer, so that connections which trickle hold none; it is
asked for whole, up front, so that uploads never wait for one another with half a body in hand.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from services.ingress import metrics

# A longer queue than this would not be served in time anyway.
_MAX_WAITING: Final = 1024


class Busy(Exception):
    """No place was free in time; answered 429."""


class Budget:
    """A first-come-first-served semaphore of two weights: places and bytes."""

    def __init__(self, places: int, budget_bytes: int, wait_seconds: float) -> None:
        self._places = places
        self._bytes = budget_bytes
        self._total_bytes = budget_bytes
        self._wait_seconds = wait_seconds
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def reserve(self, size_bytes: int) -> AsyncIterator[None]:
        """Hold one place and ``size_bytes`` (at most all there are); raises `Busy`."""
        size = min(size_bytes, self._total_bytes)
        await self._acquire(size)
        try:
            yield
        finally:
            self._release(size)

    async def _acquire(self, size: int) -> None:
        if not self._waiting and self._take(size):
            return
        if len(self._waiting) >= _MAX_WAITING:
            raise Busy
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, granted))
        try:
            async with asyncio.timeout(self._wait_seconds):
                await granted
        except BaseException as error:
            if granted.done() and not granted.cancelled():
                self._release(size)
            else:
                # A release between our deadline and this line has taken it out already.
                with suppress(ValueError):
                    self._waiting.remove((size, granted))
                self._grant()
            if isinstance(error, TimeoutError):
                raise Busy from None
            raise

    def _take(self, size: int) -> bool:
        if not self._places or self._bytes < size:
            return False
        self._places -= 1
        self._bytes -= size
        metrics.UPLOADS_IN_FLIGHT.inc()
        metrics.BUFFERED_BYTES.inc(size)
        return True

    def _release(self, size: int) -> None:
        self._places += 1
        self._bytes += size
        metrics.UPLOADS_IN_FLIGHT.dec()
        metrics.BUFFERED_BYTES.dec(size)
        self._grant()

    def _grant(self) -> None:
        while self._waiting:
            size, granted = self._waiting[0]
            if not granted.cancelled() and not self._take(size):
                return
            self._waiting.popleft()
            if not granted.cancelled():
                granted.set_result(None)
