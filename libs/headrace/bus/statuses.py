"""Reports the statuses of payloads to the topic that the payload tracker consumes."""

from datetime import datetime
from typing import Final, TypedDict, Unpack

from headrace.bus.producer import Outgoing, Producer
from headrace.contracts.message import rfc3339, utc_now
from headrace.contracts.status import PayloadStatus
from headrace.contracts.topics import PAYLOAD_STATUS, Topic

# The tracker shows it to a person; an exception's text may be a page.
_MAX_TEXT: Final = 2000


class Fields(TypedDict, total=False):
    """What else a status may tell."""

    account: str
    org_id: str
    source: str | None
    system_id: str | None
    size: int | None
    upload_service: str | None


class StatusReporter:
    """Sends one service's statuses; those of one request keep their order, because its id is their key."""

    def __init__(
        self, producer: Producer, service: str, *, topic: Topic[PayloadStatus] = PAYLOAD_STATUS
    ) -> None:
        self._producer = producer
        self._topic = topic
        self._service = service

    async def report(
        self,
        request_id: str,
        status: str,
        status_msg: str = "",
        *,
        date: datetime | None = None,
        timeout_seconds: float = 10.0,
        **fields: Unpack[Fields],
    ) -> None:
        """Report one status and wait for the acknowledgement; raises `Retryable` like `Producer.send`."""
        outgoing = self.message(request_id, status, status_msg, date=date, **fields)
        await self._producer.send_all([outgoing], timeout_seconds=timeout_seconds)

    def message(
        self,
        request_id: str,
        status: str,
        status_msg: str = "",
        *,
        date: datetime | None = None,
        **fields: Unpack[Fields],
    ) -> Outgoing:
        """Return one status, to be sent together with other messages."""
        message = PayloadStatus(
            service=self._service,
            request_id=request_id,
            status=status,
            status_msg=status_msg[:_MAX_TEXT],
            date=rfc3339(date or utc_now()),
            **fields,
        )
        return Outgoing.of(self._topic, message, key=request_id)
