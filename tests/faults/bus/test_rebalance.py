import asyncio
from collections import defaultdict
from collections.abc import Callable

import pytest

from headrace.bus.consumer import Delivery
from tests.integration.bus.flow import Note, open_flow
from tests.waiting import eventually

MESSAGES = 3000
KEYS = 40


@pytest.mark.row(17)
async def test_members_that_come_and_go_lose_nothing_and_keep_each_keys_order(
    kafka_url: str, fresh: Callable[[str], str]
):
    first_seen: dict[str, list[int]] = defaultdict(list)
    deliveries = 0

    async def handle(note: Note, _delivery: Delivery) -> None:
        nonlocal deliveries
        await asyncio.sleep(0.002 * (note.n % 3))
        deliveries += 1
        if note.n not in first_seen[note.key]:
            first_seen[note.key].append(note.n)

    def distinct() -> int:
        return sum(map(len, first_seen.values()))

    async with open_flow(kafka_url, fresh, partitions=6) as flow:
        notes = [Note(request_id=f"r{n}", key=f"k{n % KEYS}", n=n) for n in range(MESSAGES)]

        async def send() -> None:
            for start in range(0, MESSAGES, 50):
                await flow.send(notes[start : start + 50])
                await asyncio.sleep(0.1)

        sending = asyncio.create_task(send())
        async with flow.running(flow.consumer(handle, concurrency=4)):
            rebalances = 0
            while not sending.done():
                async with flow.running(flow.consumer(handle, concurrency=4)):
                    before = distinct()
                    await eventually(lambda: distinct() >= min(MESSAGES, before + 150))  # noqa: B023
                rebalances += 2
            await sending
            await eventually(lambda: distinct() == MESSAGES, within_seconds=90)
        assert await flow.committed() == MESSAGES

    assert rebalances >= 6
    assert all(numbers == sorted(numbers) for numbers in first_seen.values())
    # Running handlers finish before a partition moves on; only what overtook a handed-back message is done again.
    assert deliveries - MESSAGES <= rebalances * 16
    print(f"{rebalances} rebalances, {deliveries - MESSAGES} redeliveries")


@pytest.mark.row(17)
async def test_a_slow_handler_is_cut_at_the_revocation_budget_and_its_message_done_by_the_next_owner(
    kafka_url: str, fresh: Callable[[str], str]
):
    from headrace.bus.consumption import Membership

    membership = Membership(
        heartbeat_seconds=0.2, session_seconds=6.0, revoke_seconds=0.5, rebalance_seconds=10.0
    )
    started: list[int] = []
    ended: list[int] = []
    stuck = True

    async def handle(note: Note, _delivery: Delivery) -> None:
        started.append(note.n)
        if stuck:
            await asyncio.sleep(3600)
        ended.append(note.n)

    async with open_flow(kafka_url, fresh, partitions=2) as flow:
        await flow.send(Note(request_id=f"r{n}", key=f"k{n}", n=n) for n in range(4))
        async with flow.running(flow.consumer(handle, membership=membership, concurrency=1)):
            await eventually(lambda: started)
            stuck = False
            async with flow.running(flow.consumer(handle, membership=membership, concurrency=1)):
                await eventually(lambda: sorted(ended) == [0, 1, 2, 3])
        assert await flow.committed() == 4
    assert len(started) == 5
