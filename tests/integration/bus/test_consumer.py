import asyncio
from collections import defaultdict
from collections.abc import Callable

import pytest
import structlog

from headrace.bus.admin import admin_client, ensure_topics
from headrace.bus.consumer import Delivery
from headrace.bus.consumption import Membership
from headrace.contracts.topics import PAYLOAD_STATUS
from headrace.runtime.errors import ConfigurationError, Poison, Rejected, Retryable
from headrace.runtime.logging import get_logger
from headrace.runtime.metrics import REGISTRY
from tests.integration.bus.flow import BRISK, Flow, Note, send_stubbornly
from tests.waiting import eventually


def notes(count: int, keys: int = 1) -> list[Note]:
    return [Note(request_id=f"r{n}", key=f"k{n % keys}", n=n) for n in range(count)]


async def test_handled_messages_are_committed_and_not_delivered_again(flow: Flow):
    seen: list[int] = []

    async def handle(note: Note, _delivery: Delivery) -> None:
        seen.append(note.n)

    await flow.send(notes(50, keys=7))
    first = flow.consumer(handle)
    async with flow.running(first):
        await eventually(lambda: len(seen) == 50)
        assert first.problem is None
    assert await flow.committed() == 50
    await flow.send([Note(request_id="last", n=99)])
    async with flow.running(flow.consumer(handle)):
        await eventually(lambda: 99 in seen)
    assert len(seen) == 51
    assert flow.counted("processed") == 51


async def test_the_handler_learns_where_its_message_came_from(flow: Flow):
    seen: list[Delivery] = []

    async def handle(_note: Note, delivery: Delivery) -> None:
        seen.append(delivery)

    await flow.send([Note(request_id="r", key="k")], service="hccm")
    async with flow.running(flow.consumer(handle)):
        await eventually(lambda: seen)
    (delivery,) = seen
    assert (delivery.topic, delivery.offset, delivery.key) == (flow.topic.name, 0, "k")
    assert (delivery.headers, delivery.attempt) == ({"service": "hccm"}, 1)
    assert delivery.timestamp <= delivery.first_seen


async def test_messages_of_one_key_run_in_order_while_others_overtake(flow: Flow):
    order: dict[str, list[int]] = defaultdict(list)
    running: set[str] = set()
    most = 0

    async def handle(note: Note, _delivery: Delivery) -> None:
        nonlocal most
        assert note.key not in running
        running.add(note.key)
        most = max(most, len(running))
        await asyncio.sleep(0.001 * (note.n % 5))
        running.remove(note.key)
        order[note.key].append(note.n)

    await flow.send(notes(200, keys=10))
    async with flow.running(flow.consumer(handle, concurrency=4)):
        await eventually(lambda: sum(map(len, order.values())) == 200)
    assert all(numbers == sorted(numbers) for numbers in order.values())
    assert most == 4


async def test_a_key_function_decides_what_is_kept_in_order(flow: Flow):
    order: dict[str, list[int]] = defaultdict(list)

    async def handle(note: Note, _delivery: Delivery) -> None:
        await asyncio.sleep(0.01 if note.n == 0 else 0)
        order[note.org_id].append(note.n)

    for n in range(6):
        await flow.send([Note(request_id="r", key=f"same{n // 6}", org_id=f"o{n % 2}", n=n)])
    async with flow.running(flow.consumer(handle, key=lambda note, _delivery: note.org_id)):
        await eventually(lambda: sum(map(len, order.values())) == 6)
    assert order == {"o0": [0, 2, 4], "o1": [1, 3, 5]}


async def test_other_services_messages_are_counted_as_filtered_and_passed(flow: Flow):
    seen: list[int] = []

    async def handle(note: Note, _delivery: Delivery) -> None:
        seen.append(note.n)

    await flow.send([Note(request_id="a", n=1)], service="hccm")
    await flow.send([Note(request_id="b", n=2)], service="other")
    await flow.send([Note(request_id="c", n=3)])
    consumer = flow.consumer(handle, statuses=True, header="service", values=frozenset({"hccm", "ols"}))
    async with flow.running(consumer):
        await eventually(lambda: flow.counted("filtered") == 2 and seen == [1])
    assert await flow.committed() == 3
    assert await flow.statuses("b") == []


