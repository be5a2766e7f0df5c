"""Puts back the dead letters of a topic: usage `KAFKA DEAD_LETTER_TOPIC`. Says so on stdout when it begins."""

import asyncio
import sys

from headrace.bus.dead_letters import redrive
from headrace.runtime.settings import EngineSettings

if __name__ == "__main__":
    kafka, topic = sys.argv[1:]
    print("begun", flush=True)
    asyncio.run(redrive(EngineSettings(kafka=kafka), topic))
