"""Parameters of queries, and the one form of a time."""

import re
from datetime import UTC, datetime
from typing import Final

from headrace.web.parameters import Custom, Parameter
from headrace.web.schemas import TEXT, Json
from headrace_services.kruize.refusals import BAD_TIMESTAMP, Refused

_TIMESTAMP: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{1,6}Z")


def text_parameter(name: str, schema: Json = TEXT, *, is_required: bool = False) -> Parameter[str | None]:
    """A query parameter, read as text that can be stored and shown."""
    return Parameter(name, Custom(schema, _storable), None, is_required=is_required, takes_empty=True)


def parse_moment(text: str) -> datetime:
    """A timestamp cut to milliseconds; raises ``ValueError`` for any other form."""
    if not _TIMESTAMP.fullmatch(text):
        raise ValueError(text)
    whole, _, fraction = text[:-1].partition(".")
    microsecond = int(f"{fraction:0<3.3}") * 1000
    return datetime.fromisoformat(whole).replace(microsecond=microsecond, tzinfo=UTC)


def moment_parameter(text: str) -> datetime:
    """The same for a parameter."""
    try:
        return parse_moment(text)
    except ValueError:
        raise Refused(BAD_TIMESTAMP.format(text)) from None


def _storable(text: str) -> str:
    return text.encode(errors="replace").decode().replace("\0", "\ufffd")
