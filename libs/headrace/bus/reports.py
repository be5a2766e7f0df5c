"""The statuses of a payload that go with a message: `received` beside the handler, and how it ended."""

import asyncio
from datetime import datetime
from typing import Any, Final

import orjson

from headrace.bus.delivery import Ending, Payload, Work, plain
from headrace.bus.endings import PROCESSED, text_of
from headrace.bus.statuses import StatusReporter
from headrace.contracts import status
from headrace.contracts.clusters import is_cluster_uuid
from headrace.runtime.errors import Retryable
from headrace.runtime.logging import get_logger

# Of a request id, an account or an organisation; longer ones are none.
_MAX_NAME: Final = 256

_log: Final = get_logger(__name__)


def payload_of(work: Work[Any]) -> Payload | None:
    """Return the request of the message; for an invalid message from its raw JSON, so that none disappears."""
    message, cluster_id = work.message, ""
    if message is not None:
        request_id = _named(getattr(message, "request_id", None))
        account, org_id = _named(getattr(message, "account", None)), _named(getattr(message, "org_id", None))
        cluster_id = _named(getattr(message, "cluster_id", None))
    else:
        try:
            fields = orjson.loads(work.record.value or b"")
        except (orjson.JSONDecodeError, RecursionError):
            return None
        # Some topics write their keys with capitals.
        fields = {name.lower(): value for name, value in fields.items()} if isinstance(fields, dict) else {}
        request_id, account, org_id = (
            _named(fields.get(name)) for name in ("request_id", "account", "org_id")
        )
    if not request_id:
        return None
    cluster = cluster_id if is_cluster_uuid(cluster_id) else None
    return Payload(request_id=request_id, account=account, org_id=org_id, system_id=cluster)


def begin_report(payload: Payload, taken_up: datetime, statuses: StatusReporter) -> asyncio.Task[None]:
    """Send `received` while the handler runs, which need not wait for the acknowledgement."""
    report = asyncio.create_task(statuses.report(status=status.RECEIVED, date=taken_up, **payload))
    # When the message is handed back nobody asks for the result any more.
    report.add_done_callback(lambda task: task.cancelled() or task.exception())
    return report


async def report_end(work: Work[Any], payload: Payload, ending: Ending, statuses: StatusReporter) -> None:
    """Wait until both statuses are acknowledged; a status that can never be sent is logged and given up."""
    try:
        if work.received is not None:
            try:
                await work.received
            except Retryable:
                await statuses.report(status=status.RECEIVED, date=work.taken_up, **payload)
            work.received = None
        text = ending.text if ending.error_class is None else f"dead-lettered: {ending.text}"
        reached = status.SUCCESS if ending.outcome == PROCESSED else status.ERROR
        await statuses.report(status=reached, status_msg=text, **payload)
    except Retryable:
        raise
    except Exception as error:  # noqa: BLE001 -- no other try can send it either
        _log.error("status cannot be sent", reason=text_of(error), exc_info=error)


def _named(value: Any) -> str:
    """Return a name from a message; empty if it is missing or too long."""
    if not value or not (isinstance(value, str) or type(value) is int):
        return ""
    text = str(value)
    return plain(text) if len(text) <= _MAX_NAME else ""
