"""Telling the world: the announcement, its copy for the ROS document's readers, and the payload's status."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from headrace.bus.producer import Producer
from headrace.bus.statuses import StatusReporter
from headrace.contracts.announcement import Announcement
from headrace.contracts.identity import Identity
from headrace.contracts.status import ERROR, RECEIVED, SUCCESS
from headrace.contracts.topics import PAYLOAD_STATUS, SOURCES_EVENTS, UPLOAD_ANNOUNCE, Topic
from headrace.runtime.errors import Retryable
from headrace.runtime.logging import get_logger
from services.ingress import metrics
from services.ingress.settings import IngressSettings

_log = get_logger(__name__)

_RECEIVED: Final = "Payload received by ingress"

# A refused sender waits for this; when it is Kafka that is away, the status arrives after its return.
_ERROR_SECONDS: Final = 1.0


class Announcer:
    """Publishes; every send is acknowledged by all in-sync replicas or raises `Retryable`."""

    def __init__(self, producer: Producer, settings: IngressSettings) -> None:
        self._producer = producer
        self._timeout_seconds = settings.announce_seconds
        self._topics = [replace(UPLOAD_ANNOUNCE, name=settings.announce_topic)]
        if settings.sources_topic != "none":
            self._topics.append(replace(SOURCES_EVENTS, name=settings.sources_topic))
        self._statuses = StatusReporter(
            producer, "ingress", topic=replace(PAYLOAD_STATUS, name=settings.status_topic)
        )

    async def announce(
        self, announcement: Announcement, key: str | None, *, received: datetime | None, note: str
    ) -> None:
        """Publish everywhere at once and wait for every acknowledgement.

        That the upload was received is told here too, with the date on which it was: in one request with the rest it
        costs the broker a third of what it would alone.
        """
        request_id, sender = announcement.request_id, (announcement.account, announcement.org_id)
        headers = {"service": announcement.service}
        await asyncio.gather(
            *(self._send(topic, announcement, key, headers) for topic in self._topics),
            self._report(request_id, sender, RECEIVED, _RECEIVED, received),
            self._report(request_id, sender, SUCCESS, note),
        )
        metrics.MESSAGE_PRODUCED.labels(announcement.service).inc()

    async def failed(
        self, request_id: str, identity: Identity, received: datetime | None, reason: str
    ) -> None:
        """Say that it went no further; when that cannot be said either, the answer's 503 still does."""
        sender = (identity.account_number, identity.org_id)
        try:
            async with asyncio.timeout(_ERROR_SECONDS):
                if received:
                    await self._report(request_id, sender, RECEIVED, _RECEIVED, received)
                await self._report(request_id, sender, ERROR, reason)
        except (Retryable, TimeoutError) as error:
            _log.warning("status_not_sent", request_id=request_id, reason=str(error))

    async def _report(
        self, request_id: str, sender: tuple[str, str], status: str, text: str, date: datetime | None = None
    ) -> None:
        account, org_id = sender
        await self._statuses.report(
            request_id,
            status,
            text,
            account=account,
            org_id=org_id,
            date=date,
            timeout_seconds=self._timeout_seconds,
        )

    async def _send(
        self, topic: Topic[Announcement], message: Announcement, key: str | None, headers: Mapping[str, str]
    ) -> None:
        started = time.monotonic()
        try:
            await self._producer.send(
                topic, message, key=key, headers=headers, timeout_seconds=self._timeout_seconds
            )
        except Retryable:
            metrics.KAFKA_PRODUCE_FAILURES.labels(topic.name).inc()
            raise
        metrics.KAFKA_PRODUCED.labels(topic.name).inc()
        metrics.PUBLISH_SECONDS.labels(topic.name).observe(time.monotonic() - started)
