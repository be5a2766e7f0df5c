"""One cycle: scan, split, pack and send each chunk, delete accepted files, keep the disk within its limit."""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from headrace.runtime.errors import HeadraceError, Retryable
from headrace.runtime.retries import RetryPolicy
from headrace_services.ols_collector.client import TOO_LARGE, IngressClient, NothingLeft, Refused
from headrace_services.ols_collector.credentials import Credentials, NoCredentials
from headrace_services.ols_collector.generations import CONTROL_FILE
from headrace_services.ols_collector.guard import Guard
from headrace_services.ols_collector.packing import Archive
from headrace_services.ols_collector.plan import Plan
from headrace_services.ols_collector.scanning import Scan, Scanner, is_past, remove_idle_directories
from headrace_services.ols_collector.scrubbing import shown
from headrace_services.ols_collector.snapshot import Chunk, Snapshot, Stamp, chunks
from headrace_services.ols_collector.status import Outcome

_log = logging.getLogger("ols_collector")

T = TypeVar("T")

_SHOWN_FILES: Final = 1000
# A file that is not JSON after this time is not being written any more.
_OLD_SECONDS: Final = 3600.0
_LONGEST_WAIT_SECONDS: Final = 480.0


class Stopped(Exception):
    """The collector is stopping; no new work begins."""


