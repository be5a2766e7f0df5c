import asyncio
import socket
from collections.abc import Callable
from time import monotonic

import pytest

from headrace.bus.admin import ensure_topics, reachable
from headrace.bus.producer import Producer, _Connection
from headrace.contracts.topics import Topic
from headrace.runtime.errors import Permanent, Retryable
from headrace.runtime.metrics import REGISTRY
from headrace.runtime.settings import EngineSettings
from tests.calibration import Calibration
from tests.integration.bus.flow import Flow, Note


async def test_a_sent_message_is_there_when_send_returns(flow: Flow):
    await flow.producer.send(
        flow.topic, Note(request_id="r"), key="cluster", headers={"service": "hccm"}, timeout_seconds=5
    )
    (record,) = await flow.records(flow.topic.name)
    assert Note.from_json(record.value) == Note(request_id="r")
    assert (record.key, record.headers) == (b"cluster", (("service", b"hccm"),))


async def test_a_topic_that_is_not_there_is_answered_within_the_deadline(flow: Flow, fresh: Callable):
    machine, began = Calibration(), monotonic()
    with pytest.raises(Retryable, match="the topic does not exist"):
        await flow.producer.send(Topic(fresh("none"), Note), Note(request_id="r"), timeout_seconds=0.5)
    lasted = monotonic() - began
    assert lasted < machine.wall(10)


async def test_a_broker_that_is_away_is_answered_at_once():
    producer = await Producer.open(EngineSettings(kafka="127.0.0.1:9"), service="test")
    machine, began = Calibration(), monotonic()
    with pytest.raises(Retryable, match=r"cannot reach Kafka at 127\.0\.0\.1:9"):
        await producer.send_raw("any", b"", key=None, timeout_seconds=5)
    lasted = monotonic() - began
    assert lasted < machine.wall(15)
    assert "127.0.0.1:9" in producer.problem
    await producer.close()


async def test_a_broker_that_hangs_is_answered_within_the_deadline():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        producer = Producer(_Connection(EngineSettings(kafka=address), "test"), "test")
        machine, began = Calibration(), monotonic()
        with pytest.raises(Retryable, match=r"no acknowledgement within 0\.5 s"):
            await producer.send_raw("any", b"", key=None, timeout_seconds=0.5)
        lasted = monotonic() - began
        assert lasted < machine.wall(10)
        await producer.close()


async def test_a_message_too_large_is_the_senders_fault_and_the_next_one_passes(flow: Flow):
    # The broker refuses the first batch, whose sequence number is then missing.
    with pytest.raises(Permanent, match="MessageSizeTooLarge"):
        await flow.send_bytes(b"x" * 1_500_000, key=b"k")
    with pytest.raises(Permanent, match="MessageSizeTooLarge"):
        await flow.send_bytes(b"x" * 3_000_000, key=b"k")
    for n in range(3):
        await flow.send([Note(request_id=str(n), key="k")])
    assert len(await flow.records(flow.topic.name)) == 3


async def test_messages_of_a_key_keep_their_order_through_a_replaced_connection(flow: Flow):
    async def one(n: int) -> None:
        await flow.send([Note(request_id=str(n), key="k", n=n)])

    for n in range(10):
        if n == 5:
            connection = flow.producer._connection
            connection.replace(await connection.client(), "test")
        await one(n)
    records = await flow.records(flow.topic.name)
    assert [Note.from_json(record.value).n for record in records] == list(range(10))


async def test_each_service_is_counted_under_its_own_name(flow: Flow, fresh: Callable):
    service = fresh("service")
    await flow.producer.for_service(service).send(flow.topic, Note(request_id="r"))
    labels = {"service": service, "topic": flow.topic.name}
    assert REGISTRY.get_sample_value("headrace_produced_total", labels) == 1


async def test_topics_are_made_once_however_many_processes_try(kafka_url: str, fresh: Callable):
    settings = EngineSettings(kafka=kafka_url)
    topics = [Topic(fresh("raced"), Note, 2), Topic(fresh("raced"), Note, 1)]
    made = await asyncio.gather(*(ensure_topics(settings, topics) for _ in range(4)))
    names = [name for new in made for name in new]
    assert sorted(names) == sorted(name for topic in topics for name in (topic.name, topic.dead_letters))
    assert await ensure_topics(settings, topics) == []


async def test_whether_the_broker_answers(kafka_url: str):
    assert await reachable(EngineSettings(kafka=kafka_url), 5)
    assert not await reachable(EngineSettings(kafka="127.0.0.1:9"), 1)
