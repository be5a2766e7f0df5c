from collections.abc import Callable

import pytest

from headrace.bus.admin import ensure_topics
from headrace.bus.consumer import Delivery
from headrace.runtime.errors import Poison
from tests.integration.bus.flow import Note, open_flow
from tests.waiting import eventually


@pytest.mark.row(16)
async def test_without_its_dead_letter_topic_a_consumer_holds_and_resumes_when_it_is_there(
    kafka_url: str, fresh: Callable[[str], str], monkeypatch
):
    # As a producer's caller: the wait for a topic that is not there is the deadline of one send.
    monkeypatch.setattr("headrace.bus.processing.SEND_SECONDS", 0.5)
    seen: list[int] = []

    async def handle(note: Note, _delivery: Delivery) -> None:
        if note.n == 2:
            raise Poison("bad")
        seen.append(note.n)

    async with open_flow(kafka_url, fresh, partitions=1, dead_letters=False) as flow:
        await flow.send(Note(request_id=f"r{n}", key="k", n=n) for n in range(5))
        consumer = flow.consumer(handle)
        async with flow.running(consumer):
            await eventually(lambda: "held since" in (consumer.problem or ""))
            assert f"{flow.topic.dead_letters}: no acknowledgement" in consumer.problem
            await eventually(flow.committed, describe="what came before is committed")
            assert await flow.committed() == 2
            assert seen == [0, 1]
            await ensure_topics(flow.settings, [flow.topic])
            await eventually(lambda: seen == [0, 1, 3, 4])
            await eventually(lambda: consumer.problem is None)
        assert await flow.committed() == 5
        assert len(await flow.dead()) == 1
