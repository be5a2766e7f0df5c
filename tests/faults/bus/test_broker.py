"""The broker stops, dies, loses its disk, or half of a record: with a broker that these tests have to themselves."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from time import monotonic

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewTopic

from headrace.bus.admin import admin_client, ensure_topics, reachable
from headrace.bus.consumer import Delivery
from headrace.contracts.topics import PAYLOAD_STATUS
from headrace.local.kafka import Kafka
from headrace.local.ports import EnginePorts
from headrace.local.supervisor import RestartBudget, Supervisor
from headrace.runtime.errors import Retryable
from headrace.runtime.settings import EngineSettings
from tests.calibration import Calibration
from tests.faults.recording import RowRun
from tests.integration.bus.flow import Flow, Note, open_flow, send_stubbornly
from tests.records import reader
from tests.waiting import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow, pytest.mark.timeout(900)]

# A broker that was killed is let in by its heartbeats, which a busy machine delays.
PATIENCE_SECONDS = 180.0
CUT = "cut"
RECORDS = [b"first", b"other", b"third"]
# More than the bytes of one record's batch: each partition is cut at another byte.
PARTITIONS = 120


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Supervisor]:
    directory: Path = tmp_path_factory.mktemp("broker")
    supervisor = Supervisor(
        Kafka(directory / "kafka", EnginePorts.random()),
        logs=directory / "logs",
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
            await eventually(lambda: len(load.acknowledged) > before + 50, within_seconds=PATIENCE_SECONDS)
            print(f"sends again {monotonic() - returned:.1f} s after the broker's return")
            await eventually(lambda: max(seen) > before + 50, within_seconds=PATIENCE_SECONDS)
            print(f"consumes again {monotonic() - returned:.1f} s after the broker's return")
            assert flow.producer.problem is None

            os.kill(broker.status().pid, signal.SIGSTOP)
            refused = load.refused
            await eventually(lambda: load.refused > refused, describe="sends to a hanging broker are refused")
            os.kill(broker.status().pid, signal.SIGCONT)
            before = len(load.acknowledged)
            await eventually(lambda: len(load.acknowledged) > before + 50, within_seconds=PATIENCE_SECONDS)

            os.kill(broker.status().pid, signal.SIGKILL)
            before = len(load.acknowledged)
            await eventually(lambda: len(load.acknowledged) > before + 50, within_seconds=PATIENCE_SECONDS)
            load.stop.set()
            await sending
            await eventually(lambda: seen >= set(load.acknowledged), within_seconds=PATIENCE_SECONDS)
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


async def write(url: str, values: list[bytes]) -> None:
    """Each value to each partition, in a batch of its own."""
    producer = AIOKafkaProducer(bootstrap_servers=url, enable_idempotence=True)
    await producer.start()
    try:
        for value in values:
            sent = [await producer.send(CUT, value, partition=number) for number in range(PARTITIONS)]
            await producer.flush()
            for each in sent:
                await each
    finally:
        await producer.stop()


async def read(url: str) -> dict[int, list[bytes]]:
    found: dict[int, list[bytes]] = {number: [] for number in range(PARTITIONS)}
    consumer = reader(url)
    await consumer.start()
    try:
        partitions = [TopicPartition(CUT, number) for number in found]
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        ends = await consumer.end_offsets(partitions)
        while any([await consumer.position(at) < ends[at] for at in partitions]):
            for at, records in (await consumer.getmany(timeout_ms=200)).items():
                found[at.partition] += [record.value for record in records]
    finally:
        await consumer.stop()
    return found


@pytest.mark.row(29)
async def test_a_segment_cut_at_every_byte_of_its_last_record_is_recovered(
    broker: Supervisor, row: RowRun, monkeypatch: pytest.MonkeyPatch
):
    """A broker dies with its last segment half written: what was whole before it is read, and it is written again."""
    async with admin_client(EngineSettings(kafka=broker.engine.url)) as client:
        await client.create_topics([NewTopic(CUT, PARTITIONS, 1)])
    await write(broker.engine.url, RECORDS)
    # One that hangs is told to end, and killed.
    os.kill(broker.status().pid, signal.SIGSTOP)
    monkeypatch.setattr(broker.engine, "stop_within_seconds", 0.01)
    await broker.stop()
    monkeypatch.undo()

    data = broker.engine.directory / "data"
    assert not (data / ".kafka_cleanshutdown").exists()
    segments = [data / f"{CUT}-{number}" / f"{0:020}.log" for number in range(PARTITIONS)]
    sizes = {segment.stat().st_size for segment in segments}
    assert len(sizes) == 1
    size = sizes.pop()
    last = size // len(RECORDS)
    assert last < PARTITIONS
    for missing, segment in enumerate(segments[: last + 1]):
        os.truncate(segment, size - missing)

    await broker.start()
    found = await read(broker.engine.url)
    whole = [0, *range(last + 1, PARTITIONS)]
    assert all(found[number] == RECORDS for number in whole)
    assert all(found[number] == RECORDS[:2] for number in range(1, last + 1))
    await write(broker.engine.url, [b"after"])
    again = await read(broker.engine.url)
    assert all(again[number] == [*found[number], b"after"] for number in found)
    row.record(
        bytes_of_the_last_record=last, cuts=last, whole_records_lost=0, partitions_written_again=PARTITIONS
    )
