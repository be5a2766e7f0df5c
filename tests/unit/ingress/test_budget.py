import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from prometheus_client import Gauge

from headrace_services.ingress.budget import Budget, Busy
from tests.waiting import eventually

GAUGE = Gauge("taken", "what is taken", registry=None)


def budget_of(total: int, wait_seconds: float, **terms: int) -> Budget:
    return Budget(total, wait_seconds, Gauge("taken", "Taken", registry=None), **terms)


@dataclass
class Claim:
    """A task that holds its place until told to go."""

    number: int
    size: int
    leave: asyncio.Event = field(default_factory=asyncio.Event)
    held: bool = False
    task: asyncio.Task[None] | None = None

    async def run(self, budget: Budget, granted: list[int]) -> None:
        async with budget.reserve(self.size):
            self.held = True
            granted.append(self.number)
            try:
                await self.leave.wait()
            finally:
                self.held = False


class BudgetMachine(RuleBasedStateMachine):
    """Against a list: who asked first and fits is first."""

    @initialize(total=st.integers(1, 20))
    def begin(self, total: int) -> None:
        self.loop = asyncio.new_event_loop()
        self.budget = budget_of(total, 1000.0)
        self.total = total
        self.claims: list[Claim] = []
        self.granted: list[int] = []
        self.expected: list[int] = []
        self.waiting: list[Claim] = []
        self.holding: list[Claim] = []

    def settle(self) -> None:
        async def turns() -> None:
            for _ in range(8):
                await asyncio.sleep(0)

        self.loop.run_until_complete(turns())

    def model_grants(self) -> None:
        while self.waiting:
            claim = self.waiting[0]
            if (
                sum(min(each.size, self.total) for each in self.holding) + min(claim.size, self.total)
                > self.total
            ):
                return
            self.holding.append(self.waiting.pop(0))
            self.expected.append(claim.number)

    @rule(size=st.integers(0, 25))
    def ask(self, size: int) -> None:
        claim = Claim(len(self.claims), size)
        claim.task = self.loop.create_task(claim.run(self.budget, self.granted))
        self.claims.append(claim)
        self.waiting.append(claim)
        self.model_grants()
        self.settle()

    @precondition(lambda self: self.holding)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        claim = data.draw(st.sampled_from(self.holding))
        claim.leave.set()
        self.holding.remove(claim)
        self.model_grants()
        self.settle()

    @precondition(lambda self: self.waiting or self.holding)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        claim = data.draw(st.sampled_from(self.waiting + self.holding))
        claim.task.cancel()
        (self.waiting if claim in self.waiting else self.holding).remove(claim)
        self.model_grants()
        self.settle()

    @precondition(lambda self: self.waiting and self.holding)
    @rule(data=st.data())
    def cancel_as_a_place_comes_free(self, data: st.DataObject) -> None:
        """Both in one turn of the loop: the cancelled one must not keep what it was just given."""
        leaver = data.draw(st.sampled_from(self.holding))
        leaver.leave.set()
        waiter = self.waiting[0]
        self.loop.run_until_complete(asyncio.sleep(0))
        waiter.task.cancel()
        self.settle()
        self.holding.remove(leaver)
        self.waiting.remove(waiter)
        self.granted[:] = [number for number in self.granted if number != waiter.number]
        self.model_grants()

    @invariant()
    def as_the_model_says(self) -> None:
        if hasattr(self, "budget"):
            assert [claim for claim in self.claims if claim.held] == sorted(
                self.holding, key=lambda claim: claim.number
            )
            assert self.granted == self.expected
            held = sum(min(claim.size, self.total) for claim in self.holding)
            assert self.budget._free == self.total - held >= 0

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            for claim in self.claims:
                claim.task.cancel()
            self.settle()
            assert self.budget._free == self.total
            assert not self.budget._waiting
            self.loop.close()


BudgetMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestBudget = BudgetMachine.TestCase


async def test_who_waits_too_long_is_told_so_and_keeps_nothing():
    budget = budget_of(10, 0.05)
    async with budget.reserve(10):
        with pytest.raises(Busy):
            async with budget.reserve(1):
                raise AssertionError("there was no place")
    async with budget.reserve(10):
        pass


async def test_a_claim_waits_from_the_last_release_on():
    budget = Budget(1, 1000.0, Gauge("taken", "Taken", registry=None), stall_seconds=0.05)
    async with budget.reserve(1):
        # As if something had just been released, an hour from now.
        budget._released_at = time.monotonic() + 3600
        waiting = asyncio.create_task(budget._acquire(1))
        await eventually(lambda: budget._waiting)
        await asyncio.sleep(0.2)
        assert not waiting.done()
    await waiting
    budget._release(1)
    assert budget._free == 1


async def test_a_claim_gives_up_once_nothing_is_released():
    budget = Budget(1, 1000.0, Gauge("taken", "Taken", registry=None), stall_seconds=0.05)
    async with budget.reserve(1):
        with pytest.raises(Busy):
            async with budget.reserve(1):
                raise AssertionError("there was no place")
    assert not budget._waiting
    async with budget.reserve(1):
        pass


async def test_the_queue_is_bounded():
    budget = budget_of(1, 10.0, max_waiting=3)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(budget.reserve(1))
        waiting = [asyncio.create_task(budget._acquire(1)) for _ in range(3)]
        await eventually(lambda: len(budget._waiting) == 3)
        with pytest.raises(Busy):
            await budget._acquire(1)
        for task in waiting:
            task.cancel()


async def test_a_deadline_that_passes_as_a_place_comes_free_is_busy_not_broken():
    budget = budget_of(1, 1000.0)
    async with budget.reserve(1):
        waiting = asyncio.create_task(budget._acquire(1))
        await eventually(lambda: budget._waiting)
        # What the deadline does first: it cancels the future; the waiter runs a turn later.
        budget._waiting[0][1].cancel()
        budget._grant()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert budget._free == 1
