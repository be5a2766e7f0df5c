"""The dataflow test of the ROS document, against any running stack: one line a step, non-zero at the first failure.

    python tests/e2e/dataflow.py [--ingress URL] [--tracker URL] [--archiver URL] [--s3 URL] [--kafka HOST:PORT]

What is not given comes from HEADRACE_INGRESS, HEADRACE_TRACKER, HEADRACE_ARCHIVER, HEADRACE_S3 and HEADRACE_KAFKA, else
from the local stack that runs on HEADRACE_DIRECTORY (.headrace), else from the documents' ports.
"""

import argparse
import asyncio
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiokafka import AIOKafkaConsumer

from headrace.local.stack import read_run
from headrace.objects.endpoint import S3Endpoint
from headrace.objects.store import ObjectStore
from headrace.samples import KINDS, SampleOptions

SEED_URLS = {
    "ingress": "http://localhost:3000",
    "tracker": "http://localhost:8003",
    "archiver": "http://localhost:8004",
    "s3": "http://minioaccesskey:miniosecretkey@localhost:9000",
    "kafka": "localhost:29092",
}
IDENTITY = "eyJpZGVudGl0eSI6eyJhY2NvdW50X251bWJlciI6IjEyMzQ1IiwiaW50ZXJuYWwiOnsib3JnX2lkIjoiMTIzNDUifX19"
REQUEST_ID = "test-request-123"
STAGE_BUCKET = "insights-upload-perma"
ANNOUNCE, SOURCES, SYNCED = "platform.upload.announce", "platform.sources.event-stream", "ccx.archive.synced"
S3_HEALTH_PATHS = ("/minio/health/live", "/healthz")
STEP_SECONDS = 30.0
HOPS_SECONDS = 25.0
POLL_SECONDS = 0.05


class Failed(Exception):
    """The step did not show what it should; the text says what it showed."""


@dataclass
class Flow:
    """What the steps work with and what they found so far."""

    urls: dict[str, str]
    http: aiohttp.ClientSession
    objects: ObjectStore
    file: Path
    cluster_id: str
    consumers: dict[str, AIOKafkaConsumer] = field(default_factory=dict)
    known_statuses: set[int] = field(default_factory=set)
    announcement: dict[str, Any] = field(default_factory=dict)
    archive: dict[str, Any] = field(default_factory=dict)

    async def close(self) -> None:
        for consumer in self.consumers.values():
            await consumer.stop()

    async def get(self, url: str, **headers: str) -> tuple[int, bytes]:
        async with self.http.get(url, headers=headers) as response:
            return response.status, await response.read()

    async def statuses(self) -> list[dict[str, Any]]:
        url = f"{self.urls['tracker']}/api/v1/payloads/{REQUEST_ID}?sort_by=date&sort_dir=asc"
        status, body = await self.get(url)
        expect(status in {200, 404}, f"{url} answered {status}: {body[:200]!r}")
        rows = json.loads(body)["data"] if status == 200 else []
        return [row for row in rows if row["id"] not in self.known_statuses]

    async def message(self, topic: str) -> dict[str, Any]:
        """The next message of our request since the upload began."""
        async for record in self.consumers[topic]:
            message: dict[str, Any] = json.loads(record.value)
            if message.get("request_id") == REQUEST_ID:
                return message
        raise Failed(f"the consumer of {topic} ended")

    async def stored(self, bucket: str, key: str) -> bytes:
        async with self.objects.get(bucket, key) as chunks:
            return b"".join([chunk async for chunk in chunks])


def expect(condition: object, reason: str) -> None:
    if not condition:
        raise Failed(reason)


async def ingress_is_healthy(flow: Flow) -> None:
    status, body = await flow.get(f"{flow.urls['ingress']}/api/ingress/v1/version")
    expect(status == 200 and "version" in json.loads(body), f"answered {status}: {body[:200]!r}")


