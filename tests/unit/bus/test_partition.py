"""Lanes, holds and retries against a model: order per key, nothing lost, nothing twice."""

import asyncio
from typing import Any

from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from headrace.bus import partition as limits
from headrace.bus.delivery import Delivery, Work
from headrace.bus.partition import Partition
from headrace.contracts.message import utc_now

KEYS = st.sampled_from([None, "a", "b", "c"])


def work(offset: int, key: str | None, size_bytes: int = 10, organisation: str = "") -> Work:
    record: Any = ConsumerRecord("t", 0, offset, 0, 0, None, b"", None, 0, size_bytes, ())
    return Work(
        record, Delivery("t", 0, offset, key, {}, utc_now(), utc_now()), size_bytes, key, organisation
    )


class PartitionAgainstModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.partition = Partition(TopicPartition("t", 0))
        self.offset = 0
        self.keys: dict[int, str | None] = {}
        self.started: list[Work] = []
        self.parked: list[Work] = []
        self.due: list[Work] = []
        self.ended: list[int] = []

    def teardown(self) -> None:
        self.partition.close()
        self.loop.close()

    @rule(key=KEYS)
    def take(self, key: str | None) -> None:
        self.keys[self.offset] = key
        self.partition.take(work(self.offset, key))
        self.offset += 1

    @rule()
    def start_one(self) -> None:
        started = self.partition.next()
        if started is None:
            # Nothing to start: every message that may run is running, parked, held back or behind its key.
            assert not self.due
            return
        if self.due:
            assert started is self.due.pop(0)
        else:
            assert not self.partition.held
        self.started.append(started)

    @precondition(lambda self: self.started)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        done = data.draw(st.sampled_from(self.started))
        self.started.remove(done)
        self.partition.finish(done)
        self.ended.append(done.record.offset)

    @precondition(lambda self: self.started)
    @rule(data=st.data(), held=st.booleans())
    def park(self, data: st.DataObject, held: bool) -> None:
        late = data.draw(st.sampled_from(self.started))
        self.started.remove(late)
        self.parked.append(late)
        if held:
            self.partition.held[late] = ("away", utc_now())
        self.partition.parked[late] = self.loop.call_later(60, print)

    @precondition(lambda self: self.parked)
    @rule(data=st.data())
    def delay_is_over(self, data: st.DataObject) -> None:
        late = data.draw(st.sampled_from(self.parked))
        self.parked.remove(late)
        self.partition.due(late)
        self.due.append(late)

    @invariant()
    def one_message_of_a_key_at_a_time_in_order(self) -> None:
        under_way = [one.record.offset for one in (*self.started, *self.parked, *self.due)]
        for key in ("a", "b", "c"):
            of_key = [offset for offset, its in self.keys.items() if its == key]
            assert sum(1 for offset in under_way if self.keys[offset] == key) <= 1
            ended = [offset for offset in self.ended if self.keys[offset] == key]
            assert ended == of_key[: len(ended)]

    @invariant()
    def counts_what_it_has(self) -> None:
        assert self.partition.count == self.offset - len(self.ended)
        assert self.partition.bytes == 10 * self.partition.count

    @invariant()
    def commits_nothing_unfinished(self) -> None:
        unfinished = set(range(self.offset)) - set(self.ended)
        expected = min(unfinished, default=self.offset) if self.offset else None
        assert self.partition.tracker.committable == expected

    @invariant()
    def a_held_partition_wants_no_more(self) -> None:
        assert not (self.partition.held and self.partition.wants_more)


TestPartition = PartitionAgainstModel.TestCase


def test_everything_ends_once_however_keys_mix():
    partition = Partition(TopicPartition("t", 0))
    for offset in range(30):
        partition.take(work(offset, "abc"[offset % 3] if offset % 2 else None))
    ended = []
    while (one := partition.next()) is not None:
        ended.append(one.record.offset)
        partition.finish(one)
    assert sorted(ended) == list(range(30))
    assert partition.tracker.committable == 30


def test_fetching_stops_at_the_high_mark_and_goes_on_only_below_the_low_one():
    partition = Partition(TopicPartition("t", 0))
    for offset in range(limits.HIGH_RECORDS):
        assert partition.wants_more
        partition.take(work(offset, None))
    for _ in range(limits.HIGH_RECORDS - limits.LOW_RECORDS):
        assert not partition.wants_more
        partition.finish(partition.next())
    assert partition.wants_more


def test_a_few_large_messages_are_enough_too():
    partition = Partition(TopicPartition("t", 0))
    for offset in range(8):
        assert partition.wants_more
        partition.take(work(offset, None, size_bytes=1024 * 1024))
    assert not partition.wants_more


def test_a_closed_partition_starts_nothing_and_still_counts_what_runs():
    partition = Partition(TopicPartition("t", 0))
    for offset in range(3):
        partition.take(work(offset, "a"))
    running = partition.next()
    partition.close()
    partition.finish(running)
    assert partition.next() is None
    assert partition.tracker.committable == 1


def test_organisations_take_turns_and_each_keeps_its_order():
    partition = Partition(TopicPartition("t", 0))
    for offset in range(100):
        partition.take(work(offset, None, organisation="flood"))
    for offset in range(100, 103):
        partition.take(work(offset, None, organisation="b"))
    partition.take(work(103, None, organisation="c"))
    started = [partition.next().record.offset for _ in range(8)]
    assert started == [0, 100, 103, 1, 101, 2, 102, 3]


def test_retries_of_one_organisation_take_half_of_the_turns_at_most():
    partition = Partition(TopicPartition("t", 0))
    for offset in range(6):
        partition.take(work(offset, None, organisation="failing"))
    failed = [partition.next() for _ in range(4)]
    for offset in range(6, 9):
        partition.take(work(offset, None, organisation="b"))
    for one in failed:
        partition.due(one)
    started = [partition.next().record.offset for _ in range(7)]
    assert started == [0, 6, 1, 7, 2, 8, 3]


def test_what_is_held_stops_its_organisation_and_that_of_three_stops_all():
    partition = Partition(TopicPartition("t", 0))
    for offset, organisation in enumerate("aabbccdd"):
        partition.take(work(offset, None, organisation=organisation))
    held = [partition.next() for _ in range(3)]
    assert [one.organisation for one in held] == ["a", "b", "c"]
    partition.held[held[0]] = ("away", utc_now())
    assert partition.wants_more
    assert [partition.next().organisation for _ in range(2)] == ["d", "b"]
    partition.held[held[1]] = partition.held[held[2]] = ("away", utc_now())
    assert partition.stopped
    assert not partition.wants_more
    assert partition.next() is None
    partition.due(held[0])
    assert partition.next() is held[0]
    partition.finish(held[0])
    assert not partition.stopped
    assert partition.next() is not None


def test_a_held_message_that_names_no_organisation_stops_all():
    partition = Partition(TopicPartition("t", 0))
    partition.take(work(0, None))
    partition.take(work(1, None, organisation="a"))
    partition.held[partition.next()] = ("away", utc_now())
    assert partition.next() is None
