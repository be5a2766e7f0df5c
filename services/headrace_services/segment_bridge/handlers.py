"""The periodic runs of the service: their times, their windows, and the record of their outcomes."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from headrace.runtime.errors import HeadraceError, Retryable
from headrace.runtime.logging import get_logger
from headrace.runtime.retries import RetryPolicy
from headrace_services.segment_bridge import metrics
from headrace_services.segment_bridge.client import Segment
from headrace_services.segment_bridge.dead_letters import DeadLetterFile, Graveyard
from headrace_services.segment_bridge.ledger import Ledger
from headrace_services.segment_bridge.map_files import Maps
from headrace_services.segment_bridge.run import RunOutcome, carry, transform_of
from headrace_services.segment_bridge.settings import BridgeSettings, SegmentSettings
from headrace_services.segment_bridge.store import DeadLetterTable, Runs, RunState
from headrace_services.segment_bridge.upload import Uploader

_log = get_logger(__name__)

# Two replicas that start within this time run once; a replica that starts alone runs at once.
_START_TOGETHER: Final = timedelta(seconds=60)
# How often a replica checks whether another one's run has ended.
_LOOK_SECONDS: Final = 15.0
_SECONDS_OF_A_DAY: Final = 86_400.0
_BACKOFF: Final = RetryPolicy(base_seconds=1.0, cap_seconds=60.0)

ReadMaps: TypeAlias = Callable[[], Awaitable[Maps]]
# Yields rows from a time on; problems of reading them are added to the list.
Fetch: TypeAlias = Callable[[datetime, list[str]], AsyncGenerator[list[bytes], None]]


@dataclass
class Schedule:
    """The schedule. ``last`` is the latest run of any replica, ``problem`` why this process' last run failed."""

    settings: BridgeSettings
    segment: SegmentSettings
    runs: Runs
    ledger: Ledger
    letters: Callable[[], DeadLetterTable]
    read_maps: ReadMaps
    fetch: Fetch
    problem: str | None = None
    last: dict[str, Any] | None = None

    async def run_for_ever(self) -> None:
        """Run at the start, then hourly; while the database is away, retry with increasing pauses."""
        starting, failures = True, 0
        while True:
            try:
                delay = await self.turn(starting=starting)
            except Retryable as error:
                failures += 1
                delay = _BACKOFF.hold_seconds(failures)
                _log.warning("run_postponed", reason=str(error))
            else:
                starting, failures = False, 0
            await asyncio.sleep(delay)

    async def turn(self, *, starting: bool) -> float:
        """Run if a run is due and no other replica is running; return the seconds until the next check."""
        async with self.runs.turn() as ours:
            state = await self.runs.state()
            if not ours:
                self._report(state)
                return min(_LOOK_SECONDS, self.settings.interval_seconds)
            if (wait := self.wait(state, starting=starting)) <= 0:
                await self._run(state)
                state = await self.runs.state()
                wait = self.wait(state, starting=False)
            self._report(state)
            return max(0.0, min(wait, self.settings.interval_seconds))

    def wait(self, state: RunState, *, starting: bool) -> float:
        """Return the seconds until the next run; a run that did not end was killed, and is due again."""
        if state.began_at is None or state.ended_at is None:
            return 0.0
        pause = timedelta(seconds=self.settings.interval_seconds)
        if starting:
            pause = min(pause, _START_TOGETHER)
        return (state.began_at + pause - state.now).total_seconds()

    async def _run(self, state: RunState) -> None:
        number = await self.runs.begin()
        outcome = RunOutcome()
        try:
            await self._carry(state, outcome)
        except HeadraceError as error:
            outcome.problems.append(str(error))
        await self.runs.end(number, outcome.as_dict(), succeeded=outcome.succeeded)
        metrics.RUNS.labels("succeeded" if outcome.succeeded else "failed").inc()
        for ended, count in outcome.records().items():
            metrics.RECORDS.labels(ended).inc(count)
        self.problem = None if outcome.succeeded else f"the last run: {'; '.join(outcome.problems)}"
        log = _log.info if outcome.succeeded else _log.error
        log("segment_run", run=number, **outcome.as_dict())
        if outcome.succeeded:
            retention_seconds = self.settings.retention_days * _SECONDS_OF_A_DAY
            await self.ledger.prune(retention_seconds)
            await self.runs.prune(retention_seconds)

    async def _carry(self, state: RunState, outcome: RunOutcome) -> None:
        maps = await self.read_maps()
        with ExitStack() as stack:
            graveyard: Graveyard = self.letters()
            if self.settings.dead_letters:
                graveyard = stack.enter_context(DeadLetterFile(self.settings.dead_letters))
            async with Segment(self.segment) as segment:
                uploader = Uploader(
                    segment,
                    graveyard,
                    max_batch_bytes=self.segment.batch_bytes,
                    concurrency=self.segment.concurrency,
                    ledger=self.ledger,
                    resend=self.segment.resend,
                )
                async with aclosing(self.fetch(self.earliest(state), outcome.problems)) as rows:
                    transform = transform_of(maps, graveyard)
                    await carry(rows, transform, uploader, graveyard, outcome)
                outcome.problems += transform.losses(self.segment.lost_share)

    def earliest(self, state: RunState) -> datetime:
        """Return the begin of the window, which extends over the windows of preceding failed runs."""
        window = timedelta(seconds=self.settings.window_seconds)
        earliest = state.now - window
        if state.good_began_at is not None:
            interval = timedelta(seconds=self.settings.interval_seconds)
            earliest = min(earliest, state.good_began_at + interval - window)
        return max(earliest, state.now - timedelta(seconds=self.settings.max_window_seconds))

    def _report(self, state: RunState) -> None:
        self.last = state.outcome
        metrics.FAILURES_IN_A_ROW.set(state.failures)
        if state.good_began_at is not None:
            metrics.LAST_SUCCESS.set(state.good_began_at.timestamp())
