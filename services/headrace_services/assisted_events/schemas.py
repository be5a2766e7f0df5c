"""The bodies of the API's answers, as JSON Schemas."""

from typing import Final

from headrace.contracts.assisted import END_STATES
from headrace.web.schemas import (
    BOOLEAN,
    COUNT,
    MOMENT,
    TEXT,
    UUID,
    Json,
    array,
    nullable,
    record,
    reference,
)
from headrace_services.assisted_events.ledger import STATES

ERROR: Final = record(message=TEXT)
SCHEMAS: Final[Json] = {
    "Sending": record(
        cluster_id=TEXT,
        install_started_at=MOMENT,
        outcome={"type": "string", "enum": list(END_STATES)},
        request_id=TEXT | {"description": "sent with every upload of this archive"},
        state={"type": "string", "enum": list(STATES)},
        reason=TEXT | {"description": "why it is not sent, or not yet"},
        attempts=COUNT,
        failures=COUNT | {"description": "attempts that count towards giving up"},
        next_attempt_at=MOMENT,
        first_seen_at=MOMENT,
        ended_at=nullable(MOMENT) | {"description": "when it was sent, skipped, given up or exported"},
        sent_at=nullable(MOMENT) | {"description": "when an endpoint last accepted it"},
        content_sha256=nullable(TEXT),
        size_bytes=nullable(COUNT),
        hosts=nullable(COUNT),
        events=nullable(COUNT),
    ),
    "Sendings": record(count=COUNT, data=array(reference("Sending"))),
    "Cluster": record(id=UUID, opted_out=BOOLEAN, sendings=array(reference("Sending"))),
    "Registered": record(clusters=array(record(id=TEXT, hosts=COUNT, events=COUNT, discarded=COUNT))),
    "Stored": record(stored=COUNT, discarded=COUNT),
}