async def test_each_message_is_reported_from_received_to_its_end(flow: Flow, fresh: Callable):
    ids = {outcome: fresh(outcome) for outcome in ("well", "refused", "flapping")}
    attempts: list[int] = []

    async def handle(note: Note, delivery: Delivery) -> str | None:
        if note.request_id == ids["refused"]:
            raise Rejected("no cluster id in it")
        if note.request_id == ids["flapping"]:
            attempts.append(delivery.attempt)
            if delivery.attempt < 3:
                raise Retryable("the engine is away")
        return "archived as x"

    await flow.send(Note(request_id=request_id, org_id="o1") for request_id in ids.values())
    async with flow.running(flow.consumer(handle, statuses=True)):
        await eventually(lambda: flow.counted("processed") == 2 and flow.counted("rejected") == 1)
    told = {
        outcome: [(each.status, each.status_msg) for each in await flow.statuses(request_id)]
        for outcome, request_id in ids.items()
    }
    assert told == {
        "well": [("received", ""), ("success", "archived as x")],
        "refused": [("received", ""), ("error", "no cluster id in it")],
        "flapping": [("received", ""), ("success", "archived as x")],
    }
    assert attempts == [1, 2, 3]
    (first, _) = await flow.statuses(ids["well"])
    assert (first.service, first.org_id) == (flow.service, "o1")
    assert await flow.dead() == []


@pytest.mark.row(18)
async def test_a_message_slower_than_the_poll_interval_is_delivered_once(flow: Flow):
    membership = Membership(
        heartbeat_seconds=0.3,
        session_seconds=6.0,
        revoke_seconds=1.0,
        rebalance_seconds=8.0,
        max_poll_seconds=1.0,
    )
    seen: list[tuple[int, int]] = []

    async def handle(note: Note, delivery: Delivery) -> None:
        seen.append((note.n, delivery.attempt))
        await asyncio.sleep(3.5 if note.n == 0 else 0)

    await flow.send(notes(3))
    consumer = flow.consumer(handle, membership=membership, concurrency=1)
    async with flow.running(consumer):
        await eventually(lambda: len(seen) == 3 and flow.counted("processed") == 3)
        assert consumer.problem is None
    assert seen == [(0, 1), (1, 1), (2, 1)]
    assert await flow.committed() == 3


async def test_a_partition_is_held_while_its_engine_is_away_and_released_by_itself(flow: Flow):
    away = True
    seen: list[int] = []

    async def handle(note: Note, _delivery: Delivery) -> None:
        if away:
            raise Retryable("S3 does not answer")
        seen.append(note.n)

    def held() -> float | None:
        labels = {"service": flow.service, "topic": flow.topic.name}
        return REGISTRY.get_sample_value("headrace_held_partitions", labels)

    await flow.send(notes(40, keys=1))
    consumer = flow.consumer(handle)
    async with flow.running(consumer):
        await eventually(lambda: "held since" in (consumer.problem or ""))
        assert "S3 does not answer" in consumer.problem
        assert held() == 1
        assert flow.counted("dead_lettered") == 0
        away = False
        await eventually(lambda: len(seen) == 40)
        await eventually(lambda: consumer.problem is None)
        assert held() == 0
    assert seen == list(range(40))
    assert await flow.dead() == []


async def test_a_long_hold_leaves_the_budget_for_other_errors_untouched(flow: Flow):
    attempts: list[int] = []

    async def handle(_note: Note, delivery: Delivery) -> None:
        attempts.append(delivery.attempt)
        if delivery.attempt < 10:
            raise Retryable("away")
        if delivery.attempt < 12:
            raise RuntimeError("half up")

    await flow.send(notes(1))
    async with flow.running(flow.consumer(handle)):
        await eventually(lambda: flow.counted("processed") == 1)
    assert attempts == list(range(1, 13))


