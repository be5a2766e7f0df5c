"""Consumes until it is told to stop, and is killed by one of its messages: `KAFKA TOPIC GROUP SERVICE ENDS FILE`."""

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

DEADLY = 7


async def consume(kafka: str, topic: str, group: str, service: str, ends: str, file: str) -> None:
    settings = EngineSettings(kafka=kafka, process_ends=int(ends))
    handled = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def handle(note: Note, _delivery: Delivery) -> None:
        if note.n == DEADLY:
            # The others are to be under way.
            await asyncio.sleep(0.1)
            os.kill(os.getpid(), signal.SIGKILL)
        await asyncio.sleep(0.2)
        os.write(handled, f"{note.n}\n".encode())

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
