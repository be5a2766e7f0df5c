"""Publishes the announcement, its copy on the ROS document's topic, and the payload's statuses."""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from headrace.bus.producer import Outgoing, Producer
from headrace.bus.statuses import Fields, StatusReporter
from headrace.contracts.announcement import Announcement
from headrace.contracts.identity import Identity
from headrace.contracts.status import ERROR, RECEIVED, SUCCESS
from headrace.contracts.topics import Topic
from headrace.runtime.errors import Retryable
from headrace.runtime.logging import get_logger
from headrace_services.ingress import metrics

_log = get_logger(__name__)

_RECEIVED: Final = "Payload received by ingress"

# A refused sender waits this long for the status; if Kafka is away, the status is delivered after its return.
_ERROR_SECONDS: Final = 1.0


class Announcer:
    """Publishes messages; each is acknowledged by all in-sync replicas, or `Retryable` is raised."""

    def __init__(
        self,
        producer: Producer,
        topics: Sequence[Topic[Announcement]],
        statuses: StatusReporter,
        *,
        timeout_seconds: float,
    ) -> None:
        """``topics`` get each announcement, ``statuses`` the statuses of uploads."""
        self._producer = producer
        self._timeout_seconds = timeout_seconds
        self._topics = topics
        self._statuses = statuses

    async def announce(
        self,
        announcement: Announcement,
        key: str | None,
        *,
        cluster_id: str,
        received: datetime | None,
        note: str,
    ) -> None:
        """Publish all messages and wait for every acknowledgement.

        The status `received` is sent here too, with the time of receipt: batched with the others it costs the broker a
        third of a request of its own.
        """
        request_id = announcement.request_id
        told: Fields = {
            "account": announcement.account,
            "org_id": announcement.org_id,
            "system_id": cluster_id or None,
            "size": announcement.size,
            "upload_service": announcement.service,
        }
        headers = {"service": announcement.service}
        names = [topic.name for topic in self._topics]
        original = Outgoing.of(self._topics[0], announcement, key=key, headers=headers)
        started = time.monotonic()
        try:
            await self._producer.send_all(
                [
                    *(replace(original, topic_name=name) for name in names),
                    self._statuses.message(request_id, RECEIVED, _RECEIVED, date=received, **told),
                    self._statuses.message(request_id, SUCCESS, note, **told),
                ],
                timeout_seconds=self._timeout_seconds,
            )
        except Retryable:
            for name in names:
                metrics.KAFKA_PRODUCE_FAILURES.labels(name).inc()
            raise
        for name in names:
            metrics.KAFKA_PRODUCED.labels(name).inc()
            metrics.PUBLISH_SECONDS.labels(name).observe(time.monotonic() - started)
        metrics.MESSAGE_PRODUCED.labels(announcement.service).inc()

    async def failed(
        self, request_id: str, identity: Identity, received: datetime | None, reason: str
    ) -> None:
        """Report that storing or announcing failed; if the report fails too, the sender still gets the 503."""
        told: Fields = {"account": identity.account_number, "org_id": identity.org_id}
        statuses = [self._statuses.message(request_id, ERROR, reason, **told)]
        if received:
            statuses.insert(0, self._statuses.message(request_id, RECEIVED, _RECEIVED, date=received, **told))
        try:
            await self._producer.send_all(statuses, timeout_seconds=_ERROR_SECONDS)
        except Retryable as error:
            _log.warning("status_not_sent", request_id=request_id, reason=str(error))
