"""Row 12 of the fault matrix: a rule that never returns, crashes or allocates costs its own archive only."""

import asyncio
import json
import os
import signal
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from headrace.rules.workers import metrics
from headrace.rules.workers.pool import (
    RulesBloated,
    RulesFailed,
    RulesTimedOut,
    WorkerKilled,
    WorkerPool,
)
from tests.calibration import Calibration
from tests.faults import rules_pool_child
from tests.processes import ROOT
from tests.unit.rules.worker_archives import CONFIG, at_work, bidding
from tests.waiting import eventually

DEADLINE_SECONDS = 0.5
MAX_RSS_BYTES = 256 << 20
MAX_REPLACEMENT_SECONDS = 0.1
TIMES = 3


@asynccontextmanager
async def opened(deadline_seconds: float) -> AsyncIterator[WorkerPool]:
    pool = await WorkerPool.open(
        CONFIG, workers=2, deadline_seconds=deadline_seconds, max_rss_bytes=MAX_RSS_BYTES
    )
    try:
        yield pool
    finally:
        await pool.close()


@pytest.fixture
async def pool() -> AsyncIterator[WorkerPool]:
    async with opened(DEADLINE_SECONDS) as pool:
        yield pool


@pytest.fixture
async def patient_pool() -> AsyncIterator[WorkerPool]:
    async with opened(30.0) as pool:
        yield pool


async def pid_of(pool: WorkerPool, *words: object) -> int:
    """Of the worker that did as it was bidden."""
    evaluation = await pool.evaluate(bidding(*words))
    found: int = next(
        entry["details"]["pid"] for entry in evaluation.report["reports"] if entry["key"] == "OBEYED"
    )
    return found


def replacement_seconds() -> tuple[float, float]:
    """How many there were, and their sum."""
    samples = {
        sample.name: sample.value for sample in next(iter(metrics.REPLACEMENT_SECONDS.collect())).samples
    }
    name = "headrace_rules_worker_replacement_seconds"
    return samples[f"{name}_count"], samples[f"{name}_sum"]


@pytest.mark.parametrize(
    ("words", "error", "reason"),
    [
        (("hang",), RulesTimedOut, "not end within 0.5 s: rules/worker_pack/rules.py:"),
        (("sleep", 60), RulesTimedOut, "not end within 0.5 s: rules/worker_pack/rules.py:"),
        (("exit", 3), RulesFailed, "the rules crashed their process: it exited with code 3"),
        (("sys-exit", 5), RulesFailed, "the rules ended their process: SystemExit: 5"),
        (("segfault",), RulesFailed, "ended by SIGSEGV: python3.11/ctypes/__init__.py:"),
        (("bloat", 2 << 30), RulesBloated, "need more than the 256 MiB that a worker may use: in "),
        (("bloat-slowly",), RulesBloated, "need more than the 256 MiB that a worker may use: in "),
    ],
    ids=lambda value: str(value[0]) if isinstance(value, tuple) else "",
)
@pytest.mark.row(12)
async def test_a_rule_that_ends_its_process_costs_its_own_archive_only(
    pool, patient_pool, words, error, reason, record_property
):
    pool = pool if error is RulesTimedOut else patient_pool
    taken = []
    for _ in range(TIMES):
        before = set(pool.pids)
        count, total = replacement_seconds()
        neighbour, failed = await asyncio.gather(
            pid_of(pool, "sleep", DEADLINE_SECONDS / 2),
            pool.evaluate(bidding(*words)),
            return_exceptions=True,
        )
        assert type(failed) is error, failed
        assert reason.replace("3.11", f"3.{sys.version_info.minor}") in str(failed)
        assert neighbour in before
        await eventually(lambda count=count: replacement_seconds()[0] == count + 1)
        assert len(pool.pids) == 2
        assert neighbour in pool.pids
        assert len(before - set(pool.pids)) == 1
        taken.append(replacement_seconds()[1] - total)
    record_property(
        "figures", f"replaced within {', '.join(f'{1000 * seconds:.0f}' for seconds in taken)} ms: {failed}"
    )
    assert statistics.median(taken) < Calibration().wall(MAX_REPLACEMENT_SECONDS)


@pytest.mark.row(12)
async def test_memory_never_exceeds_the_bound(patient_pool, record_property):
    peaks = []

    async def watch(pids: list[int]) -> None:
        while True:
            for pid in pids:
                try:
                    peaks.append(psutil.Process(pid).memory_info().rss)
                except psutil.NoSuchProcess:
                    continue
            await asyncio.sleep(0.002)

    watching = asyncio.create_task(watch(patient_pool.pids))
    with pytest.raises(RulesBloated):
        await patient_pool.evaluate(bidding("bloat-slowly"))
    watching.cancel()
    record_property("figures", f"most seen resident: {max(peaks) >> 20} MiB of {MAX_RSS_BYTES >> 20}")
    assert 100 << 20 < max(peaks) <= MAX_RSS_BYTES


async def test_what_a_rule_started_ends_with_it(pool, tmp_path):
    with pytest.raises(RulesTimedOut):
        await pool.evaluate(bidding("start-a-child-and-hang", tmp_path / "pid"))
    child = int((tmp_path / "pid").read_text())
    await eventually(lambda: is_gone(child))


@pytest.mark.row(12)
async def test_a_worker_killed_from_outside_amid_an_archive_is_worth_another_try(pool):
    before = pool.pids
    working = [asyncio.create_task(pid_of(pool, "sleep", 0.3)) for _ in before]
    await eventually(lambda: at_work(pool, len(before)))
    os.kill(before[0], signal.SIGKILL)
    ends = await asyncio.gather(*working, return_exceptions=True)
    (killed,) = (end for end in ends if isinstance(end, Exception))
    assert type(killed) is WorkerKilled
    assert "ended by SIGKILL" in str(killed)
    assert before[1] in ends
    await eventually(lambda: len(pool.pids) == 2)
    assert await pid_of(pool, "say") in pool.pids


async def test_a_worker_killed_from_outside_while_idle_is_replaced(pool, record_property):
    before = pool.pids
    killed_at = time.perf_counter()
    os.kill(before[0], signal.SIGKILL)
    await eventually(lambda: before[0] not in pool.pids and len(pool.pids) == 2, every_seconds=0.001)
    record_property("figures", f"replaced {1000 * (time.perf_counter() - killed_at):.0f} ms after kill -9")
    served = {await pid_of(pool, "say") for _ in range(4)}
    assert served == set(pool.pids)
    assert before[1] in served


async def test_the_loss_of_the_fork_server_is_survived(pool):
    before = pool.pids
    os.kill(psutil.Process(before[0]).ppid(), signal.SIGKILL)
    await eventually(lambda: len(pool.pids) == 2 and not set(before) & set(pool.pids))
    assert await pid_of(pool, "say") in pool.pids
    assert pool.problem is None
    assert all(is_gone(pid) for pid in before)


async def test_no_process_outlives_a_killed_parent():
    parent = await asyncio.create_subprocess_exec(
        sys.executable, rules_pool_child.__file__, cwd=ROOT, stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    assert parent.stdout
    pids = json.loads(await asyncio.wait_for(parent.stdout.readline(), 30))
    assert len(pids) == 3
    parent.kill()
    await parent.wait()
    await eventually(lambda: all(is_gone(pid) for pid in pids))


def is_gone(pid: int) -> bool:
    """Ended, perhaps not yet reaped by whoever adopted it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
