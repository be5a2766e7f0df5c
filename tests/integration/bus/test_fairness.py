"""No organisation stops, delays without bound, or starves the others."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable

from headrace.bus.consumer import Delivery
from headrace.bus.endings import InARow
from headrace.runtime.errors import Permanent, Poison, Rejected, Retryable
from tests.integration.bus.flow import Flow, Note
from tests.waiting import eventually


def of(org_id: str, count: int, *, key: str = "", n: int = 0) -> list[Note]:
    return [Note(request_id=f"{org_id}-{number}", org_id=org_id, key=key, n=n) for number in range(count)]


async def test_what_one_organisation_brings_about_stops_nobody(flow: Flow):
    handled: list[str] = []

    async def handle(note: Note, _delivery: Delivery) -> None:
        if note.org_id == "acme-corp":
            raise (Poison, Permanent, ValueError, Rejected)[note.n % 4]("of this organisation")
        handled.append(note.org_id)

    bad = [note.model_copy(update={"n": number}) for number, note in enumerate(of("acme-corp", 110))]
    await flow.send(bad)
    consumer = flow.consumer(handle, dead_letters_in_a_row=10)
    async with flow.running(consumer):
        await eventually(lambda: flow.counted("dead_lettered") + flow.counted("rejected") == 110)
        await flow.send(of("1001", 5))
        await eventually(lambda: handled == ["1001"] * 5)
        assert consumer.problem is None


async def test_what_cannot_be_decoded_stops_nobody(flow: Flow):
    consumer = flow.consumer(dead_letters_in_a_row=10)
    async with flow.running(consumer):
        await asyncio.gather(*(flow.send_bytes(b'{"org_id": "%d", "n": "x"}' % n) for n in range(50)))
        await eventually(lambda: flow.counted("dead_lettered") == 50)
        await flow.send(of("1001", 5))
        await eventually(lambda: flow.counted("processed") == 5)
        assert consumer.problem is None


async def test_faults_of_two_organisations_mean_that_it_is_ours(flow: Flow):
    async def handle(_note: Note, _delivery: Delivery) -> None:
        raise ValueError("bad deploy")

    await flow.send([note for pair in zip(of("1", 20), of("2", 20), strict=True) for note in pair])
    consumer = flow.consumer(handle, dead_letters_in_a_row=10)
    async with flow.running(consumer):
        await eventually(lambda: consumer.problem and "10 dead letters in a row" in consumer.problem)


def test_a_row_is_full_by_whom_it_is_made_of():
    row = InARow(10)
    for _ in range(100):
        row.add("a")
    assert not row.full
    for _ in range(4):
        row.add("b")
    assert not row.full
    row.add("c")
    assert row.full
    row.clear()
    assert not row.full
    for _ in range(10):
        row.add("")
    assert row.full


async def seconds_of_others(flow: Flow, flood: list[Note], seconds: float, others: list[Note]) -> float:
    """From the moment they were sent, how long the others' messages take while a flood is being handled."""
    left = Counter(note.org_id for note in others)
    begun = asyncio.Event()

    async def handle(note: Note, _delivery: Delivery) -> None:
        begun.set()
        await asyncio.sleep(seconds)
        if note.org_id in left:
            left[note.org_id] -= 1

    async with flow.running(flow.consumer(handle, concurrency=16)):
        if flood:
            await flow.send(flood)
            await begun.wait()
        began = time.monotonic()
        await flow.send(others)
        await eventually(lambda: not +left, within_seconds=60, every_seconds=0.005)
        took = time.monotonic() - began
        done = flow.counted("processed")
        if flood:
            # Else nothing was shared.
            assert done < len(flood) + len(others)
    return took


async def test_twenty_messages_beside_a_flood_of_five_thousand_take_a_few_times_as_long_as_alone(
    flow: Flow, record_property: Callable[[str, object], None]
):
    alone = await seconds_of_others(flow, [], 0.02, of("1001", 20))
    beside = await seconds_of_others(flow, of("flood", 5000), 0.02, of("2002", 20))
    figures = f"alone {alone:.2f} s, beside a flood of 5,000 {beside:.2f} s: {beside / alone:.1f} times"
    record_property("figures", figures)
    # In turn it would be a quarter of the flood's six seconds for each partition at the least.
    assert beside < max(10 * alone, 1.5), figures


async def test_slow_messages_of_one_organisation_leave_room_for_the_others(flow: Flow):
    hanging, handled = asyncio.Event(), []

    async def handle(note: Note, _delivery: Delivery) -> None:
        if note.org_id == "slow":
            await hanging.wait()
        handled.append(note.org_id)

    await flow.send(of("slow", 50))
    async with flow.running(flow.consumer(handle, concurrency=4)):
        await eventually(lambda: flow.counted("processed") == 0)
        await flow.send(of("1001", 10))
        await eventually(lambda: handled == ["1001"] * 10)
        hanging.set()
        await eventually(lambda: len(handled) == 60)


async def test_an_organisation_whose_engine_does_not_answer_holds_its_own_messages_only(flow: Flow):
    well, handled = False, []

    async def handle(note: Note, _delivery: Delivery) -> None:
        if note.org_id == "held" and not well:
            raise Retryable("its bucket is away")
        handled.append(note.org_id)

    await flow.send(of("held", 300))
    consumer = flow.consumer(handle)
    async with flow.running(consumer):
        await eventually(lambda: consumer.problem and "for organisation 'held'" in consumer.problem)
        await flow.send(of("1001", 50))
        await eventually(lambda: handled == ["1001"] * 50)
        well = True
        await eventually(lambda: len(handled) == 350)
        await eventually(lambda: consumer.problem is None)


async def test_an_engine_that_is_away_for_three_organisations_is_away_for_all(flow: Flow):
    well, tried, attempts = False, set(), 0

    async def handle(note: Note, _delivery: Delivery) -> None:
        nonlocal attempts
        attempts += 1
        if not well:
            tried.add(note.org_id)
            raise Retryable("away")

    await flow.send([note for org in range(60) for note in of(str(org), 2, key="one partition")])
    consumer = flow.consumer(handle, concurrency=2, key=lambda note, _delivery: note.org_id)
    async with flow.running(consumer):
        await eventually(lambda: consumer.problem and "held since" in consumer.problem and len(tried) >= 3)
        partition = next(one for one in consumer._dispatcher.partitions.values() if one.held)
        await eventually(lambda: partition.stopped)
        assert not partition.wants_more
        seen, so_far = len(tried), attempts
        await eventually(lambda: attempts > so_far + 20)
        assert len(tried) == seen
        well = True
        await eventually(lambda: flow.counted("processed") == 120)
