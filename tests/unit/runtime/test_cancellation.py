"""A task that loses a cancellation ends all the same."""

import asyncio

from headrace.runtime.cancellation import end


async def losing(lost: int) -> None:
    """Loops for ever, and takes no notice of so many cancellations."""
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if not lost:
                raise
            lost -= 1


async def failing() -> None:
    raise ValueError("its own")


async def test_tasks_end_though_one_loses_its_first_cancellation():
    tasks = [asyncio.create_task(each) for each in (losing(0), losing(1), failing())]
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await end(*tasks)
    assert [task.cancelled() for task in tasks] == [True, True, False]
    assert all(task.done() for task in tasks)


async def test_nothing_to_end_is_no_wait():
    await end()
