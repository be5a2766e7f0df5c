from collections.abc import Callable
from dataclasses import replace
from random import Random

from headrace.bus.admin import ensure_topics
from headrace.bus.consumer import Consumer
from headrace.bus.consumption import Consumption
from headrace.bus.producer import Producer
from headrace.contracts.status import PayloadStatus
from headrace.contracts.topics import PAYLOAD_STATUS
from headrace.database.pool import Database
from headrace.runtime.settings import EngineSettings
from headrace_services.payload_tracker.handlers import status_handler
from headrace_services.payload_tracker.store import BatchWriter, TrackerStore
from tests.engines import SessionEngines
from tests.waiting import eventually


async def test_statuses_on_the_topic_become_rows_and_bad_ones_do_not_stop_them(
    engines: SessionEngines, tables: Database, store: TrackerStore, fresh: Callable[[str], str]
) -> None:
    import asyncio

    settings = EngineSettings(kafka=engines.kafka)
    topic = replace(PAYLOAD_STATUS, name=fresh("statuses"))
    await ensure_topics(settings, [topic])
    producer = await Producer.open(settings, service="test")
    messages = [
        PayloadStatus(
            service="Ingress" if step < 2 else "archiver",
            request_id=f"test-request-{number}",
            org_id="000001",
            status=("received", "success")[step % 2],
            date=f"2026-11-21 21:28:{10 + step}.990776141",
        )
        for number in range(50)
        for step in range(4)
    ]
    messages += messages[:60]
    messages += [messages[0].model_copy(update=bad) for bad in ({"request_id": ""}, {"date": "soon"})]
    Random(1).shuffle(messages)
    consumer = Consumer(
        Consumption(topic, group=fresh("tracker"), concurrency=32),
        status_handler(BatchWriter(store)),
        service="payload_tracker",
        settings=settings,
        producer=producer,
        key=lambda _message, _delivery: None,
    )
    running = asyncio.create_task(consumer.run())
    try:
        await asyncio.gather(*(producer.send(topic, message) for message in messages))
        count = "select count(*) from payload_statuses"
        await eventually(lambda: _is(tables, count, 200), within_seconds=30)
        assert await tables.fetch_value("select count(*) from payloads") == 50
        assert {row["name"] for row in await tables.fetch("select name from services")} == {
            "ingress",
            "archiver",
        }
    finally:
        await consumer.stop(10)
        await running
        await producer.close()
    assert await tables.fetch_value(count) == 200


async def _is(database: Database, statement: str, expected: int) -> bool:
    return bool(await database.fetch_value(statement) == expected)
