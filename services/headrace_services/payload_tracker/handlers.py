"""Handles a status."""

from headrace.bus.delivery import Delivery, Handler
from headrace.contracts.status import PayloadStatus
from headrace_services.payload_tracker.models import to_row
from headrace_services.payload_tracker.store import BatchWriter


def status_handler(writer: BatchWriter, *, request_id_length: int = 0) -> Handler[PayloadStatus]:
    """A handler that returns once the status is committed.

    A row's ``created_at`` is when the status was reported to Kafka, so that a replay leaves the same rows.
    """

    async def handle(message: PayloadStatus, delivery: Delivery) -> None:
        await writer.add(to_row(message, delivery.timestamp, request_id_length=request_id_length))

    return handle