async def test_a_hanging_handler_is_cut_at_its_deadline_and_dead_lettered_in_the_end(flow: Flow):
    async def handle(note: Note, _delivery: Delivery) -> None:
        await asyncio.sleep(0 if note.n else 3600)

    await flow.send(notes(3, keys=3))
    async with flow.running(flow.consumer(handle, deadline_seconds=0.1)):
        await eventually(lambda: flow.counted("processed") == 2 and flow.counted("dead_lettered") == 1)
    (letter,) = await flow.dead()
    told = dict(letter.headers)
    assert told["headrace.error.class"] == b"TimeoutError"
    assert told["headrace.reason"] == b"TimeoutError: not handled within 0.1 s"
    assert told["headrace.attempts"] == b"3"


async def test_a_fatal_error_stops_the_consumer_and_commits_nothing_more(flow: Flow):
    async def handle(note: Note, _delivery: Delivery) -> None:
        if note.n == 5:
            raise ConfigurationError("BUCKET: got nothing, expected a name")

    await flow.send(notes(10, keys=1))
    with pytest.raises(ConfigurationError, match="BUCKET"):
        await asyncio.wait_for(flow.consumer(handle).run(), 90)
    assert await flow.committed() == 5


async def test_too_many_dead_letters_in_a_row_stop_the_consumer_before_the_next_one(flow: Flow):
    async def handle(note: Note, _delivery: Delivery) -> None:
        if note.n >= 5:
            raise ValueError("bad deploy")

    await flow.send(notes(30, keys=1))
    consumer = flow.consumer(handle, dead_letters_in_a_row=4)
    async with flow.running(consumer) as (run,):
        await eventually(lambda: consumer.problem and "4 dead letters in a row" in consumer.problem)
        await eventually(flow.committed)
        assert not run.done()
    assert len(await flow.dead()) == 4
    assert await flow.committed() == 9


async def test_dead_letters_with_successes_between_them_stop_nothing(flow: Flow):
    async def handle(note: Note, _delivery: Delivery) -> None:
        if note.n % 3:
            raise ValueError("bad message")

    await flow.send(notes(12, keys=1))
    consumer = flow.consumer(handle, dead_letters_in_a_row=3)
    async with flow.running(consumer):
        await eventually(lambda: flow.counted("processed") + flow.counted("dead_lettered") == 12)
    assert consumer.problem is None
    assert len(await flow.dead()) == 8


@pytest.mark.row(27)
async def test_stop_finishes_what_runs_and_hands_back_the_rest(flow: Flow):
    started: list[int] = []
    ended: list[int] = []
    go_on = asyncio.Event()

    async def handle(note: Note, _delivery: Delivery) -> None:
        started.append(note.n)
        await go_on.wait()
        ended.append(note.n)

    await flow.send(notes(20, keys=20))
    consumer = flow.consumer(handle, concurrency=4)
    run = asyncio.create_task(consumer.run())
    await eventually(lambda: len(started) == 4)
    stopping = asyncio.create_task(consumer.stop(8))
    await asyncio.sleep(0)
    go_on.set()
    await stopping
    await run
    assert sorted(started) == sorted(ended)
    assert len(ended) == 4

    async with flow.running(flow.consumer(handle)):
        await eventually(lambda: set(ended) == set(range(20)))
        await eventually(lambda: flow.counted("processed") >= 20)
    assert await flow.committed() == 20


@pytest.mark.row(27)
async def test_stop_keeps_its_deadline_though_a_handler_does_not_end(flow: Flow):
    started = asyncio.Event()

    async def handle(_note: Note, _delivery: Delivery) -> None:
        started.set()
        await asyncio.sleep(3600)

    await flow.send(notes(1))
    consumer = flow.consumer(handle)
    run = asyncio.create_task(consumer.run())
    await started.wait()
    async with asyncio.timeout(60):
        await consumer.stop(1.5)
        await run
    assert await flow.committed() == 0


@pytest.mark.row(14)
async def test_replaying_the_whole_topic_leaves_the_same_state(flow: Flow):
    state: dict[str, int] = {}
    deliveries = 0

    async def handle(note: Note, _delivery: Delivery) -> None:
        nonlocal deliveries
        deliveries += 1
        state[note.request_id] = note.n

    sent = notes(100, keys=9)
    await flow.send(sent)
    await flow.send(sent[::2])
    async with flow.running(flow.consumer(handle)):
        await eventually(lambda: deliveries == 150)
    once = dict(state)
    async with flow.running(flow.consumer(handle, group=flow.group + "-replay")):
        await eventually(lambda: deliveries == 300)
    assert state == once == {note.request_id: note.n for note in sent}


