"""The life of one collector: its cycles, the waits between them, and signals."""

import asyncio
import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import aiohttp

from headrace_services.ols_collector.client import IngressClient
from headrace_services.ols_collector.credentials import Credentials
from headrace_services.ols_collector.handlers import Collection, stopped_within
from headrace_services.ols_collector.lock import DirectoryLock
from headrace_services.ols_collector.plan import Plan
from headrace_services.ols_collector.scrubbing import Scrubber, shown
from headrace_services.ols_collector.status import Outcome, Status

_log = logging.getLogger("ols_collector")


class Collector:
    """`run` works until `stop` is called.

    While another collector has the directory, it checks every ``lock_seconds`` whether that one has ended.
    """

    def __init__(self, plan: Plan, status: Status | None = None, *, lock_seconds: float = 5.0) -> None:
        self._lock_seconds = lock_seconds
        self._plan = plan
        self.status = status or Status()
        self._stop = asyncio.Event()
        self._ended = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._lock = DirectoryLock()

    async def run(self) -> None:
        """Run cycle after cycle; return after the first one if ``collection_interval`` is 0."""
        self._running = asyncio.current_task()
        scrubber = Scrubber()
        # The thread keeps the file system and compression off the event loop; a single one bounds the memory.
        thread = ThreadPoolExecutor(1, "ols-collector")
        try:
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=2)) as session:
                credentials = Credentials(self._plan, session, scrubber)
                client = IngressClient(self._plan, session, thread, scrubber)
                await self._work(Collection(self._plan, credentials, client, thread, self._stop))
        finally:
            # The thread may finish its current work without the loop waiting for it.
            thread.shutdown(wait=False, cancel_futures=True)
            self._lock.release()
            self._ended.set()

    async def stop(self, within_seconds: float) -> None:
        """Finish the current upload, or cancel it when the time is over; its files then stay."""
        self._stop.set()
        if self._running is None:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(within_seconds):
                await self._ended.wait()
        if not self._ended.is_set():
            _log.warning("the current upload is cancelled, its files stay")
            self._running.cancel()

    async def _work(self, collection: Collection) -> None:
        if wait := self._plan.initial_wait:
            _log.info("collection script started, waiting %g seconds before first collection", wait)
            if await stopped_within(self._stop, wait):
                await self._last(collection)
                return
        interval = self._plan.collection_interval
        while True:
            began = time.monotonic()
            has_run = await self._cycle(collection)
            if not interval:
                return
            if not has_run and await stopped_within(self._stop, min(interval, self._lock_seconds)):
                return
            if not has_run:
                continue
            left = began + interval - time.monotonic()
            if self._plan.retry_interval and self.status.problem:
                left = self._plan.retry_interval
            if left < 0:
                _log.warning("collection took longer than its interval of %g seconds", interval)
            if await stopped_within(self._stop, max(0.0, left)):
                await self._last(collection)
                return

    async def _last(self, collection: Collection) -> None:
        if self._plan.form.lives_on:
            _log.info("final collection before the end")
            await self._cycle(collection, last=True)

    async def _cycle(self, collection: Collection, *, last: bool = False) -> bool:
        """Run one cycle; return whether the directory belongs to this collector.

        A missing directory is looked for again in the next cycle.
        """
        if not os.path.isdir(self._plan.data_storage):  # noqa: PTH112, ASYNC240 -- one look
            self._wait("does not exist yet")
            return True
        if not self._plan.dry_run and not self._lock.take(self._plan.data_storage):
            self._wait("is in use by another collector")
            return False
        self.status.waiting_for = ""
        try:
            outcome = await collection.cycle(last=last)
        except OSError as error:
            # The disk may be full or the mount missing; the next cycle may succeed.
            outcome = Outcome(reason=f"{type(error).__name__}: {error.strerror}")
            _log.error("collection failed with error: %s", outcome.reason)
        self.status.ended(outcome)
        return True

    def _wait(self, why: str) -> None:
        text = f"data_storage '{shown(self._plan.data_storage)}' {why}"
        if self.status.waiting_for != text:
            _log.info("%s, waiting for it", text)
        self.status.waiting_for = text
