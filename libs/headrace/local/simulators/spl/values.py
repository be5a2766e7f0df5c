"""Events and their fields' values: a text, a number, or a list of them; nothing is None."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

import orjson

_NUMBER: Final = re.compile(r"\s*[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?\s*")
_LARGEST_WHOLE: Final = 1e15
# What an event has beside the fields of its text.
DEFAULT_FIELDS: Final = (
    "_raw",
    "_time",
    "host",
    "index",
    "linecount",
    "source",
    "sourcetype",
    "splunk_server",
)

_HERE: Final = {"index": "main"}


class Event:
    """One line of an index: fields are found in its JSON when first asked for.

    A field's name is the way to it, ``a.b``, or ``a{}.b`` through a list, where it has a value for each element that
    has one. A null is no value.
    """

    def __init__(self, raw: bytes, time: float = 0.0, origin: Mapping[str, str] | None = None) -> None:
        self.raw = raw
        self.time = time
        self.added: dict[str, None] = {}
        self._origin = origin if origin is not None else _HERE
        self._fields: dict[str, Any] | None = None

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Event:
        """A row that some command has made."""
        event = cls(b"", origin={})
        event._fields = {name: value for name, value in fields.items() if value is not None}
        return event

    def fields(self) -> dict[str, Any]:
        """Every field and its value, or values."""
        if self._fields is None:
            self._fields = {"_raw": self.raw.decode(errors="replace"), "_time": self.time}
            with suppress(ValueError):
                flatten("", orjson.loads(self.raw), self._fields)
            self._fields |= self._origin
        return self._fields

    def get(self, name: str) -> Any:
        """None where there is no such field."""
        return self.fields().get(name)

    def set(self, name: str, value: Any) -> None:
        """Add, replace or, with None, remove a field."""
        if value is None or value == []:
            self.fields().pop(name, None)
        else:
            self.fields()[name] = value
            self.added[name] = None

    def names(self) -> list[str]:
        """Of every field."""
        return list(self.fields())

    def keep(self, names: Iterable[str]) -> None:
        """Only these, in this order."""
        fields = self.fields()
        self._fields = {name: fields[name] for name in names if name in fields}

    def rename(self, names: Mapping[str, str]) -> None:
        """Other names for fields; one that had the name already is gone."""
        taken = {names[name] for name in self.fields() if name in names}
        self._fields = {
            names.get(name, name): value
            for name, value in self.fields().items()
            if name in names or name not in taken
        }
        self.added |= dict.fromkeys(taken)

    def copy(self) -> Event:
        """Another with the same fields."""
        event = Event.of(self.fields())
        event.raw, event.time, event.added = self.raw, self.time, dict(self.added)
        return event

    def shown(self, *, shaped: bool) -> dict[str, Any]:
        """As a row's ``result``: every value a text.

        An event that nothing has shaped shows what all events have, and what was added.
        """
        names = self.names() if shaped else [*DEFAULT_FIELDS, *self.added]
        return {name: _shown(name, value) for name in names if (value := self.get(name)) is not None}


Evaluate = Callable[[Event], Any]


def flatten(name: str, value: Any, into: dict[str, Any]) -> None:
    """The fields of a JSON value below a name."""
    if isinstance(value, dict):
        for key, item in value.items():
            flatten(f"{name}.{key}" if name else str(key), item, into)
    elif isinstance(value, list):
        for item in value:
            flatten(f"{name}{{}}", item, into)
    elif value is not None:
        if "{}" in name:
            into.setdefault(name, []).append(scalar(value))
        else:
            into[name] = scalar(value)


def scalar(value: Any) -> Any:
    """A JSON value as a field's: whole numbers stay numbers, objects and lists become their text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (dict, list)):
        return orjson.dumps(value).decode()
    return value if value is None or isinstance(value, (str, int)) else text(value)


def first(value: Any) -> Any:
    """The value, or the first of several."""
    return value[0] if isinstance(value, list) and value else value


def several(value: Any) -> list[Any]:
    """Every value; none where there is nothing."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def text(value: Any) -> str:
    """As Splunk shows it."""
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, float):
        whole = value.is_integer() and abs(value) < _LARGEST_WHOLE
        return str(int(value)) if whole else f"{value:.15g}"
    if isinstance(value, list):
        return "\n".join(map(text, value))
    return str(value)


def number(value: Any) -> int | float | None:
    """The value as a number, None where it is none."""
    value = first(value)
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return int(value) if value.strip().lstrip("+-").isdigit() else float(value)
    return None


def truth(value: Any) -> bool:
    """Whether a condition holds; nothing is false."""
    return bool(first(value))


def order(one: Any, other: Any) -> int:
    """Negative, zero or positive: by number where both are numbers, else by text."""
    left, right = number(one), number(other)
    if left is None or right is None:
        left, right = text(one), text(other)  # type: ignore[assignment] # both texts now
    return (left > right) - (left < right)  # type: ignore[operator]


def sort_key(value: Any) -> tuple[int, float, str]:
    """Numbers first, by number; then texts."""
    found = number(value)
    return (1, 0.0, text(first(value))) if found is None else (0, float(found), "")


def moment(seconds: float) -> str:
    """As results show ``_time``."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def _shown(name: str, value: Any) -> str | list[str]:
    if isinstance(value, list) and len(value) > 1:
        return [text(item) for item in value]
    if name == "_time" and isinstance(first(value), (int, float)):
        return moment(first(value))
    return text(first(value))
