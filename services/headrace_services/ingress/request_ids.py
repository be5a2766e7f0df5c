"""Request ids, which follow payloads through the flow."""

import re
import uuid
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from headrace.contracts.headers import REQUEST_ID_HEADER

REQUEST_ID: Final = web.RequestKey("request_id", str)
# The headers of the ROS document and of two Makefiles of upstream.
_ALIASES: Final = (REQUEST_ID_HEADER, "x-rh-request-id", "x-rh-request_id")
MAX_LENGTH: Final = 200
# The id becomes an object key and part of URLs: no empty, hidden or parent path segments, and nothing to escape.
PATTERN: Final = r"[A-Za-z0-9_][A-Za-z0-9_.:=+@-]*(/[A-Za-z0-9_][A-Za-z0-9_.:=+@-]*)*"
_VALID: Final = re.compile(PATTERN)


def new_request_id() -> str:
    """Return 32 hex digits, the form that the gateway uses and every tracker accepts."""
    return uuid.uuid4().hex


def sent_request_id(headers: Mapping[str, str]) -> str:
    """Return the sender's request id, or ``""``."""
    return next((value for name in _ALIASES if (value := headers.get(name, ""))), "")


def is_valid(request_id: str) -> bool:
    """Return whether an id can be a key."""
    return len(request_id) <= MAX_LENGTH and _VALID.fullmatch(request_id) is not None
