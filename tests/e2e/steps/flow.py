"""What the dataflow test's steps work with."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
from aiokafka import AIOKafkaConsumer

from headrace.objects.store import ObjectStore

IDENTITY = "eyJpZGVudGl0eSI6eyJhY2NvdW50X251bWJlciI6IjEyMzQ1IiwiaW50ZXJuYWwiOnsib3JnX2lkIjoiMTIzNDUifX19"
ORG_ID = "12345"
REQUEST_ID = "test-request-123"
APPEARS_SECONDS = 25.0
POLL_SECONDS = 0.05


class Failed(Exception):
    """The step did not show what it should; the text says what it showed."""


@dataclass
class Flow:
    """Where everything is and what the steps found so far."""

    urls: dict[str, str]
    http: aiohttp.ClientSession
    objects: ObjectStore
    archive_file: Path
    csv_file: Path
    cluster_id: str
    insights_file: Path
    insights_cluster_id: str
    rules_request_id: str = ""
    consumers: dict[str, AIOKafkaConsumer] = field(default_factory=dict)
    known_statuses: set[int] = field(default_factory=set)
    announcement: dict[str, Any] = field(default_factory=dict)
    archive: dict[str, Any] = field(default_factory=dict)
    ros_event: dict[str, Any] = field(default_factory=dict)

    async def close(self) -> None:
        for consumer in self.consumers.values():
            await consumer.stop()

    async def get(self, url: str, **headers: str) -> tuple[int, bytes]:
        async with self.http.get(url, headers=headers) as response:
            return response.status, await response.read()

    async def json(self, url: str, **headers: str) -> Any:
        """What a URL answers with 200."""
        status, body = await self.get(url, **headers)
        expect(status == 200, f"{url} answered {status}: {body[:200]!r}")
        return json.loads(body)

    async def listen(self, topic: str) -> None:
        """See what comes on a topic from here on."""
        consumer = AIOKafkaConsumer(topic, bootstrap_servers=self.urls["kafka"])
        await consumer.start()
        self.consumers[topic] = consumer
        expect(consumer.assignment(), f"there is no topic {topic}")
        await consumer.seek_to_end()
        # Only asking fixes the position.
        for partition in consumer.assignment():
            await consumer.position(partition)

    async def message(self, topic: str, *, of_cluster: bool = False) -> dict[str, Any]:
        """The next message of our request since the upload began; if asked for, of our cluster.

        The id is the document's: an upload that came before may still be on its way under it.
        """
        async for record in self.consumers[topic]:
            message: dict[str, Any] = json.loads(record.value)
            if REQUEST_ID not in (message.get("request_id"), message.get("Request_id")):
                continue
            if not of_cluster or self.cluster_id in message["metadata"].values():
                return message
        raise Failed(f"the consumer of {topic} ended")

    async def statuses(self, request_id: str = REQUEST_ID) -> list[dict[str, Any]]:
        """What the tracker has of a request since the test began."""
        url = f"{self.urls['tracker']}/api/v1/payloads/{request_id}?sort_by=date&sort_dir=asc"
        status, body = await self.get(url, **{"x-rh-identity": IDENTITY})
        expect(status in {200, 404}, f"{url} answered {status}: {body[:200]!r}")
        rows = json.loads(body)["data"] if status == 200 else []
        return [row for row in rows if row["id"] not in self.known_statuses]

    async def tracked(self, *wanted: tuple[str, str], request_id: str = REQUEST_ID) -> None:
        """Wait until the tracker has these statuses; an error of anybody's ends it."""

        async def missing() -> str:
            rows = await self.statuses(request_id)
            errors = [
                f"{row['service']}: {row.get('status_msg')}" for row in rows if row["status"] == "error"
            ]
            expect(not errors, "; ".join(errors))
            left = set(wanted) - {(row["service"], row["status"]) for row in rows}
            return f"missing: {sorted(left)}" if left else ""

        await appears(missing)

    async def stored(self, bucket: str, key: str) -> bytes:
        async with self.objects.get(bucket, key) as chunks:
            return b"".join([chunk async for chunk in chunks])

    async def select(self, statement: str, *arguments: Any) -> list[Any]:
        """The first column of a query of the ROS database, as the document's `psql` asks it."""
        connection = await asyncpg.connect(self.urls["postgres"].rpartition("/")[0] + "/postgres")
        try:
            return [row[0] for row in await connection.fetch(statement, *arguments)]
        finally:
            await connection.close()


def expect(condition: object, reason: str) -> None:
    if not condition:
        raise Failed(reason)


async def appears(problem: Callable[[], Awaitable[str]]) -> None:
    """Wait until there is no problem left; fails with the last one."""
    deadline = time.monotonic() + APPEARS_SECONDS
    while text := await problem():
        expect(time.monotonic() < deadline, f"after {APPEARS_SECONDS:.0f} s: {text}")
        await asyncio.sleep(POLL_SECONDS)