class Collection:
    """The work of one cycle. ``stop`` ends it between two attempts."""

    def __init__(
        self,
        plan: Plan,
        credentials: Credentials,
        client: IngressClient,
        thread: ThreadPoolExecutor,
        stop: asyncio.Event,
    ) -> None:
        self._plan = plan
        self._credentials = credentials
        self._client = client
        self._thread = thread
        self._stop = stop
        self._scanner = Scanner(plan.root, plan.form, plan.allowed_subdirs, plan.disabled_kinds)
        self._guard = Guard(self._scanner, plan.most_stored_bytes)
        self._policy = policy_of(plan)
        self._was_idle = False
        self._reported: set[str] = set()
        # With ``keep``: the files that this process has sent and need not send again.
        self._kept: dict[str, Stamp] = {}

    async def cycle(self, *, last: bool = False) -> Outcome:
        """Run one collection. ``last`` tries each chunk once even though the collector is stopping."""
        outcome, began = Outcome(), time.monotonic()
        if (self._plan.root / CONTROL_FILE).exists():
            _log.info("disabled by control file, skipping data collection")
            outcome.skipped = "disabled by control file"
            return outcome
        if self._plan.collects_nothing:
            _log.info("disabled by configuration, skipping data collection")
            outcome.skipped = "user data collection is disabled"
            return outcome
        scan = await self._threaded(self._scanner.scan)
        self._tell_of_incomplete(scan, outcome)
        snapshot = self._unsent(scan.complete)
        outcome.found = len(snapshot)
        try:
            await self._send_all(snapshot, outcome, last=last)
        finally:
            outcome.seconds = time.monotonic() - began
        if not self._plan.keep:
            await self._tidy(scan, outcome)
        return outcome

    async def _send_all(self, snapshot: Snapshot, outcome: Outcome, *, last: bool) -> None:
        where = shown(self._plan.data_storage)
        if not len(snapshot):
            # A collector that looks every few seconds logs an idle cycle only once.
            level = logging.DEBUG if self._was_idle else logging.INFO
            _log.log(level, "'%s' contains no data, nothing to do...", where)
            self._was_idle = True
            return
        self._was_idle = False
        split = chunks(snapshot, self._plan.chunk_limit_bytes)
        _log.info("collected %d files (splitted to %d chunks) from '%s'", len(snapshot), len(split), where)
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("collected files: %s", _listed(self._plan, snapshot))
        for number, chunk in enumerate(split, 1):
            if self._stop.is_set() and not last:
                outcome.reason = "the collector is stopping"
                return
            _log.info("uploading data chunk %d/%d", number, len(split))
            if not await self._deliver(snapshot, chunk, outcome, last=last):
                outcome.failed += sum(map(len, split[number:]))
                return

    async def _deliver(self, snapshot: Snapshot, chunk: Chunk, outcome: Outcome, *, last: bool) -> bool:
        """Deliver a chunk; return whether the next chunk is worth an attempt."""
        archive = Archive(self._plan.root, snapshot, chunk, marker=self._plan.form.marker)
        if self._plan.dry_run:
            await self._show(archive, outcome)
            return True
        try:
            size_bytes = await self._send(archive, outcome, last=last)
        except NothingLeft:
            return True
        except Refused as error:
            if error.status == TOO_LARGE and len(chunk) > 1:
                return await self._deliver_halves(snapshot, chunk, outcome, last=last)
            self._failed(chunk, outcome, error)
            return not error.concerns_the_sender
        except (Retryable, NoCredentials, Stopped) as error:
            self._failed(chunk, outcome, error)
            return False
        outcome.sent += len(archive.packed)
        outcome.bytes_sent += size_bytes
        await self._clear(archive, outcome)
        return True

    async def _deliver_halves(
        self, snapshot: Snapshot, chunk: Chunk, outcome: Outcome, *, last: bool
    ) -> bool:
        """Deliver the chunk in two halves, for a receiver with a smaller limit."""
        middle = (chunk.start + chunk.stop) // 2
        _log.info("chunk of %d files is too large for the ingress, sending it in two", len(chunk))
        for start, stop in ((chunk.start, middle), (middle, chunk.stop)):
            if not await self._deliver(snapshot, Chunk(start, stop, 0), outcome, last=last):
                outcome.failed += chunk.stop - stop
                return False
        return True

    async def _send(self, archive: Archive, outcome: Outcome, *, last: bool) -> int:
        """Send within the retry budget; return the sent bytes. Raises the last attempt's exception, or `Stopped`."""
        sender = self._plan.cluster_id or self._plan.data_storage
        request_id = await self._threaded(lambda: archive.request_id(sender))
        attempt, began = 1, time.monotonic()
        while True:
            outcome.attempts += 1
            try:
                return await self._attempt(archive, request_id, outcome)
            except NothingLeft:
                raise
            except HeadraceError as error:
                _log.error("attempt %d failed with error: %s", attempt, error)
                if not isinstance(error, Retryable):
                    raise
                delay = self._policy.wait_seconds(error, attempt, time.monotonic() - began)
                if delay is None or last:
                    _log.error("max retries reached, operation failed.")
                    raise
            _log.info("retrying in %d seconds...", round(delay))
            if await stopped_within(self._stop, delay):
                raise Stopped("the collector is stopping")
            attempt += 1

    async def _attempt(self, archive: Archive, request_id: str, outcome: Outcome) -> int:
        _log.info("sending collected data")
        access = await self._credentials.access()
        _log.debug("posting payload to %s", shown(self._plan.ingress_url))
        answered_id, size_bytes = await self._client.post(archive, access, request_id)
        _log.info("data uploaded with request_id: '%s'", answered_id)
        outcome.request_id = answered_id
        return size_bytes

    async def _clear(self, archive: Archive, outcome: Outcome) -> None:
        if self._plan.keep:
            self._kept |= {
                file.name: file.stamp for file in map(archive.snapshot.__getitem__, archive.packed)
            }
            return

        def remove() -> None:
            for path, gone in archive.remove_packed():
                if gone:
                    outcome.removed += 1
                    _log.debug("removing '%s'", shown(path))
                else:
                    _log.error("failed to remove '%s'", shown(path))

        await self._threaded(remove)
        _log.info("uploaded data removed")

    async def _show(self, archive: Archive, outcome: Outcome) -> None:
        size_bytes = await self._threaded(lambda: sum(map(len, archive.pieces())))
        _log.info(
            "dry run: %d files, %d bytes as %s (%s) would go to %s",
            len(archive.packed), size_bytes, self._plan.form.file_name, self._plan.content_type,
            shown(self._plan.ingress_url),
        )  # fmt: skip
        outcome.skipped = "dry run"

    def _failed(self, chunk: Chunk, outcome: Outcome, error: Exception) -> None:
        outcome.failed += len(chunk)
        outcome.reason = str(error)
        if isinstance(error, NoCredentials):
            _log.error("upload and data removal canceled")
        _log.warning("%d files stay for the next collection", len(chunk))

    async def _tidy(self, scan: Scan, outcome: Outcome) -> None:
        """Enforce the limit on disk even if nothing could be sent, because an absent ingress must not fill the disk."""
        outcome.discarded = await self._threaded(self._guard.enforce)
        if scan.empty_directories:
            names = scan.empty_directories
            await self._threaded(lambda: remove_idle_directories(self._plan.root, names))

    def _unsent(self, snapshot: Snapshot) -> Snapshot:
        """Return the files without those that this process has sent and kept."""
        if not self._kept:
            return snapshot
        present = {file.name: file.stamp for file in snapshot if self._kept.get(file.name) == file.stamp}
        self._kept = present
        return snapshot.without(present)

    def _tell_of_incomplete(self, scan: Scan, outcome: Outcome) -> None:
        outcome.incomplete = len(scan.incomplete)
        for name, stamp in scan.incomplete.items():
            path = shown(str(self._plan.root / name))
            if not is_past(stamp.mtime_ns / 1e9, _OLD_SECONDS):
                _log.debug("'%s' is not complete, leaving it for the next collection", path)
            elif name not in self._reported:
                _log.warning("'%s' is not valid JSON and is no longer written to, leaving it in place", path)
                self._reported.add(name)
        self._reported &= scan.incomplete.keys()
        if scan.links:
            _log.warning("%d symbolic links are not followed", scan.links)

    async def _threaded(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def policy_of(plan: Plan) -> RetryPolicy:
    """Return the retry policy of uploads, with full jitter below upstream's waits of the base times 2**n."""
    return RetryPolicy(
        attempts=plan.ingress_max_retries,
        budget_seconds=plan.ingress_retry_budget,
        base_seconds=2 * plan.ingress_base_delay,
        cap_seconds=max(_LONGEST_WAIT_SECONDS, 2 * plan.ingress_base_delay),
    )


async def stopped_within(stop: asyncio.Event, seconds: float) -> bool:
    """Wait; return True at once when the collector is stopping."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return False
    return True


def _listed(plan: Plan, snapshot: Snapshot) -> str:
    names = [shown(str(plan.root / snapshot[at].name)) for at in range(min(len(snapshot), _SHOWN_FILES))]
    more = len(snapshot) - len(names)
    return f"{names}{f' and {more} more' if more else ''}"
