"""Under a continuous sender every container is killed, then replaced, in turn: nothing is lost, nothing is doubled."""

import asyncio
import time

from tests.containers.engine import ROWS
from tests.containers.uploads import send_until, verdict_of


async def under_load(stack, disturb):
    """Disturb every service, one after the other, while senders send; returns the verdict and a line a service."""
    done = asyncio.Event()
    sending = asyncio.create_task(send_until(done, stack.urls["ingress"]))
    lines = []
    try:
        for row in ROWS:
            began = time.monotonic()
            await disturb(row)
            await stack.healthy(stack.containers[row])
            lines.append(f"{row} is healthy again after {time.monotonic() - began:.1f} s")
    finally:
        done.set()
        sent = await sending
    return sent, await verdict_of(sent, stack.settings), "\n".join(lines)


async def test_killed_containers_come_back_and_nothing_is_lost_or_doubled(healthy, record_property):
    async def kill(row):
        await healthy.kill(healthy.containers[row])

    sent, verdict, lines = await under_load(healthy, kill)
    record_property("figures", f"kill -9 of each container\n{lines}\n{verdict}")
    assert verdict.broken == []
    assert len([upload for upload in sent if upload.acknowledged]) > len(ROWS)


async def test_every_service_is_replaced_under_load_and_no_upload_fails(healthy, record_property):
    async def replace(row):
        await asyncio.to_thread(healthy.replace, row)

    sent, verdict, lines = await under_load(healthy, replace)
    record_property("figures", f"replacement of each container\n{lines}\n{verdict}")
    assert verdict.broken == []
    assert [upload for upload in sent if not upload.acknowledged] == []


async def test_killed_engines_come_back_and_nothing_is_lost_or_doubled(healthy, record_property):
    done = asyncio.Event()
    sending = asyncio.create_task(send_until(done, healthy.urls["ingress"]))
    try:
        for name in ("kafka_1", "minio_1", "db-ros_1"):
            await healthy.kill(name)
            await healthy.healthy()
    finally:
        done.set()
        sent = await sending
    verdict = await verdict_of(sent, healthy.settings)
    record_property("figures", f"kill -9 of each engine's container\n{verdict}")
    assert verdict.broken == []
