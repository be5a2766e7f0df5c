"""Workers that evaluate archives: long-lived processes, one archive each at a time, replaced when they fail.

A worker that hangs, crashes or exceeds its memory is killed without effect on the others. The kernel limits its memory
(RLIMIT_AS, set so that no more than ``max_rss_bytes`` can be resident): an allocation beyond the limit fails before the
memory is taken, which polling the resident size could not guarantee.
"""

import asyncio
import json
import logging
import time
from collections.abc import Coroutine, Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import Any, Final, Self, TypeVar

from headrace.archives import ArchiveLimits, ArchiveRejected
from headrace.rules.evaluation import DEFAULT_LIMITS, Evaluation, RulesConfig
from headrace.rules.workers import metrics
from headrace.rules.workers.processes import Death, ForkServer, Lost, Worker
from headrace.runtime.cancellation import end
from headrace.runtime.errors import ConfigurationError, HeadraceError, Poison, Retryable
from headrace.runtime.logging import get_logger
from headrace.runtime.retries import RetryPolicy

T = TypeVar("T")

_log = get_logger(__name__)

_MAX_WAITING: Final = 256
_LOAD_SECONDS: Final = 60.0
_RETRY: Final = RetryPolicy(base_seconds=0.2, cap_seconds=10.0)

HUNG, CRASHED, BLOATED, KILLED = "hung", "crashed", "bloated", "killed"
ABANDONED, RETIRED = "abandoned", "retired"


class RulesFailed(Poison):
    """The archive cannot be evaluated: rules end their process with it."""


class RulesTimedOut(RulesFailed):
    """The rules did not end within the deadline."""


class RulesBloated(RulesFailed):
    """The rules needed more memory than a worker may use."""


class WorkerKilled(HeadraceError):
    """The process was killed from outside (by the kernel, short of memory, or an operator); a retry may succeed."""


