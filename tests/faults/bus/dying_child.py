"""Consumes until it is told to stop, and is killed at one of its messages.

Usage: `KAFKA TOPIC GROUP SERVICE ENDS FILE WHEN NUMBER`. WHEN is `within` the handling of the message with that number,
or `after` it has ended and before its offset is committed.
"""

import asyncio
import os
import signal
import sys

from headrace.bus.consumer import Consumer, Delivery
from headrace.bus.consumption import Consumption
from headrace.bus.producer import Producer
from headrace.contracts.topics import Topic
from headrace.runtime.settings import EngineSettings
from tests.integration.bus.flow import BRISK, Note


async def consume(
    kafka: str, topic: str, group: str, service: str, ends: str, file: str, when: str, deadly: str
) -> None:
    settings = EngineSettings(kafka=kafka, process_ends=int(ends))
    handled = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def handle(note: Note, _delivery: Delivery) -> None:
        if note.n == int(deadly) and when == "within":
            # The others are to be under way.
            await asyncio.sleep(0.1)
            os.kill(os.getpid(), signal.SIGKILL)
        await asyncio.sleep(0.2)
        os.write(handled, f"{note.n}\n".encode())
        if note.n == int(deadly):
            asyncio.get_running_loop().call_later(0.1, os.kill, os.getpid(), signal.SIGKILL)

    producer = await Producer.open(settings, service=service)
    consumer = Consumer(
        Consumption(topic=Topic(topic, Note), group=group, membership=BRISK),
        handle,
        service=service,
        settings=settings,
        producer=producer,
    )
    stopping: list[asyncio.Task[None]] = []
    asyncio.get_running_loop().add_signal_handler(
        signal.SIGTERM, lambda: stopping.append(asyncio.create_task(consumer.stop(10)))
    )
    await consumer.run()
    await asyncio.gather(*stopping)
    await producer.close()


if __name__ == "__main__":
    asyncio.run(consume(*sys.argv[1:]))
