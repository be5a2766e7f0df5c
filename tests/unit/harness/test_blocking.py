"""The check that every test is under: a coroutine of ours that blocks its loop fails."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from blockbuster import BlockingError

from headrace.archives import files
from headrace.runtime import retries
from tests import blocking


def coroutine_of_ours(source: str, file: str):
    """One that stands in a file of ours."""
    scope: dict[str, Any] = {"time": time, "Path": Path}
    exec(compile(f"async def handle():\n    {source}", file, "exec"), scope)  # noqa: S102
    return scope["handle"]()


@pytest.mark.parametrize("source", ["time.sleep(0.001)", "Path('/nowhere/at/all').mkdir()"])
async def test_what_blocks_in_a_coroutine_of_ours_is_noted_even_when_caught(
    blocking_calls: list[str], source: str
):
    with pytest.raises(BlockingError):
        await coroutine_of_ours(source, retries.__file__)
    assert len(blocking_calls) == 1
    assert "retries.py" in blocking_calls[0]
    blocking_calls.clear()


async def test_threads_tests_and_commands_may_block(blocking_calls: list[str]):
    time.sleep(0.001)  # noqa: ASYNC251 -- what is tried
    await asyncio.to_thread(time.sleep, 0.001)
    await coroutine_of_ours("time.sleep(0.001)", f"{blocking.MAY_BLOCK[0]}kafka.py")
    await coroutine_of_ours("time.sleep(0.001)", __file__)
    assert blocking_calls == []
    assert files.__file__.startswith(blocking.OURS)


def test_the_exceptions_are_all_there():
    """One whose function has gone would let in another of that name."""
    for file, name in blocking.EXCEPTIONS:
        if file.startswith(("headrace/", "headrace_services/")):
            place = blocking.ROOT / ("libs" if file.startswith("headrace/") else "services") / file
            assert f"def {name}(" in place.read_text(encoding="utf-8"), (file, name)
