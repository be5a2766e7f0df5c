"""Events and the functions of ``eval``, as far as the Splunk simulator knows them."""

import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

import orjson


class Event:
    """One line of an index: fields are found in its JSON when first asked for.

    A field's name is the way to it, ``a.b``, or ``a{}.b`` through a list, where it has a value for each element that
    has one. A null is no value.
    """

    def __init__(self, raw: bytes, time: float = 0.0) -> None:
        self.raw = raw
        self.time = time
        self._fields: dict[str, Any] | None = None

    def fields(self) -> dict[str, Any]:
        """Every field and its value, or values."""
        if self._fields is None:
            self._fields = {"_raw": self.raw.decode(errors="replace"), "_time": self.time}
            with suppress(ValueError):
                _flatten("", orjson.loads(self.raw), self._fields)
        return self._fields

    def get(self, name: str) -> Any:
        """A text, number or list of them; None where there is no such field."""
        return self.fields().get(name)

    def set(self, name: str, value: Any) -> None:
        """Add, replace or, with None, remove a field."""
        if value is None:
            self.fields().pop(name, None)
        else:
            self.fields()[name] = value

    def names(self) -> list[str]:
        """Of every field."""
        return list(self.fields())

    def keep(self, names: Iterable[str]) -> None:
        """Only these, in this order."""
        fields = self.fields()
        self._fields = {name: fields[name] for name in names if name in fields}


Evaluate = Callable[[Event], Any]


def _flatten(name: str, value: Any, into: dict[str, Any]) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _flatten(f"{name}.{key}" if name else str(key), item, into)
    elif isinstance(value, list):
        for item in value:
            _flatten(f"{name}{{}}", item, into)
    elif value is not None:
        text = str(value).lower() if isinstance(value, bool) else str(value)
        if "{}" in name:
            into.setdefault(name, []).append(text)
        else:
            into[name] = text


def first(value: Any) -> Any:
    """The value, or the first of several."""
    return value[0] if isinstance(value, list) and value else value


def _if(test: Evaluate, yes: Evaluate, no: Evaluate) -> Evaluate:
    return lambda event: yes(event) if test(event) else no(event)


def _case(*arguments: Evaluate) -> Evaluate:
    pairs = list(zip(arguments[::2], arguments[1::2], strict=True))

    def evaluate(event: Event) -> Any:
        return next((value(event) for test, value in pairs if test(event)), None)

    return evaluate


def _coalesce(*arguments: Evaluate) -> Evaluate:
    def evaluate(event: Event) -> Any:
        return next((found for item in arguments if (found := item(event)) is not None), None)

    return evaluate


def _mvfind(values: Evaluate, pattern: Evaluate) -> Evaluate:
    def evaluate(event: Event) -> int | None:
        found, regex = values(event), re.compile(str(pattern(event)))
        items = found if isinstance(found, list) else [found]
        return next((place for place, item in enumerate(items) if item and regex.search(str(item))), None)

    return evaluate


def _mvindex(values: Evaluate, place: Evaluate) -> Evaluate:
    def evaluate(event: Event) -> Any:
        found, at = values(event), place(event)
        items = found if isinstance(found, list) else [found]
        return items[at] if isinstance(at, int) and -len(items) <= at < len(items) else None

    return evaluate


def _split(text: Evaluate, separator: Evaluate) -> Evaluate:
    def evaluate(event: Event) -> list[str] | None:
        found = first(text(event))
        return None if found is None else str(found).split(str(separator(event)))

    return evaluate


def _like(text: Evaluate, pattern: Evaluate) -> Evaluate:
    def evaluate(event: Event) -> bool:
        found = first(text(event))
        parts = re.split("([%_])", str(pattern(event)))
        regex = "".join({"%": ".*", "_": "."}.get(part, re.escape(part)) for part in parts)
        return found is not None and re.fullmatch(regex, str(found), re.DOTALL) is not None

    return evaluate


def _match(text: Evaluate, pattern: Evaluate) -> Evaluate:
    def evaluate(event: Event) -> bool:
        found = first(text(event))
        return found is not None and re.search(str(pattern(event)), str(found)) is not None

    return evaluate


def _json_object(*arguments: Evaluate) -> Evaluate:
    pairs = list(zip(arguments[::2], arguments[1::2], strict=True))
    return lambda event: orjson.dumps({str(key(event)): value(event) for key, value in pairs}).decode()


def _json_extract(text: Evaluate, path: Evaluate) -> Evaluate:
    def evaluate(event: Event) -> Any:
        try:
            found = orjson.loads(str(first(text(event))))
        except ValueError:
            return None
        for key in str(path(event)).split("."):
            found = found.get(key) if isinstance(found, dict) else None
        return orjson.dumps(found).decode() if isinstance(found, (dict, list)) else found

    return evaluate


FUNCTIONS: Final[Mapping[str, Callable[..., Evaluate]]] = {
    "if": _if,
    "case": _case,
    "coalesce": _coalesce,
    "isnull": lambda value: lambda event: value(event) is None,
    "isnotnull": lambda value: lambda event: value(event) is not None,
    "mvfind": _mvfind,
    "mvindex": _mvindex,
    "split": _split,
    "like": _like,
    "match": _match,
    "json_object": _json_object,
    "json_extract": _json_extract,
    "lower": lambda value: (
        lambda event: None if (found := first(value(event))) is None else str(found).lower()
    ),
    "true": lambda: lambda _event: True,
    "false": lambda: lambda _event: False,
}