async def object_store_is_healthy(flow: Flow) -> None:
    address = flow.objects.endpoint.url
    answers = {path: (await flow.get(address + path))[0] for path in S3_HEALTH_PATHS}
    expect(200 in answers.values(), f"{address} answered {answers}")


async def tracker_is_healthy(flow: Flow) -> None:
    status, body = await flow.get(f"{flow.urls['tracker']}/health")
    expect(status == 200, f"answered {status}: {body[:200]!r}")


async def kafka_is_listened_to(flow: Flow) -> None:
    for topic in (ANNOUNCE, SOURCES, SYNCED):
        consumer = AIOKafkaConsumer(topic, bootstrap_servers=flow.urls["kafka"])
        await consumer.start()
        flow.consumers[topic] = consumer
        expect(consumer.assignment(), f"there is no topic {topic}")
        await consumer.seek_to_end()
        # Only asking fixes the position: what comes from here on is ours to see.
        for partition in consumer.assignment():
            await consumer.position(partition)
    flow.known_statuses = {row["id"] for row in await flow.statuses()}


async def upload_is_accepted(flow: Flow) -> None:
    form = aiohttp.FormData()
    form.add_field(
        "file", flow.file.read_bytes(), filename=flow.file.name, content_type="application/octet-stream"
    )
    headers = {"x-rh-identity": IDENTITY, "x-rh-request-id": REQUEST_ID}
    url = f"{flow.urls['ingress']}/api/ingress/v1/upload"
    async with flow.http.post(url, data=form, headers=headers) as response:
        body = await response.read()
    expect(response.status == 202, f"answered {response.status}: {body[:200]!r}")
    expect(json.loads(body)["request_id"] == REQUEST_ID, f"answered {body!r}")


async def upload_is_announced(flow: Flow) -> None:
    flow.announcement = await flow.message(ANNOUNCE)
    seen = {name: flow.announcement.get(name) for name in ("service", "size", "org_id", "b64_identity")}
    wanted = {
        "service": "hccm",
        "size": flow.file.stat().st_size,
        "org_id": "12345",
        "b64_identity": IDENTITY,
    }
    expect(seen == wanted, f"announced {seen}, expected {wanted}")


async def sources_topic_has_the_copy(flow: Flow) -> None:
    copy = await flow.message(SOURCES)
    expect(copy == flow.announcement, f"{copy} differs from {flow.announcement}")


async def upload_is_staged(flow: Flow) -> None:
    bucket = flow.announcement.get("bucket", STAGE_BUCKET)
    expect(bucket == STAGE_BUCKET, f"the bucket is {bucket}")
    found = await flow.stored(bucket, flow.announcement.get("object_key", REQUEST_ID))
    expect(found == flow.file.read_bytes(), f"{bucket} holds {len(found)} other bytes")


async def announced_url_reads_the_upload(flow: Flow) -> None:
    status, body = await flow.get(flow.announcement["url"])
    expect(status == 200 and body == flow.file.read_bytes(), f"answered {status} with {len(body)} bytes")


async def every_hop_is_tracked(flow: Flow) -> None:
    wanted = {("ingress", "received"), ("ingress", "success"), ("archiver", "success")}
    deadline = time.monotonic() + HOPS_SECONDS
    while True:
        rows = await flow.statuses()
        errors = [f"{row['service']}: {row.get('status_msg')}" for row in rows if row["status"] == "error"]
        expect(not errors, "; ".join(errors))
        missing = wanted - {(row["service"], row["status"]) for row in rows}
        if not missing:
            return
        expect(time.monotonic() < deadline, f"missing after {HOPS_SECONDS:.0f} s: {sorted(missing)}")
        await asyncio.sleep(POLL_SECONDS)


