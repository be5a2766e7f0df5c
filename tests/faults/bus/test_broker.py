"""The broker stops, dies, loses its disk: under load, with a broker of the test's own."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from time import monotonic

import pytest

from headrace.bus.admin import ensure_topics, reachable
from headrace.bus.consumer import Delivery
from headrace.contracts.topics import PAYLOAD_STATUS
from headrace.local.kafka import Kafka
from headrace.local.ports import EnginePorts
from headrace.local.supervisor import RestartBudget, Supervisor
from headrace.runtime.errors import Retryable
from tests.calibration import Calibration
from tests.integration.bus.flow import Flow, Note, open_flow, send_stubbornly
from tests.waiting import eventually


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(
        Kafka(tmp_path / "kafka", EnginePorts.random()),
        logs=tmp_path / "logs",
        progress=lambda _line: None,
        budget=RestartBudget(restarts=3),
    )
    await supervisor.start()
    yield supervisor
    await supervisor.stop()


class Load:
    """A sender that repeats what was not acknowledged, as the callers of ingress do."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.acknowledged: list[int] = []
        self.refused = 0
        self.slowest_seconds = 0.0
        self.stop = asyncio.Event()

    async def run(self) -> None:
        n = 0
        while not self.stop.is_set():
            began = monotonic()
            try:
                note = Note(request_id=f"r{n}", key=f"k{n % 5}", n=n)
                await self.flow.producer.send(self.flow.topic, note, key=note.key, timeout_seconds=1.5)
            except Retryable:
                self.refused += 1
                # Refused at once while the connection is made anew: as a client would, wait a little.
                await asyncio.sleep(0.05)
            else:
                self.acknowledged.append(n)
                n += 1
                await asyncio.sleep(0.002)
            self.slowest_seconds = max(self.slowest_seconds, monotonic() - began)


@pytest.mark.row(21)
async def test_a_stop_a_hang_and_a_kill_of_the_broker_lose_nothing(
    broker: Supervisor, fresh: Callable[[str], str]
):
    seen: set[int] = set()
    deliveries = 0

    async def handle(note: Note, _delivery: Delivery) -> None:
        nonlocal deliveries
        deliveries += 1
        seen.add(note.n)

    async with open_flow(broker.engine.url, fresh) as flow:
        load = Load(flow)
        sending = asyncio.create_task(load.run())
        consumer = flow.consumer(handle, statuses=True)
        async with flow.running(consumer) as (run,):
            await eventually(lambda: len(seen) > 100)

            await broker.stop()
            refused = load.refused
            await eventually(lambda: load.refused > refused, describe="sends are refused")
            assert flow.producer.problem is not None
            await broker.start()
            returned, before = monotonic(), len(load.acknowledged)
            await eventually(lambda: len(load.acknowledged) > before + 50, within_seconds=60)
            print(f"sends again {monotonic() - returned:.1f} s after the broker's return")
            await eventually(lambda: max(seen) > before + 50, within_seconds=60)
            print(f"consumes again {monotonic() - returned:.1f} s after the broker's return")
            assert flow.producer.problem is None

            os.kill(broker.status().pid, signal.SIGSTOP)
            refused = load.refused
            await eventually(lambda: load.refused > refused, describe="sends to a hanging broker are refused")
            os.kill(broker.status().pid, signal.SIGCONT)
            before = len(load.acknowledged)
            await eventually(lambda: len(load.acknowledged) > before + 50, within_seconds=60)

            os.kill(broker.status().pid, signal.SIGKILL)
            before = len(load.acknowledged)
            await eventually(lambda: len(load.acknowledged) > before + 50, within_seconds=60)
            load.stop.set()
            await sending
            await eventually(lambda: seen >= set(load.acknowledged), within_seconds=60)
            await eventually(lambda: consumer.problem is None)
            assert not run.done()
        records = await flow.records(flow.topic.name)
        assert await flow.committed() == len(records)
    assert load.slowest_seconds < Calibration().wall(15)
    print(
        f"{len(load.acknowledged)} acknowledged, {load.refused} refused, "
        f"{len(records) - len(load.acknowledged)} duplicates in the topic, {deliveries - len(records)} redeliveries"
    )


@pytest.mark.row(21)
async def test_a_broker_that_comes_back_with_an_empty_disk_is_used_again(
    broker: Supervisor, fresh: Callable[[str], str]
):
    seen: set[str] = set()

    async def handle(note: Note, _delivery: Delivery) -> None:
        seen.add(note.request_id)

    async with open_flow(broker.engine.url, fresh) as flow, flow.running(flow.consumer(handle)):
        await flow.send(Note(request_id=f"before{n}", key="k", n=n) for n in range(20))
        await eventually(lambda: len(seen) == 20)
        await broker.stop()
        shutil.rmtree(broker.engine.directory / "data")
        await broker.start()
        await ensure_topics(flow.settings, [flow.topic, PAYLOAD_STATUS])
        assert await reachable(flow.settings)
        await send_stubbornly(flow, [Note(request_id=f"after{n}", key="k", n=n) for n in range(20)])
        await eventually(lambda: len(seen) == 40)
