"""Interprets another service's HTTP answer: whether and when to repeat the request."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

# The peer is reachable but cannot answer now; the status does not judge the request.
BUSY: Final = frozenset({429, 502, 503, 504})
# 408 and 425 concern the timing of a request; the other 4xx statuses, except 429, are final.
_ENDS_BY_ITSELF: Final = BUSY | {408, 425}


def is_transient(status: int) -> bool:
    """Return whether the same request may succeed later: `BUSY`, time-outs and server errors."""
    return status in _ENDS_BY_ITSELF or status >= 500


def retry_after_seconds(header: str | None) -> float:
    """Return the seconds of a ``Retry-After``, given in seconds or as a date; 0 if it is missing or malformed."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    return max(0.0, (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
