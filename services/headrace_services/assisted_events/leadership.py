"""Ensures that only one of several replicas works: it holds an advisory lock in a separate session."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from headrace.database.session import Session, open_session
from headrace.runtime.cancellation import end
from headrace.runtime.errors import Retryable
from headrace.runtime.logging import get_logger

_log = get_logger(__name__)

_LOCK_KEY: Final = 0x0A55_157E
_ASK_EVERY_SECONDS: Final = 5.0


@dataclass
class Leadership:
    """``work`` runs while this replica leads and is cancelled as soon as the lock may be lost."""

    url: str
    database: str
    work: Callable[[], Awaitable[None]]
    tick_seconds: float
    problem: str | None = field(default=None, init=False)
    leads: bool = field(default=False, init=False)

    async def run(self) -> None:
        """Compete for the lock and work, until cancelled."""
        while True:
            try:
                async with open_session(self.url, self.database, service="assisted_events leader") as session:
                    await self._wait_for_lock(session)
                    self.problem = None
                    await self._lead(session)
            except Retryable as error:
                self.problem = str(error)
                _log.warning("leadership_lost", reason=str(error))
            await asyncio.sleep(_ASK_EVERY_SECONDS * random.random())  # noqa: S311 -- jitter

    async def _wait_for_lock(self, session: Session) -> None:
        said = -self.tick_seconds
        loop = asyncio.get_running_loop()
        while not await session.connection.fetchval("select pg_try_advisory_lock($1)", _LOCK_KEY):
            self.problem = None
            if loop.time() - said >= self.tick_seconds:
                said = loop.time()
                _log.info("Not a leader, exiting upload")
            await asyncio.sleep(_ASK_EVERY_SECONDS * (0.5 + random.random()))  # noqa: S311 -- jitter

    async def _lead(self, session: Session) -> None:
        self.leads = True
        working = asyncio.ensure_future(self.work())
        keeping = asyncio.create_task(session.keep())
        try:
            await asyncio.wait({working, keeping}, return_when=asyncio.FIRST_COMPLETED)
            for task in (working, keeping):
                if task.done():
                    await task
            raise Retryable("the connection that holds the lock is lost")
        finally:
            self.leads = False
            await end(working, keeping)
