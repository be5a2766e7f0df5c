"""The sender's metadata about its host.

Any mistake in it drops it whole and silently, as upstream does: senders rely on their upload going on.
"""

from datetime import timedelta
from typing import Final

from pydantic import ValidationError

from headrace.contracts.announcement import UploadMetadata
from headrace.contracts.message import rfc3339, utc_now
from headrace.runtime.untrusted import load_json

_STALE_AFTER: Final = timedelta(days=30)
_MAX_DEPTH: Final = 16


def parse_metadata(text: bytes | None) -> UploadMetadata:
    """Read the JSON object; keys match case-insensitively, unknown ones and nulls are dropped."""
    if not text:
        return UploadMetadata()
    try:
        raw = load_json(text, max_depth=_MAX_DEPTH)
        fields = {name.lower(): value for name, value in raw.items() if value is not None}
        sent = UploadMetadata.model_validate(fields, strict=True)
    except (ValidationError, ValueError, AttributeError):
        return UploadMetadata()
    values = {name: value for name, value in sent if value}
    values |= {"reporter": "ingress", "stale_timestamp": rfc3339(utc_now() + _STALE_AFTER)}
    return UploadMetadata.model_validate(values)
