import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import psutil
import pytest

from headrace.archives import ArchiveRejected
from headrace.rules.evaluation import Evaluation, RulesConfig
from headrace.rules.workers.pool import WorkerPool
from headrace.runtime.errors import ConfigurationError, Retryable
from tests.disks import small_disk
from tests.unit.rules.evaluation_archives import on_disk
from tests.unit.rules.worker_archives import CLUSTER, CONFIG, at_work, bidding
from tests.waiting import eventually

MIB = 1 << 20


@asynccontextmanager
async def opened(config: RulesConfig = CONFIG, **changes: Any) -> AsyncIterator[WorkerPool]:
    terms: dict[str, Any] = {"workers": 2, "deadline_seconds": 20.0, "max_rss_bytes": 256 * MIB}
    pool = await WorkerPool.open(config, **terms | changes)
    try:
        yield pool
    finally:
        await pool.close()


def details(evaluation: Evaluation) -> dict[str, Any]:
    """Of the rule that does as it is bidden."""
    return next(entry for entry in evaluation.report["reports"] if entry["key"] == "OBEYED")["details"]


async def test_an_evaluation_comes_back_whole():
    async with opened() as pool:
        workloads = {"config/workload_info.json": b"\xff\x00", "config/infrastructure.json": b"{}"}
        evaluation = await pool.evaluate(bidding("fail", "reason", **workloads))
        assert (evaluation.cluster_id, evaluation.hypershift) == (CLUSTER, True)
        assert evaluation.workload_info == b"\xff\x00"
        assert evaluation.report["version"] == 2
        ((component, why),) = evaluation.exceptions
        assert component.endswith("worker_pack.rules.report")
        assert why.startswith("ValueError: reason")
        assert (await pool.evaluate(bidding("say"))).workload_info is None


async def test_a_full_disk_is_no_fault_of_the_archive(tmp_path):
    target = ("tests.unit.rules.evaluation_pack.on_disk",)
    with small_disk(tmp_path) as disk:
        if not disk.mounted:
            pytest.skip("no file system can be mounted here")
        config = RulesConfig(target, target_components=target, extract_directory=str(disk.path))
        async with opened(config, workers=1) as pool:
            disk.fill()
            (pid,) = pool.pids
            for _ in range(3):
                with pytest.raises(Retryable, match=f"the disk of {disk.path} is full"):
                    await pool.evaluate(on_disk())
            disk.free()
            assert (await pool.evaluate(on_disk())).on_disk is not None
            assert (pool.pids, disk.used_by_others) == ([pid], [])


async def test_text_that_is_no_utf8_and_long_integers_are_json_all_the_same():
    async with opened(workers=1) as pool:
        evaluation = await pool.evaluate(bidding("say", "é"))
        said = next(entry for entry in evaluation.report["reports"] if entry["key"] == "SAID")["details"]
        assert (said["text"], said["byte"], said["number"]) == ("é", "?", 2**70)


async def test_two_archives_are_evaluated_at_once(tmp_path):
    async with opened() as pool:
        both = await asyncio.gather(*(pool.evaluate(bidding("meet", tmp_path)) for _ in range(2)))
        assert sorted(details(one)["pid"] for one in both) == pool.pids


async def test_workers_live_on_from_archive_to_archive():
    async with opened() as pool:
        pids = pool.pids
        served = [details(await pool.evaluate(bidding("say")))["pid"] for _ in range(10)]
        assert set(served) <= set(pids)
        assert pool.pids == pids


async def test_an_archive_that_is_refused_costs_no_worker():
    async with opened(workers=1) as pool:
        pids = pool.pids
        with pytest.raises(ArchiveRejected, match="gzip"):
            await pool.evaluate(b"no archive at all")
        await pool.evaluate(bidding("say"))
        assert pool.pids == pids


async def test_archives_wait_for_a_worker_and_too_many_are_refused():
    async with opened(workers=1, max_waiting=1) as pool:
        first, second = (asyncio.create_task(pool.evaluate(bidding("sleep", 0.2))) for _ in range(2))
        await asyncio.sleep(0)
        with pytest.raises(Retryable, match="1 archives are already waiting"):
            await pool.evaluate(bidding("say"))
        await first
        await second


async def test_the_event_loop_turns_while_rules_run():
    async with opened(workers=1) as pool:
        ticks = 0
        work = asyncio.create_task(
            pool.evaluate(bidding("sleep", 0.5, filler=random.Random(1).randbytes(20 * MIB)))
        )
        while not work.done():
            await asyncio.sleep(0.005)
            ticks += 1
        await work
        assert ticks > 20


async def test_a_worker_that_keeps_memory_is_replaced_when_it_has_answered():
    async with opened(workers=1) as pool:
        before = pool.pids
        evaluation = await pool.evaluate(bidding("keep", 150 * MIB))
        assert [details(evaluation)["pid"]] == before
        await eventually(lambda: pool.pids and pool.pids != before)
        await pool.evaluate(bidding("say"))


async def test_giving_up_an_archive_frees_its_worker():
    async with opened(workers=1) as pool:
        before = pool.pids
        work = asyncio.create_task(pool.evaluate(bidding("hang")))
        await eventually(lambda: at_work(pool, 1))
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert [details(await pool.evaluate(bidding("say")))["pid"]] != before


async def test_rules_do_not_see_the_keys_to_the_engines(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    monkeypatch.setenv("HEADRACE_POSTGRES", "postgresql://u:p@localhost/")
    monkeypatch.setenv("OF_THE_OPERATOR", "1")
    async with opened(workers=1) as pool:
        environment = details(await pool.evaluate(bidding("say")))["environment"]
    assert "OF_THE_OPERATOR" in environment
    assert not {"AWS_SECRET_ACCESS_KEY", "HEADRACE_POSTGRES"} & set(environment)


@pytest.mark.parametrize(
    ("config", "changes", "reason"),
    [
        (RulesConfig(("no.such.package",)), {}, "plugins.packages: 'no.such.package' cannot be imported"),
        (RulesConfig(CONFIG.packages, target_components=("x.y",)), {}, "service.target_components is"),
        (CONFIG, {"max_rss_bytes": 10 * MIB}, "the loaded rules alone use"),
    ],
)
async def test_what_cannot_work_is_said_at_once(config, changes, reason):
    with pytest.raises(ConfigurationError) as raised:
        async with opened(config, **changes):
            pass
    assert reason in str(raised.value)


async def test_closing_leaves_no_process():
    async with opened() as pool:
        pids = [*pool.pids, psutil.Process(pool.pids[0]).ppid()]
        hanging = asyncio.create_task(pool.evaluate(bidding("hang")))
        await eventually(lambda: at_work(pool, 1))
    with pytest.raises(Retryable, match="being stopped"):
        await hanging
    with pytest.raises(Retryable, match="being stopped"):
        await pool.evaluate(bidding("say"))
    assert not any(psutil.pid_exists(pid) for pid in pids)
