"""The sender's metadata about its host.

An error in it drops all metadata silently, as upstream does: senders rely on their upload being accepted.
"""

import re
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import ValidationError, field_validator

from headrace.contracts.announcement import UploadMetadata
from headrace.contracts.message import rfc3339, utc_now
from headrace.runtime.untrusted import load_json

_STALE_AFTER: Final = timedelta(days=30)
_MAX_DEPTH: Final = 16
# The times that Go accepts: no other form of ISO 8601, no zone of more than a day.
_RFC3339: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]+)?"
    r"(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
)


class _Sent(UploadMetadata):
    """The accepted values; ``stale_timestamp`` must be a time although it is not used."""

    @field_validator("stale_timestamp")
    @classmethod
    def _is_time(cls, text: str) -> str:
        found = _RFC3339.fullmatch(text)
        if found is None:
            raise ValueError("expected an RFC 3339 time")
        # Go has a year 0, which is a leap year; Python does not.
        datetime.fromisoformat(re.sub("^0000", "0004", found[1]))
        return text


def parse_metadata(text: bytes | None) -> UploadMetadata:
    """Read the JSON object; keys match case-insensitively, unknown ones are dropped, null means absent."""
    if not text:
        return UploadMetadata()
    try:
        raw = load_json(text, max_depth=_MAX_DEPTH)
        given = () if raw is None else raw.items()
        fields = {name.lower(): _without_nulls(value) for name, value in given if value is not None}
        sent = _Sent.model_validate(fields, strict=True)
    except (ValidationError, ValueError, AttributeError):
        return UploadMetadata()
    values = {name: value for name, value in sent if value}
    values |= {"reporter": "ingress", "stale_timestamp": rfc3339(utc_now() + _STALE_AFTER)}
    return UploadMetadata.model_validate(values)


def _without_nulls(value: Any) -> Any:
    """Replace nulls in lists and objects by empty texts, as Go does."""
    if isinstance(value, list):
        return ["" if item is None else item for item in value]
    if isinstance(value, dict):
        return {name: "" if item is None else item for name, item in value.items()}
    return value
