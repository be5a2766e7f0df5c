"""Query parameters, and the only form of a time."""

import re
from datetime import UTC, datetime
from typing import Final

from headrace.web.parameters import Custom, Parameter
from headrace.web.schemas import TEXT, Json
from headrace_services.kruize.refusals import BAD_TIMESTAMP, Refused

_TIMESTAMP: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{1,6}Z")


def text_parameter(name: str, schema: Json = TEXT, *, is_required: bool = False) -> Parameter[str | None]:
    """Return a query parameter whose text can be stored and shown."""
    return Parameter(name, Custom(schema, _storable), None, is_required=is_required, takes_empty=True)


def parse_moment(text: str) -> datetime:
    """Parse a timestamp and cut it to milliseconds; raises ``ValueError`` for any other form."""
    if not _TIMESTAMP.fullmatch(text):
        raise ValueError(text)
    whole, _, fraction = text[:-1].partition(".")
    microsecond = int(f"{fraction:0<3.3}") * 1000
    return datetime.fromisoformat(whole).replace(microsecond=microsecond, tzinfo=UTC)


def moment_parameter(text: str) -> datetime:
    """Parse the timestamp of a parameter; raises `Refused`."""
    try:
        return parse_moment(text)
    except ValueError:
        raise Refused(BAD_TIMESTAMP.format(text)) from None


def _storable(text: str) -> str:
    return text.encode(errors="replace").decode().replace("\0", "\ufffd")
