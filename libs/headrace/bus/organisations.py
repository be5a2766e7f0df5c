"""Reads a message's organisation without decoding the message, because many messages wait and must stay small."""

from typing import Final

import msgspec

# A longer name is none.
_MAX_CHARACTERS: Final = 256

_Name = str | int | None


class _Part(msgspec.Struct):
    org_id: _Name = None
    capital: _Name = msgspec.field(default=None, name="Org_id")


class _Owner(msgspec.Struct):
    """The names under which our messages contain the organisation: at the top, and in the ROS messages' metadata."""

    org_id: _Name = None
    number: _Name = msgspec.field(default=None, name="OrgID")
    tenant: _Name = None
    metadata: _Part | None = None
    capital: _Part | None = msgspec.field(default=None, name="Metadata")


_DECODER: Final = msgspec.json.Decoder(_Owner)


def organisation_of(value: bytes) -> str:
    """Return the organisation that a message names, empty if it names none or cannot be read."""
    try:
        found = _DECODER.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
    name = found.org_id or found.number or found.tenant
    if not name and (part := found.metadata or found.capital) is not None:
        name = part.org_id or part.capital
    text = str(name or "")
    return text if len(text) <= _MAX_CHARACTERS else ""