async def archive_is_in_the_layout(flow: Flow) -> None:
    url = f"{flow.urls['archiver']}/api/archives/v1/archives?request_id={REQUEST_ID}"
    status, body = await flow.get(url, **{"x-rh-identity": IDENTITY})
    expect(status == 200, f"answered {status}: {body[:200]!r}")
    rows = json.loads(body)["data"]
    expect(rows, "the archiver knows of none")
    flow.archive = rows[-1]
    cluster = re.escape(flow.cluster_id)
    pattern = rf"archives/compressed/{flow.cluster_id[:2]}/{cluster}/\d{{6}}/\d{{2}}/\d{{6}}\.tar\.gz"
    expect(re.fullmatch(pattern, flow.archive["key"]), f"its key is {flow.archive['key']}")
    found = await flow.stored(flow.archive["bucket"], flow.archive["key"])
    expect(found == flow.file.read_bytes(), f"the archive holds {len(found)} other bytes")


async def archive_is_told_of(flow: Flow) -> None:
    message = await flow.message(SYNCED)
    seen = (message["path"], message["metadata"]["cluster_id"])
    wanted = (flow.archive["key"], flow.cluster_id)
    expect(seen == wanted, f"told of {seen}, expected {wanted}")


STEPS: tuple[Callable[[Flow], Awaitable[None]], ...] = (
    ingress_is_healthy,
    object_store_is_healthy,
    tracker_is_healthy,
    kafka_is_listened_to,
    upload_is_accepted,
    upload_is_announced,
    sources_topic_has_the_copy,
    upload_is_staged,
    announced_url_reads_the_upload,
    every_hop_is_tracked,
    archive_is_in_the_layout,
    archive_is_told_of,
)


async def run(urls: dict[str, str]) -> int:
    # A seed of its own: the request id is always the same, the bytes are new each time.
    options = SampleOptions(seed=time.time_ns())
    async with AsyncExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="headrace-dataflow-"))
        timeout = aiohttp.ClientTimeout(total=STEP_SECONDS)
        http = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout))
        objects = await ObjectStore.open(S3Endpoint.parse(urls["s3"]))
        stack.push_async_callback(objects.close)
        file = KINDS["cost"].generate(Path(directory), options)[0]
        flow = Flow(urls, http, objects, file, options.cluster())
        stack.push_async_callback(flow.close)
        for step in STEPS:
            if not await passes(step, flow):
                return 1
    return 0


async def passes(step: Callable[[Flow], Awaitable[None]], flow: Flow) -> bool:
    name, began = step.__name__.replace("_", " "), time.monotonic()
    try:
        async with asyncio.timeout(STEP_SECONDS):
            await step(flow)
    except Exception as error:  # noqa: BLE001 -- whatever went wrong is this step's failure
        reason = str(error) or type(error).__name__
        print(f"FAIL {name} {time.monotonic() - began:.3f} s: {reason}", flush=True)
        return False
    print(f"PASS {name} {time.monotonic() - began:.3f} s", flush=True)
    return True


def local_urls() -> dict[str, str]:
    """Of the stack that runs on the directory."""
    state = read_run(Path(os.environ.get("HEADRACE_DIRECTORY", ".headrace"))) or {}
    names = {"ingress": "ingress", "tracker": "payload_tracker", "archiver": "archiver"}
    services = state.get("services", {})
    found = {name: services[row]["url"] for name, row in names.items() if row in services}
    return found | {row["name"]: row["url"] for row in state.get("engines", ())}


def main() -> int:
    parser = argparse.ArgumentParser(description="Check a running stack, one line a step.")
    defaults = SEED_URLS | local_urls()
    for name in SEED_URLS:
        default = os.environ.get(f"HEADRACE_{name.upper()}") or defaults[name]
        parser.add_argument(f"--{name}", default=default, help=f"default: {default.rpartition('@')[2]}")
    given = vars(parser.parse_args())
    return asyncio.run(run({name: given[name].rstrip("/") for name in SEED_URLS}))


if __name__ == "__main__":
    sys.exit(main())
