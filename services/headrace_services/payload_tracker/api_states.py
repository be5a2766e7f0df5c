"""The handlers of Headrace's own routes: what became of payloads."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from headrace.contracts.message import rfc3339
from headrace.contracts.status import ERROR, REFUSED
from headrace.database.pool import Record
from headrace.web.errors import json_response
from headrace.web.schemas import (
    BOOLEAN,
    COUNT,
    MOMENT,
    NUMBER,
    TEXT,
    Json,
    array,
    nullable,
    record,
    reference,
)
from headrace_services.payload_tracker.states import CURSOR, STATES, Described, States

_TOLD: Final = ("service", "source", "status", "reason")
_KEPT: Final = ("id", "request_id", "org_id", "account", "cluster", "inventory_id", "upload_service")
# How the writer's states are shown.
_SHOWN: Final = {
    "refused": "failed", "failed": "failed", "waiting": "in_progress", "working": "in_progress", "done": "done",
}  # fmt: skip

_LAST: Final = record(**dict.fromkeys(_TOLD, TEXT), date=MOMENT)
_ONE: Final = dict.fromkeys(_KEPT, TEXT) | {
    "id": {"type": "integer", "format": "int64"},
    "size": nullable(COUNT) | {"description": "bytes of the upload; null where ingress did not tell"},
    "refused": BOOLEAN | {"description": "ingress refused the upload"},
    "state": TEXT | {"enum": list(STATES)},
    "reason": TEXT | {"description": "of the newest error, else the newest text"},
    "reason_service": TEXT,
    "created_at": MOMENT,
    "last_at": MOMENT,
    "silent": array(TEXT, description="expected consumers that have said nothing yet"),
}
SCHEMAS: Final[dict[str, Json]] = {
    "State": record(**_ONE),
    "ListedState": record(
        **_ONE,
        services=array(_LAST, description="the last status of each service and source, oldest first"),
        services_left_out=COUNT,
    ),
    "States": record(data=array(reference("ListedState")), next=nullable(TEXT), elapsed=NUMBER),
    "PayloadState": record(
        request_id=TEXT,
        payloads=array(reference("State"), description="one for each organisation that may be seen"),
        statuses=array(
            record(
                id={"type": "integer", "format": "int64"},
                **dict.fromkeys((*_TOLD, "org_id"), TEXT),
                date=MOMENT,
                created_at=MOMENT,
            ),
            description="oldest first; of many the first and the newest",
        ),
        statuses_left_out=COUNT,
        elapsed=NUMBER,
    ),
}


@dataclass(frozen=True)
class StatesApi:
    """Answers for a client that may see ``org_id``'s payloads, None for all."""

    states: States

    async def page(self, request: web.Request, org_id: str | None) -> web.Response:
        """Payloads with what became of them, newest first."""
        started = time.perf_counter()
        described, end = await self.states.page(request.query, org_id)
        data = [_state(item) | _services(item) for item in described]
        return json_response(
            {"data": data, "next": CURSOR.write(*end) if end else None, "elapsed": _since(started)}
        )

    async def one(self, request_id: str, org_id: str | None) -> web.Response | None:
        """What became of one payload, status by status; None where there is none to be seen."""
        started = time.perf_counter()
        if "\0" in request_id:
            return None
        described, rows = await self.states.payload(request_id, org_id)
        if not described:
            return None
        # What names no organisation is told among the organisation's own statuses.
        own = [item for item in described if org_id is None or item.row["org_id"] == org_id]
        statuses = [
            {"id": row["id"], **{name: row[name] for name in _TOLD}}
            | {name: rfc3339(row[name]) for name in ("date", "created_at")}
            | {"org_id": row["org_id"] or org_id or ""}
            for row in rows
        ]
        return json_response(
            {
                "request_id": request_id,
                "payloads": [_state(item) for item in own],
                "statuses": statuses,
                "statuses_left_out": rows[0]["places"] - len(rows) if rows else 0,
                "elapsed": _since(started),
            }
        )


def _state(described: Described) -> dict[str, Any]:
    row, last = described.row, described.last
    told = _reason(last)
    return {name: row[name] for name in _KEPT} | {
        "size": row["size_bytes"],
        "refused": row["state"] == "refused",
        "state": "silent" if row["is_overdue"] else _SHOWN.get(row["state"], "in_progress"),
        "reason": told["reason"] if told else "",
        "reason_service": told["service"] if told else "",
        "created_at": rfc3339(row["created_at"]),
        "last_at": rfc3339(last[-1]["date"] if last else row["created_at"]),
        "silent": row["silent"] if row["state"] != "refused" else [],
    }


def _reason(last: Iterable[Record]) -> Record | None:
    """Of the newest error, else the newest text; a refusal counts where there is nothing else."""
    told = [row for row in last if row["reason"] or row["status"] == ERROR]
    accepted = [row for row in told if not (row["service"] == "ingress" and row["source"] == REFUSED)] or told
    errors = [row for row in accepted if row["status"] == ERROR]
    return max(errors or accepted, key=lambda row: (row["date"], row["id"]), default=None)


def _services(described: Described) -> dict[str, Any]:
    last = described.last
    return {
        "services": [{name: row[name] for name in _TOLD} | {"date": rfc3339(row["date"])} for row in last],
        "services_left_out": last[0]["places"] - len(last) if last else 0,
    }


def _since(started: float) -> float:
    return time.perf_counter() - started
