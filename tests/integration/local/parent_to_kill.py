"""Holds a stack until somebody kills it: `parent_to_kill.py DIRECTORY PORT-BASE`; says `ready` when it is."""

import asyncio
import sys
from pathlib import Path

from headrace.local.ports import EnginePorts
from headrace.local.stack import Engines


async def main():
    async with Engines(Path(sys.argv[1]), EnginePorts.at(int(sys.argv[2])), s3="seaweedfs"):
        print("ready", flush=True)
        await asyncio.Event().wait()


asyncio.run(main())
