"""One of two collectors on a directory works, the other waits."""

import asyncio

import pytest

from headrace_services.ols_collector.collector import Collector
from headrace_services.ols_collector.lock import DirectoryLock
from tests.unit.ols_collector.data import plan
from tests.waiting import eventually


def test_a_directory_is_one_collectors_until_it_ends(tmp_path):
    first, second = DirectoryLock(), DirectoryLock()
    assert first.take(str(tmp_path))
    assert first.take(str(tmp_path))
    assert not second.take(str(tmp_path))
    first.release()
    assert second.take(str(tmp_path))
    second.release()
    assert list(tmp_path.iterdir()) == []


def test_a_directory_made_anew_is_locked_anew(tmp_path):
    directory = tmp_path / "data"
    directory.mkdir()
    first, second = DirectoryLock(), DirectoryLock()
    assert first.take(str(directory))
    directory.rename(tmp_path / "old")
    directory.mkdir()
    assert first.take(str(directory))
    assert not second.take(str(directory))
    first.release()


@pytest.mark.asyncio
async def test_the_second_collector_waits_and_takes_over(tmp_path):
    patient = plan(tmp_path, collection_interval=60.0)
    first, second = (Collector(patient, lock_seconds=0.05) for _ in range(2))
    works = asyncio.create_task(first.run())
    await eventually(lambda: first.status.cycles == 1)
    waits = asyncio.create_task(second.run())
    await eventually(lambda: "another collector" in second.status.waiting_for)
    assert second.status.cycles == 0
    await first.stop(5.0)
    await works
    await eventually(lambda: second.status.cycles == 1)
    await second.stop(5.0)
    await waits