class WorkerPool:
    """A fixed number of workers, and a queue of archives."""

    def __init__(
        self, boot: Mapping[str, Any], *, workers: int, deadline_seconds: float, max_waiting: int
    ) -> None:
        self._boot = boot
        self._deadline_seconds = deadline_seconds
        self._max_waiting = max_waiting
        # The longest wait if every archive before it reaches its deadline.
        self._wait_seconds = deadline_seconds * (max_waiting / workers + 2)
        self._fork_server: ForkServer | None = None
        self._reviving = asyncio.Lock()
        self._workers: set[Worker] = set()
        self._idle: asyncio.Queue[Worker] = asyncio.Queue()
        self._waiting = 0
        self._starting: set[asyncio.Task[None]] = set()
        self._ending: set[asyncio.Task[Death]] = set()
        self._closed = False
        self.problem: str | None = None
        """Why archives are not evaluated at present; None if they are."""

    @classmethod
    async def open(
        cls,
        config: RulesConfig,
        *,
        workers: int,
        deadline_seconds: float,
        max_rss_bytes: int,
        limits: ArchiveLimits = DEFAULT_LIMITS,
        max_waiting: int = _MAX_WAITING,
    ) -> Self:
        """Load the rules and start the workers.

        Args:
            config: the rules to load.
            workers: the number of processes, at least 1.
            deadline_seconds: for one archive.
            max_rss_bytes: for one worker, including the loaded rules.
            limits: the limits of an archive.
            max_waiting: how many archives may wait for a worker; more are refused with `Retryable`.

        Raises:
            ConfigurationError: the rules cannot be loaded, or need all that memory themselves.
        """
        boot = {"config": vars(config), "limits": asdict(limits), "max_rss_bytes": max_rss_bytes}
        pool = cls(boot, workers=workers, deadline_seconds=deadline_seconds, max_waiting=max_waiting)
        try:
            pool._fork_server = await ForkServer.start(boot, load_seconds=_LOAD_SECONDS)
            for _ in range(workers):
                await pool._add_worker()
        except BaseException:
            await pool.close()
            raise
        return pool

    @property
    def pids(self) -> list[int]:
        """The process ids of the workers."""
        return sorted(worker.pid for worker in self._workers)

    async def evaluate(self, archive: bytes, seeds: Mapping[str, Any] = MappingProxyType({})) -> Evaluation:
        """Have a worker run the rules on an archive.

        Args:
            archive: the uploaded bytes.
            seeds: JSON values that the rules' broker contains in advance, by name.

        Raises:
            ArchiveRejected: the archive is not acceptable.
            RulesTimedOut: the deadline has passed.
            RulesBloated: the memory limit was reached.
            RulesFailed: the rules ended their process.
            WorkerKilled: the process was killed from outside.
            Retryable: too many archives wait, or the workers' disk is full.
        """
        sown = json.dumps(dict(seeds)).encode()
        worker = await self._free_worker()
        try:
            reply, workload_info = await worker.ask(sown, archive, deadline_seconds=self._deadline_seconds)
        except TimeoutError:
            death = await asyncio.shield(self._replace(worker, HUNG))
            raise RulesTimedOut(
                f"the rules did not end within {self._deadline_seconds:g} s{_at(death.place)}"
            ) from None
        except Lost:
            raise await self._verdict(worker) from None
        except BaseException:
            self._replace(worker, ABANDONED)
            raise
        return self._judged(worker, reply, workload_info)

    def _judged(self, worker: Worker, reply: Mapping[str, Any], workload_info: bytes) -> Evaluation:
        """Free or replace the worker; return its evaluation, or raise the exception for its reply."""
        bloated, failed = reply.get("bloated"), reply.get("failed")
        if reply["retiring"]:
            why = BLOATED if bloated is not None else CRASHED if failed is not None else RETIRED
            self._replace(worker, why)
        else:
            worker.busy = False
            self._idle.put_nowait(worker)
        if "rejected" in reply:
            raise ArchiveRejected(reply["rejected"])
        if "unavailable" in reply:
            raise Retryable(reply["unavailable"])
        if bloated is not None:
            most = self._boot["max_rss_bytes"] >> 20
            raise RulesBloated(f"the rules need more than the {most} MiB that a worker may use{_at(bloated)}")
        if failed is not None:
            raise RulesFailed(f"the rules ended their process: {failed}")
        return _evaluation(reply["evaluation"], workload_info)

    async def _verdict(self, worker: Worker) -> HeadraceError:
        """Return the exception for an archive whose worker ended."""
        death = await asyncio.shield(self._replace(worker, CRASHED))
        if self._closed:
            return Retryable("the rules' workers are being stopped")
        if death.killed_by_others:
            return WorkerKilled(f"the rules' process was killed from outside: {death.what}")
        return RulesFailed(f"the rules crashed their process: {death.what}{_at(death.place)}")

    async def _free_worker(self) -> Worker:
        if self._closed:
            raise Retryable("the rules' workers are being stopped")
        if self._waiting >= self._max_waiting:
            raise Retryable(f"{self._waiting} archives are already waiting for the rules' workers")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._wait_seconds):
                while True:
                    worker = await self._idle.get()
                    if not worker.ended:
                        worker.busy = True
                        return worker
        except TimeoutError:
            raise Retryable(
                self.problem or f"no worker for the rules was free within {self._wait_seconds:g} s"
            ) from None
        finally:
            self._waiting -= 1

    def _lost(self, worker: Worker) -> None:
        """Replace a worker that ended while it was idle."""
        if not self._closed:
            self._replace(worker, KILLED)

    def _replace(self, worker: Worker, why: str) -> asyncio.Task[Death]:
        """End a worker and start another; return how the old one ended."""
        worker.ended = True
        self._workers.discard(worker)
        return _spawned(self._replaced(worker, why), self._ending)

    async def _replaced(self, worker: Worker, why: str) -> Death:
        noticed = time.perf_counter()
        if why == HUNG:
            await worker.trace()
        worker.kill()
        if not self._closed:
            _spawned(self._succeed(noticed), self._starting)
        # The new worker is ordered first, because the end of a large process takes time.
        await asyncio.sleep(0)
        death = await self._buried(worker)
        if self._closed:
            return death
        if why == CRASHED and death.killed_by_others:
            why = KILLED
        metrics.WORKERS_REPLACED.labels(why).inc()
        level = logging.INFO if why in {RETIRED, ABANDONED} else logging.WARNING
        _log.log(level, "worker_ended", pid=worker.pid, why=why, end=death.what, place=death.place)
        return death

    async def _succeed(self, noticed: float) -> None:
        await self._add_worker()
        metrics.REPLACEMENT_SECONDS.observe(time.perf_counter() - noticed)

    async def _buried(self, worker: Worker) -> Death:
        if self._fork_server is None:
            return Death(None, worker.close())
        return await self._fork_server.bury(worker)

    async def _add_worker(self) -> None:
        """Fork a worker, with retries, and with a new fork server if the old one ended."""
        failures = 0
        while not self._closed:
            try:
                worker = await (await self._living_fork_server()).fork()
            except (Lost, OSError, ConfigurationError) as error:
                failures += 1
                self.problem = f"no worker for the rules can be started: {error}"
                _log.warning("worker_not_started", reason=str(error))
                if failures > 1:
                    await asyncio.sleep(_RETRY.hold_seconds(failures))
                continue
            self.problem = None
            self._workers.add(worker)
            worker.watch(self._lost)
            self._idle.put_nowait(worker)
            return

    async def _living_fork_server(self) -> ForkServer:
        async with self._reviving:
            server = self._fork_server
            if server is None or server.lost:
                if server is not None:
                    await server.close()
                server = self._fork_server = await ForkServer.start(self._boot, load_seconds=_LOAD_SECONDS)
            return server

    async def close(self) -> None:
        """End every process, within about 2 s."""
        self._closed = True
        await end(*self._starting)
        for worker in self._workers:
            worker.kill()
            # A busy worker is closed by the task that waits for its reply.
            if not worker.busy:
                worker.close()
        self._workers.clear()
        if self._fork_server is not None:
            await self._fork_server.close()
        await asyncio.gather(*self._ending, return_exceptions=True)


def _spawned(work: Coroutine[Any, Any, T], tasks: set[asyncio.Task[T]]) -> asyncio.Task[T]:
    task = asyncio.create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return task


def _evaluation(facts: dict[str, Any], workload_info: bytes) -> Evaluation:
    has_workload_info = facts.pop("has_workload_info")
    for name in ("exceptions", "skips"):
        facts[name] = tuple((component, why) for component, why in facts[name])
    return Evaluation(**facts, workload_info=workload_info if has_workload_info else None)


def _at(place: str) -> str:
    return f": {place}" if place else ""
