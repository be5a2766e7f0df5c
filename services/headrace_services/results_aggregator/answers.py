"""How things are written in answers."""

from datetime import UTC, datetime
from typing import Any, Final

import orjson

from headrace.contracts.message import rfc3339

_NO_MOMENT: Final = "0001-01-01T00:00:00Z"


def seconds(moment: datetime | None) -> str:
    """RFC 3339 in whole seconds; ``""`` for none."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else ""


def nullable(moment: datetime | None) -> dict[str, Any]:
    """As Go writes a moment of a database that may be null."""
    return {"Time": rfc3339(moment) if moment else _NO_MOMENT, "Valid": moment is not None}


def verbatim(text: str) -> orjson.Fragment:
    """JSON that was stored as text, as it is."""
    return orjson.Fragment(text)
