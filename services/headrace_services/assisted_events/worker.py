"""Finds ended installations and sends them: immediately on a notification, and periodically in any case."""

import asyncio
import random
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import asyncpg

from headrace.database.session import open_session
from headrace.runtime.cancellation import end
from headrace.runtime.errors import ConfigurationError, Retryable
from headrace.runtime.logging import get_logger
from headrace_services.assisted_events.handlers import Sender
from headrace_services.assisted_events.ledger import CHANNEL, Ledger
from headrace_services.assisted_events.settings import AssistedSettings
from headrace_services.assisted_events.store import Ended, InstallerStore

_log = get_logger(__name__)

_EARLIER: Final = "the installation ended before this service first read the installer's database"
_AWAY: Final = "the endpoint does not answer"
# More notifications than this cause one check of all clusters.
_MAX_NOTIFIED: Final = 1000
_RETRY_SECONDS: Final = 5.0
# The first wait before an unreachable endpoint is probed again; it doubles up to the interval.
_PROBE_AGAIN_SECONDS: Final = 15.0


@dataclass
class Worker:
    """The work of the leading replica.

    ``source`` is the installer's database (URL of its server, name), ``ours`` that of the ledger: they are the same
    unless a foreign installer is read.
    """

    installer: InstallerStore
    ledger: Ledger
    sender: Sender
    settings: AssistedSettings
    source: tuple[str, str]
    ours: tuple[str, str]
    problem: str | None = field(default=None, init=False)
    _notified: set[str] | None = field(default=None, init=False)
    _wake: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _unanswered: int = field(default=0, init=False)

    def wake(self) -> None:
        """Wake the worker, because something may be due."""
        self._wake.set()

    async def run(self) -> None:
        """Work until cancelled; waits for a database that is away."""
        tasks = [asyncio.create_task(self._listen(place)) for place in {self.source, self.ours}]
        tasks.append(asyncio.create_task(self._work()))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                await task
        finally:
            await end(*tasks)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        next_tick = loop.time()
        while True:
            self._wake.clear()
            try:
                if loop.time() >= next_tick:
                    self._log_tick()
                    self._notified = None
                    next_tick = loop.time() + self.settings.interval_seconds
                await self._look()
                wait = await self._send_due()
                self.problem = None
            except (Retryable, ConfigurationError, asyncpg.PostgresError) as error:
                # A missing table or right in the installer's database may also appear later.
                self.problem = str(error)
                self._notified = None
                _log.warning("upload_postponed", reason=str(error))
                wait = _RETRY_SECONDS * (0.5 + random.random())  # noqa: S311 -- jitter
            until_tick = next_tick - loop.time()
            try:
                async with asyncio.timeout(max(0.0, until_tick if wait is None else min(wait, until_tick))):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _log_tick(self) -> None:
        if self.settings.enabled:
            _log.info("Event upload is enabled. Running event upload")
        else:
            _log.info("Event uploading is not enabled")

    async def _look(self) -> None:
        """Record the ends of the notified clusters, or of all."""
        notified, self._notified = self._notified, set()
        if notified is not None and not notified:
            return
        try:
            since = await self.ledger.since(_place(self.source))
            async for ended in self.installer.ended(None if notified is None else sorted(notified)):
                await self._record(ended, since)
        except BaseException:
            self._notified = None
            raise

    async def _record(self, ended: list[Ended], since: datetime) -> None:
        if refusal := self.sender.consent.refusal():
            await self.ledger.record(ended, state="skipped", reason=refusal)
            return
        # Installations that ended before this service first ran are not sent, because there was no consent then.
        from_the_start = self.source == self.ours or self.settings.send_earlier
        earlier = [] if from_the_start else [item for item in ended if item.ended_at < since]
        if earlier:
            await self.ledger.record(earlier, state="skipped", reason=_EARLIER)
        await self.ledger.record([item for item in ended if item not in earlier])

    async def _send_due(self) -> float | None:
        """Send due archives one after another; return the seconds until more are due, None if nothing waits."""
        if refusal := self.sender.consent.refusal():
            # They end even while the endpoint is away: a later opt-in applies only to installations that end
            # afterwards.
            await self.ledger.skip_waiting(refusal)
            return None
        count, reachable = 0, False
        while not (pause := self.sender.pause_seconds):
            sending = await self.ledger.due()
            if sending is None:
                break
            if not reachable and not await self._probe():
                return self._probe_again_seconds()
            reachable = True
            count += await self.sender.send(sending)
        if count:
            _log.info(f"Uploaded events for {count} clusters")
        seconds = await self.ledger.seconds_to_next()
        return None if seconds is None else max(seconds, pause)

    async def _probe(self) -> bool:
        if await self.sender.endpoint.is_reachable():
            self._unanswered = 0
            return True
        if not self._unanswered:
            _log.info("Event uploading is not enabled", reason=_AWAY)
            await self.ledger.explain_waiting(_AWAY)
        self._unanswered += 1
        return False

    def _probe_again_seconds(self) -> float:
        longest = self.settings.interval_seconds
        seconds = min(longest, _PROBE_AGAIN_SECONDS * 2.0 ** min(self._unanswered - 1, 30))
        return seconds * (0.5 + random.random() / 2)  # noqa: S311 -- jitter

    async def _listen(self, place: tuple[str, str]) -> None:
        """Receive notifications of ends; after each new connection all clusters are checked."""
        while True:
            try:
                async with open_session(*place, service="assisted_events listener") as session:
                    await session.connection.add_listener(CHANNEL, self._on_notification)
                    self._notified = None
                    self.wake()
                    await session.keep()
            except (Retryable, ConfigurationError) as error:
                _log.warning("notifications_lost", reason=str(error))
            await asyncio.sleep(_RETRY_SECONDS * (0.5 + random.random()))  # noqa: S311 -- jitter

    def _on_notification(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        if self._notified is not None:
            self._notified.add(str(payload))
            if len(self._notified) > _MAX_NOTIFIED:
                self._notified = None
        self.wake()


def _place(source: tuple[str, str]) -> str:
    """Return a database's address without its credentials."""
    url, name = source
    return f"{url.rpartition('@')[2].partition('?')[0]} {name}"
