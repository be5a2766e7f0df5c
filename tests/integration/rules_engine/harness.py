"""The rules engine as `headrace serve` runs it, on topics of its own, and a sender of archives."""

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from aiokafka.structs import ConsumerRecord

from headrace.bus.admin import ensure_topics
from headrace.bus.producer import Producer
from headrace.contracts.announcement import Announcement
from headrace.contracts.topics import DVO_RESULTS, OCP_RESULTS, PAYLOAD_STATUS, UPLOAD_ANNOUNCE, Topic
from headrace.objects.endpoint import S3Endpoint
from headrace.objects.store import ObjectStore
from headrace.runtime import metrics
from headrace.runtime.settings import EngineSettings
from headrace.service.host import Host
from tests.integration.ingress.harness import b64_identity
from tests.records import Records, open_records
from tests.service import own, running
from tests.unit.rules.worker_archives import PACK
from tests.waiting import eventually


@dataclass
class Engine:
    """A running rules engine; `send` announces as ingress does."""

    host: Host
    settings: EngineSettings
    store: ObjectStore
    producer: Producer
    bucket: str
    announcements: Topic[Announcement]
    results_topic: str
    workloads_topic: str
    workload_info_topic: str
    records: Records
    dead: Records

    async def send(
        self, archive: bytes | None, *, service: str = "openshift", identity: str = "", **changes: Any
    ) -> str:
        """Announce an archive; None: one that is not there (any more). Returns the request id."""
        request_id = uuid.uuid4().hex
        if archive is not None:
            await self.store.put(self.bucket, request_id, [archive])
        fields = {
            "request_id": request_id, "service": service, "url": "http://nowhere.example.com/x",
            "bucket": self.bucket, "object_key": request_id, "timestamp": "2026-11-21T21:28:22.990776891Z",
            "b64_identity": identity or b64_identity(org_id="12383032", internal={"org_id": "12383032"}),
        }  # fmt: skip
        message = Announcement(**(fields | changes))
        await self.producer.send(self.announcements, message, headers={"service": service})
        return request_id

    async def end(self, request_id: str) -> tuple[str, str]:
        """The last status of a request, once it has one that is final, and its text."""

        async def reported() -> tuple[str, str] | None:
            statuses = await self.statuses(request_id)
            last = statuses[-1] if statuses else {}
            return (
                (last["status"], last["status_msg"]) if last.get("status") in {"success", "error"} else None
            )

        return await eventually(reported, within_seconds=30, every_seconds=0.05)

    async def statuses(self, request_id: str) -> list[dict[str, Any]]:
        return await self.records.bodies(PAYLOAD_STATUS.name, request_id=request_id, service="rules-engine")

    async def published(self, topic: str, request_id: str) -> list[ConsumerRecord]:
        return [
            record
            for record in await self.records.all(topic)
            if json.loads(record.value)["RequestId"] == request_id
        ]

    async def result(self, request_id: str) -> dict[str, Any]:
        (record,) = await self.published(self.results_topic, request_id)
        found: dict[str, Any] = json.loads(record.value)
        return found

    async def dead_letters(self) -> list[ConsumerRecord]:
        return await self.dead.all(self.announcements.dead_letters)


@asynccontextmanager
async def open_engine(
    kafka: str,
    s3: str,
    *,
    announce_topic: str = "",
    packages: tuple[str, ...] = (f"{PACK}.rules",),
    **environment: str,
) -> AsyncIterator[Engine]:
    """The service in this process; `environment` are its variables, without `RULES_ENGINE_` in front."""
    run = uuid.uuid4().hex[:12]
    results, workloads, info = (f"{kind}-{run}" for kind in ("results", "workloads", "info"))
    announcements = replace(UPLOAD_ANNOUNCE, name=announce_topic or f"announce-{run}")
    settings = EngineSettings(kafka=kafka, s3=s3)
    outgoing: list[Topic[Any]] = [
        replace(OCP_RESULTS, name=results),
        replace(DVO_RESULTS, name=workloads),
        Topic(info, Announcement),
    ]
    await ensure_topics(settings, [announcements, *outgoing, PAYLOAD_STATUS])
    row = own("rules_engine", topics=[announcements])
    variables = {
        "RESULTS_TOPIC": results, "WORKLOADS_TOPIC": workloads, "WORKLOAD_INFO_TOPIC": info,
        "PACKAGES": json.dumps(packages), "TARGET_COMPONENTS": json.dumps(packages), "WORKERS": "2",
        "DEADLINE_SECONDS": "1", "MAX_RSS_BYTES": str(256 << 20),
    }  # fmt: skip
    topics = (results, workloads, info, PAYLOAD_STATUS.name)
    store = await ObjectStore.open(S3Endpoint.of(settings))
    producer = await Producer.open(settings, service="test")
    try:
        await store.ensure_bucket(run)
        named = {f"RULES_ENGINE_{name}": text for name, text in (variables | environment).items()}
        async with (
            running([row], settings, environment=named) as host,
            open_records(kafka, *topics) as records,
            open_records(kafka, announcements.dead_letters, partitions=1, from_beginning=True) as dead,
        ):
            yield Engine(
                host, settings, store, producer, run, announcements, results, workloads, info, records, dead
            )
    finally:
        await producer.close()
        await store.close()


def metric(name: str, **labels: str) -> float:
    """What the process exports now."""
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0
