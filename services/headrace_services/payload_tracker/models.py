"""Statuses as rows, and values computed from them. No I/O."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from headrace.contracts.status import PayloadStatus
from headrace.runtime.errors import Poison, Rejected

# The request id is also the name of the stored upload, and S3 takes no longer one.
MAX_REQUEST_ID_BYTES: Final = 1024
MAX_NAME_BYTES: Final = 255

_RFC3339: Final = re.compile(
    r"(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}:\d{2})(?:[.,](\d+))?\s*([Zz]|[+-]\d{2}:?\d{2})?", re.ASCII
)
_EARLIEST: Final = datetime.min.replace(tzinfo=UTC)
_LATEST: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class StatusRow:
    """One status as the database takes it; absent texts are empty, times are UTC."""

    request_id: str
    account: str
    org_id: str
    inventory_id: str
    system_id: str
    service: str
    source: str
    status: str
    status_msg: str
    date: datetime
    created_at: datetime
    size_bytes: int | None = None
    upload_service: str = ""


def parse_date(text: str) -> datetime:
    """RFC 3339, in UTC; a blank for the ``T`` and a missing zone (UTC then) are tolerated.

    Digits beyond the microsecond are cut. Raises ``ValueError`` naming what was expected.
    """
    match = _RFC3339.fullmatch(text.strip())
    if match is None:
        raise ValueError("expected RFC 3339 such as 2026-11-21T21:28:22Z")
    day, time, fraction, zone = match.groups()
    if zone is None or zone in "Zz":
        zone = "+00:00"
    moment = datetime.fromisoformat(f"{day}T{time}.{(fraction or '')[:6]:0<6}{zone}")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return _EARLIEST if moment.year == 1 else _LATEST


def to_row(message: PayloadStatus, reported_at: datetime, *, request_id_length: int = 0) -> StatusRow:
    """Normalise a message that was reported (to Kafka) at ``reported_at``.

    Raises `Rejected` for an id that upstream's length rule refuses, `Poison` for values that no row can store.
    """
    if request_id_length and len(message.request_id) != request_id_length:
        raise Rejected(
            f"request_id: got {len(message.request_id)} characters, VALIDATE_REQUEST_ID_LENGTH requires "
            f"{request_id_length}"
        )
    try:
        date = reported_at if message.date is None else parse_date(message.date)
    except ValueError as error:
        raise Poison(f"date: got {(message.date or '')[:64]!r}, {error}") from None
    return StatusRow(
        request_id=_text("request_id", message.request_id, MAX_REQUEST_ID_BYTES, required=True),
        account=_text("account", message.account),
        org_id=_text("org_id", message.org_id),
        inventory_id=_text("inventory_id", message.inventory_id),
        system_id=_text("system_id", message.system_id),
        service=_text("service", message.service).lower(),
        source=_text("source", message.source).lower(),
        status=_text("status", message.status).lower(),
        # PostgreSQL's text cannot hold a NUL; in an exception's text it means nothing.
        status_msg=message.status_msg.replace("\0", ""),
        date=date,
        created_at=reported_at,
        size_bytes=message.size,
        upload_service=_text("upload_service", message.upload_service).lower(),
    )


def _text(name: str, value: str | None, max_bytes: int = MAX_NAME_BYTES, *, required: bool = False) -> str:
    value = value or ""
    if required and not value:
        raise Poison(f"{name}: is empty")
    if len(value.encode()) > max_bytes:
        raise Poison(f"{name}: got {len(value.encode())} bytes, expected at most {max_bytes}")
    if "\0" in value:
        raise Poison(f"{name}: contains a NUL character")
    return value


@dataclass(frozen=True)
class Step:
    """When a payload was seen where; ``source`` is empty for none."""

    service: str
    source: str
    date: datetime


def durations(steps: Iterable[Step]) -> dict[str, str]:
    """Time within each ``service:source``, the sum of those, and from the first date to the last of all."""
    spans: dict[str, list[datetime]] = {}
    for step in steps:
        spans.setdefault(f"{step.service}:{step.source or 'undefined'}", []).append(step.date)
    within = {name: max(dates) - min(dates) for name, dates in spans.items()}
    dates = [date for span in spans.values() for date in span]
    total = max(dates) - min(dates) if dates else timedelta()
    return {
        **{name: clock(span) for name, span in sorted(within.items())},
        "total_time_in_services": clock(sum(within.values(), timedelta())),
        "total_time": clock(total),
    }


def clock(span: timedelta) -> str:
    """``HH:MM:SS.ffffff``; hours may pass 99."""
    seconds, hours = span.seconds % 3600, span.days * 24 + span.seconds // 3600
    return f"{hours:02}:{seconds // 60:02}:{seconds % 60:02}.{span.microseconds:06}"


def columns(rows: Sequence[StatusRow]) -> list[list[str | datetime | int | None]]:
    """The rows turned on their side, in field order: one array a column."""
    return [[getattr(row, name) for row in rows] for name in StatusRow.__dataclass_fields__]
