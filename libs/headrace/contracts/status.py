"""The status that every service reports and the payload tracker stores."""

from typing import Annotated, Any, Final

from pydantic import BeforeValidator

from headrace.contracts.message import Message

RECEIVED: Final = "received"
PROCESSING: Final = "processing"
SUCCESS: Final = "success"
ERROR: Final = "error"

TERMINAL: Final = frozenset({SUCCESS, ERROR})

# The source of ingress' statuses about uploads that it refused.
REFUSED: Final = "refused"

_MAX_SIZE: Final = 2**63 - 1


def _size(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value <= _MAX_SIZE else None


def _name(value: Any) -> str | None:
    return value if isinstance(value, str) else None


# Upstream's statuses have no such fields: whatever else another sender means by them is passed over.
_Size = Annotated[int | None, BeforeValidator(_size)]
_Name = Annotated[str | None, BeforeValidator(_name)]


class PayloadStatus(Message):
    """One status of one payload in one service; ``date`` is RFC 3339, or the message's own time if it is absent.

    ``system_id`` is the cluster, where it is known; ingress tells ``size`` (bytes) and ``upload_service`` too.
    """

    service: str = ""
    source: str | None = None
    account: str = ""
    org_id: str = ""
    request_id: str
    inventory_id: str | None = None
    system_id: str | None = None
    status: str = ""
    status_msg: str = ""
    date: str | None = None
    size: _Size = None
    upload_service: _Name = None