async def test_a_topic_made_later_is_consumed_from_then_on(flow: Flow, fresh: Callable):
    from dataclasses import replace

    from headrace.bus.admin import ensure_topics

    flow.topic = replace(flow.topic, name=fresh("late"))
    consumer = flow.consumer()
    async with flow.running(consumer):
        await eventually(lambda: "does not exist" in (consumer.problem or ""))
        await ensure_topics(flow.settings, [flow.topic])
        await flow.send(notes(3))
        await eventually(lambda: flow.counted("processed") == 3)
        assert consumer.problem is None


@pytest.mark.row(23)
async def test_a_message_of_a_mebibyte_passes_and_fits_into_a_dead_letter(flow: Flow):
    async def handle(note: Note, _delivery: Delivery) -> None:
        if note.n:
            raise Poison("x" * 10_000)

    # The broker's limit is a mebibyte with the record's own overhead.
    size_bytes = 1024 * 1024 - 200
    await flow.send(Note(request_id="r" * size_bytes, n=n) for n in (0, 1))
    async with flow.running(flow.consumer(handle)):
        await eventually(lambda: flow.counted("processed") == 1 and flow.counted("dead_lettered") == 1)
    (letter,) = await flow.dead()
    assert len(letter.value) > size_bytes


async def test_every_line_about_a_message_names_it(flow: Flow):
    log = get_logger("test")

    async def handle(note: Note, _delivery: Delivery) -> None:
        log.info("handling", n=note.n)

    await flow.send(notes(3, keys=1))
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        async with flow.running(flow.consumer(handle)):
            await eventually(lambda: flow.counted("processed") == 3)
    handled = [line for line in lines if line["event"] == "handling"]
    assert [(line["request_id"], line["offset"], line["n"]) for line in handled] == [
        ("r0", 0, 0),
        ("r1", 1, 1),
        ("r2", 2, 2),
    ]
    assert {(line["service"], line["topic"]) for line in handled} == {(flow.service, flow.topic.name)}


async def test_lag_counts_down_to_zero(flow: Flow):
    go_on = asyncio.Event()

    async def handle(_note: Note, _delivery: Delivery) -> None:
        await go_on.wait()

    def lag() -> float:
        labels = {"service": flow.service, "topic": flow.topic.name}
        values = [
            REGISTRY.get_sample_value("headrace_consumer_lag", {**labels, "partition": str(partition)})
            for partition in range(3)
        ]
        return (
            sum(value for value in values if value is not None) if any(v is not None for v in values) else -1
        )

    first = Note(request_id="first", key="k0")
    await flow.send([first])
    async with flow.running(flow.consumer(handle, membership=BRISK)):
        go_on.set()
        await eventually(lambda: lag() == 0)
        go_on.clear()
        await flow.send(notes(7))
        await eventually(lambda: lag() == 7)
        go_on.set()
        await eventually(lambda: lag() == 0)
    assert PAYLOAD_STATUS.name != flow.topic.name


async def test_a_topic_that_is_deleted_and_made_anew_is_consumed_again(flow: Flow):
    seen: list[int] = []

    async def handle(note: Note, _delivery: Delivery) -> None:
        seen.append(note.n)

    consumer = flow.consumer(handle)
    async with flow.running(consumer):
        await flow.send([Note(request_id="before", n=1)])
        await eventually(lambda: seen == [1], within_seconds=30)
        async with admin_client(flow.settings) as admin:
            await admin.delete_topics([flow.topic.name])
        await eventually(lambda: "does not exist" in (consumer.problem or ""), within_seconds=60)
        await ensure_topics(flow.settings, [flow.topic])
        await send_stubbornly(flow, [Note(request_id="after", n=2)])
        await eventually(lambda: seen == [1, 2], within_seconds=60)
        await eventually(lambda: consumer.problem is None)
