"""The status that every service reports and the payload tracker stores."""

from typing import Final

from headrace.contracts.message import Message

RECEIVED: Final = "received"
PROCESSING: Final = "processing"
SUCCESS: Final = "success"
ERROR: Final = "error"

TERMINAL: Final = frozenset({SUCCESS, ERROR})


class PayloadStatus(Message):
    """One status of one payload in one service; ``date`` is RFC 3339, or the message's own time if it is absent."""

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
