"""Consumes into PostgreSQL and dies by SIGKILL at random points; run as a nursery of such children.

A child is forked from here, imports done, for each round: usage `KAFKA POSTGRES TOPIC GROUP SERVICE SEED`, then
one line `kill` or `live` a round on stdin, answered by the child's exit status on stdout.
"""

import asyncio
import os
import random
import signal
import sys

import asyncpg

from headrace.bus.consumer import Consumer, Delivery
from headrace.bus.consumption import Consumption
from headrace.bus.producer import Producer
from headrace.bus.statuses import StatusReporter
from headrace.contracts.topics import Topic
from headrace.runtime.errors import Poison
from headrace.runtime.settings import EngineSettings
from tests.integration.bus.flow import BRISK, Note

EFFECT = """
INSERT INTO effects (request_id, n) VALUES ($1, $2)
ON CONFLICT (request_id) DO UPDATE SET deliveries = effects.deliveries + 1
"""


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def consume(arguments: list[str], seed: int, *, kill: bool) -> None:
    kafka, postgres, topic, group, service = arguments
    settings = EngineSettings(kafka=kafka)
    draw = random.Random(seed)
    # Sometimes at once after an effect, sometimes whenever it may be: between commits, in a dead letter, in a status.
    dies_after = draw.randrange(1, 60) if draw.random() < 0.6 else 10**9
    dies_at_seconds = draw.uniform(0.05, 1.2)
    effects = 0
    told_to_stop = asyncio.Event()
    if kill:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    else:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told_to_stop.set)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    async with asyncpg.create_pool(postgres, min_size=4, max_size=4) as pool:

        async def handle(note: Note, _delivery: Delivery) -> None:
            nonlocal effects
            if note.n % 50 == 7:
                raise Poison("every fiftieth")
            await pool.execute(EFFECT, note.request_id, note.n)
            effects += 1
            if kill and effects == dies_after:
                die()

        producer = await Producer.open(settings, service=service)
        consumer = Consumer(
            Consumption(topic=Topic(topic, Note), group=group, concurrency=4, membership=BRISK),
            handle,
            service=service,
            settings=settings,
            producer=producer,
            statuses=StatusReporter(producer, service),
        )
        if kill:
            asyncio.get_running_loop().call_later(dies_at_seconds, die)

        async def stop() -> None:
            await told_to_stop.wait()
            await consumer.stop(10)

        stopping = asyncio.create_task(stop())
        await consumer.run()
        await stopping
        await producer.close()


def main() -> None:
    *arguments, seed = sys.argv[1:]
    for round_number, line in enumerate(sys.stdin):
        # Until each of the two has its own handler: told to end too early, neither must miss it.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        child = os.fork()
        if child == 0:
            # Logs go to stderr; stdout is for the answers.
            os.dup2(2, 1)
            asyncio.run(consume(arguments, int(seed) + round_number, kill=line.strip() == "kill"))
            os._exit(0)
        # So that a nursery told to end takes its child along.
        signal.signal(signal.SIGTERM, lambda *_, child=child: os.kill(child, signal.SIGTERM))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
