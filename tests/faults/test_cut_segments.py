"""A broker dies with its last segment half written: what was whole before it is read, and it is written to again."""

import os
import signal
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewTopic

from headrace.bus.admin import admin_client
from headrace.local.kafka import Kafka
from headrace.local.ports import EnginePorts
from headrace.local.supervisor import RestartBudget, Supervisor
from headrace.runtime.settings import EngineSettings
from tests.records import reader
from tests.waiting import eventually

TOPIC = "cut"
RECORDS = [b"first", b"other", b"third"]
# More than the bytes of one record's batch: each partition is cut at another byte.
PARTITIONS = 120


def broker_at(directory: Path, ports: EnginePorts) -> Supervisor:
    return Supervisor(
        Kafka(directory / "kafka", ports),
        logs=directory / "logs",
        progress=lambda _line: None,
        budget=RestartBudget(restarts=0),
    )


async def write(url: str, values: list[bytes]) -> None:
    """Each value to each partition, in a batch of its own."""
    producer = AIOKafkaProducer(bootstrap_servers=url, enable_idempotence=True)
    await producer.start()
    try:
        for value in values:
            sent = [await producer.send(TOPIC, value, partition=number) for number in range(PARTITIONS)]
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
        partitions = [TopicPartition(TOPIC, number) for number in found]
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
@pytest.mark.timeout(300)
async def test_a_segment_cut_at_every_byte_of_its_last_record_is_recovered(tmp_path, row):
    ports = EnginePorts.random()
    broker = broker_at(tmp_path, ports)
    await broker.start()
    try:
        async with admin_client(EngineSettings(kafka=broker.engine.url)) as client:
            await client.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])
        await write(broker.engine.url, RECORDS)
        os.kill(broker.status().pid, signal.SIGKILL)
        await eventually(lambda: broker.state == "failed")
    finally:
        await broker.stop()

    segments = [
        tmp_path / "kafka" / "data" / f"{TOPIC}-{number}" / f"{0:020}.log" for number in range(PARTITIONS)
    ]
    sizes = {segment.stat().st_size for segment in segments}
    assert len(sizes) == 1
    size = sizes.pop()
    last = size // len(RECORDS)
    assert last < PARTITIONS
    for missing, segment in enumerate(segments[: last + 1]):
        os.truncate(segment, size - missing)

    broker = broker_at(tmp_path, ports)
    await broker.start()
    try:
        found = await read(broker.engine.url)
        whole = [0, *range(last + 1, PARTITIONS)]
        assert all(found[number] == RECORDS for number in whole)
        assert all(found[number] == RECORDS[:2] for number in range(1, last + 1))
        await write(broker.engine.url, [b"after"])
        again = await read(broker.engine.url)
        assert all(again[number] == [*found[number], b"after"] for number in found)
    finally:
        await broker.stop()
    row.record(
        bytes_of_the_last_record=last, cuts=last, whole_records_lost=0, partitions_written_again=PARTITIONS
    )
