"""Telling the world: the announcement, its copy for the ROS document's readers, and the payload's status."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from headrace.bus.producer import Producer
from headrace.bus.statuses import StatusReporter
from headrace.contracts.announcement import Announcement
from headrace.contracts.status import ERROR, RECEIVED, SUCCESS
from headrace.contracts.topics import PAYLOAD_STATUS, SOURCES_EVENTS, UPLOAD_ANNOUNCE, Topic
from headrace.runtime.errors import Retryable
from headrace.runtime.logging import get_logger
from services.ingress import metrics
from services.ingress.identities import Sender
from services.ingress.settings import IngressSettings

_log = get_logger(__name__)

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

    async def announce(self, announcement: Announcement, key: str | None, status_msg: str) -> None:
        """Publish everywhere at once and wait for every acknowledgement."""
        headers = {"service": announcement.service}
        sends = [self._send(topic, announcement, key, headers) for topic in self._topics]
        report = self._statuses.report(
            announcement.request_id,
            SUCCESS,
            status_msg,
            account=announcement.account,
            org_id=announcement.org_id,
            timeout_seconds=self._timeout_seconds,
        )
        await asyncio.gather(*sends, report)
        metrics.MESSAGE_PRODUCED.labels(announcement.service).inc()

    async def received(self, request_id: str, sender: Sender) -> None:
        """Say that an upload came in whole."""
        await self._report(request_id, sender, RECEIVED, "Payload received by ingress", self._timeout_seconds)

    async def failed(self, request_id: str, sender: Sender, reason: str) -> None:
        """Say that it went no further; when that cannot be said either, the answer's 503 still does."""
        try:
            await self._report(request_id, sender, ERROR, reason, _ERROR_SECONDS)
        except Retryable as error:
            _log.warning("status_not_sent", request_id=request_id, reason=str(error))

    async def _report(
        self, request_id: str, sender: Sender, status: str, message: str, timeout_seconds: float
    ) -> None:
        identity = sender.identity
        await self._statuses.report(
            request_id,
            status,
            message,
            account=identity.account_number,
            org_id=identity.org_id,
            timeout_seconds=timeout_seconds,
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
