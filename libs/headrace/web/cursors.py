"""Cursors: where the next page of a listing begins, as text that a client gives back unread."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from headrace.web.parameters import Parameter
from headrace.web.schemas import TEXT, Json

_BIGGEST: Final = 2**63 - 1
_MAX_CHARACTERS: Final = 4096


@dataclass(frozen=True)
class Cursor:
    """The kind of a cursor parameter: the values by which the listing is sorted, of these types, in this order.

    The types are ``datetime``, ``int`` and ``str``.
    """

    types: tuple[type, ...]

    @property
    def schema(self) -> Json:
        """Text, whatever is in it."""
        return dict(TEXT)

    def read(self, text: str) -> tuple[Any, ...]:
        """Return the values; raises ``ValueError`` for a text that `write` did not make."""
        try:
            if len(text) > _MAX_CHARACTERS:
                raise ValueError
            values = orjson.loads(urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)))
            if not isinstance(values, list) or len(values) != len(self.types):
                raise ValueError
            return tuple(_value(kind, value) for kind, value in zip(self.types, values, strict=True))
        except ValueError:
            raise ValueError("is none that an answer gave as `next`") from None

    def write(self, *values: Any) -> str:
        """Return the text of the values."""
        told = [value.isoformat() if isinstance(value, datetime) else value for value in values]
        return urlsafe_b64encode(orjson.dumps(told)).rstrip(b"=").decode()

    @property
    def parameter(self) -> Parameter[tuple[Any, ...] | None]:
        """Return the query parameter ``cursor``."""
        return Parameter(
            "cursor", self, None, "`next` of the page before; the other parameters stay the same"
        )


def _value(kind: type, value: Any) -> Any:
    if kind is datetime:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        if moment is None or moment.tzinfo is None:
            raise ValueError
        return moment
    if type(value) is not kind:
        raise ValueError
    if (isinstance(value, int) and abs(value) > _BIGGEST) or (isinstance(value, str) and "\0" in value):
        raise ValueError
    return value
