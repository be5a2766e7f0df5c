"""kill -9 while files are written: what was acknowledged is whole, and what is there is whole."""

import asyncio
import json
import os
import random
from pathlib import Path

import aiohttp
import pytest

from tests.integration.ols.harness import Ols, open_process
from tests.waiting import eventually

KILLS = 2
LOG = {"attachment_type": "log", "content_type": "text/plain", "content": "x" * 90_000}


async def keep_sending(ols: Ols, sender: int, acknowledged: set[str]) -> None:
    """Until the service is gone."""
    number = 0
    try:
        while True:
            name = f"{sender}-{number}-{random.random()}"
            answer = await ols.feedback(user_feedback=name, llm_response="y" * 2_000_000)
            assert answer.status == 200
            acknowledged.add(name)
            question = await ols.ask(name, attachments=[LOG] * 4)
            assert question.status == 200
            acknowledged.add(question.json["conversation_id"])
            number += 1
    except (aiohttp.ClientError, ConnectionError):
        return


def temporary_files(root: Path) -> list[Path]:
    return list(root.rglob(".*.tmp"))


@pytest.mark.slow
async def test_kill_9_leaves_no_half_written_file(tmp_path: Path, record_property):
    root, acknowledged = tmp_path / "user-data", set()
    async with open_process(root) as (ols, process):
        for kill in range(KILLS):
            before = len(acknowledged)
            senders = [asyncio.create_task(keep_sending(ols, sender, acknowledged)) for sender in range(8)]
            await eventually(lambda before=before: len(acknowledged) > before + 20, within_seconds=60)
            # In the middle of a write, as far as that can be seen from here.
            await eventually(lambda: list(root.glob("feedback/.*.tmp")), within_seconds=60, every_seconds=0)
            await process.kill()
            await asyncio.gather(*senders)
            if kill < KILLS - 1:
                await process.start(ready_within_seconds=60)
        left = temporary_files(root)
        for path in left:
            os.utime(path, (0, 0))
        young = root / "feedback" / ".being-written.tmp"
        young.write_bytes(b"")
        await process.start(ready_within_seconds=60)
        await eventually(lambda: temporary_files(root) == [young], within_seconds=30)
    found = [path for path in root.rglob("*.json") if path.is_file()]
    records = [json.loads(path.read_bytes()) for path in found]
    stored = {record.get("user_feedback") for record in records}
    stored |= {record["metadata"].get("conversation_id") for record in records if "metadata" in record}
    assert acknowledged - stored == set()
    record_property(
        "figures",
        f"{KILLS} kills: {len(acknowledged)} acknowledged, {len(found)} files, all whole; "
        f"{len(left)} half-written left under temporary names, swept",
    )
