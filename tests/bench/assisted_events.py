"""The assisted installer's Test 2: a large cluster's events, from the tables to the archiver."""

import asyncio
import time
from typing import Any

import aiohttp
import psutil
from aiokafka import AIOKafkaConsumer

from headrace.contracts.archive_synced import ArchiveSynced
from headrace.contracts.topics import ARCHIVE_SYNCED
from headrace_services.assisted_events.api import PREFIX
from tests.bench.memory import peak_mib
from tests.bench.report import Figure, of_rounds

TITLE = "Assisted installer events"
TEXT = (
    "A cluster of 200 hosts (19 kB of JSON each) with 50,000 events ends its installation: the simulation is stored in "
    "PostgreSQL, then notified of, queried, sanitised, packed and sent to ingress, then archived. The service, ingress "
    "and archiver are processes of their own."
)
HOSTS, EVENTS = 200, 50_000
ROUNDS = 3
SECONDS = 300


async def measure(url: str, brokers: str, process: psutil.Process) -> list[Figure]:
    """Times of each stage, CPU and memory of the service."""
    consumer = AIOKafkaConsumer(ARCHIVE_SYNCED.name, bootstrap_servers=brokers, auto_offset_reset="latest")
    await consumer.start()
    await consumer.seek_to_end()
    before = _cpu_seconds(process)
    try:
        async with aiohttp.ClientSession(url, timeout=aiohttp.ClientTimeout(total=SECONDS)) as session:
            rounds = [await _round(session, consumer) for _ in range(ROUNDS)]
    finally:
        await consumer.stop()
    stored, sent, received = zip(*rounds, strict=True)
    in_all = [sum(seconds) for seconds in rounds]
    return [
        of_rounds("stored", stored, "s", digits=1),
        of_rounds("… queried, packed and sent", sent, "s", digits=1),
        of_rounds("… and archived", received, "s", digits=2),
        of_rounds("Test 2 in all", in_all, "s", digits=1, bar="< 5 s"),
        Figure("CPU of the service, a cluster", f"{(_cpu_seconds(process) - before) / ROUNDS:.1f} s"),
        Figure("peak RSS", f"{peak_mib(process.pid) * 1.048576:.0f} MB", bar="< 150 MB"),
    ]


async def _round(session: aiohttp.ClientSession, consumer: AIOKafkaConsumer) -> tuple[float, float, float]:
    began = time.perf_counter()
    async with session.post(f"{PREFIX}/simulations", json={"hosts": HOSTS, "events": EVENTS}) as response:
        (made,) = (await response.json())["clusters"]
    stored = time.perf_counter()
    if made["events"] != EVENTS:
        raise RuntimeError(f"stored {made['events']} of {EVENTS} events")
    async with asyncio.timeout(SECONDS):
        sending = await _sent(session, made["id"])
        sent = time.perf_counter()
        if (sending["hosts"], sending["events"]) != (HOSTS, EVENTS):
            raise RuntimeError(f"sent {sending['hosts']} hosts and {sending['events']} events")
        await _archived(consumer, made["id"])
    return stored - began, sent - stored, time.perf_counter() - sent


async def _sent(session: aiohttp.ClientSession, cluster_id: str) -> dict[str, Any]:
    while True:
        async with session.get(f"{PREFIX}/sendings", params={"cluster_id": cluster_id}) as response:
            rows = (await response.json())["data"]
        if rows and rows[0]["state"] == "sent":
            row: dict[str, Any] = rows[0]
            return row
        if rows and rows[0]["state"] not in {"waiting", "sending"}:
            raise RuntimeError(f"it was not sent: {rows[0]}")
        await asyncio.sleep(0.02)


async def _archived(consumer: AIOKafkaConsumer, cluster_id: str) -> None:
    async for record in consumer:
        if ArchiveSynced.from_json(record.value).metadata.cluster_id == cluster_id:
            return


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system
