"""Reads one section of a config.yaml key by key, and reports each fault as one clear line."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final, NoReturn

from headrace.runtime.errors import ConfigurationError
from headrace_services.rules_engine.config_yaml.templates import retyped_text, unset_variable

_SECRET: Final = re.compile("password|secret|token", re.IGNORECASE)
_SHOWN_CHARACTERS: Final = 200
_SHOWN_NAMES: Final = 12


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return a hint with the known names that are similar, or else with all known names."""
    names = sorted(known)
    # The end of a dotted name, the class, is the most specific part.
    near = get_close_matches(name, names, n=3, cutoff=0.75) or [
        other for other in names if get_close_matches(_last(name), [_last(other)], cutoff=0.75)
    ]
    if near:
        return f"did you mean {' or '.join(map(repr, near[:3]))}?"
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return f"expected one of {', '.join(names[:_SHOWN_NAMES])}{more}"


def _last(name: str) -> str:
    return name.rpartition(".")[2]


@dataclass
class Section:
    """A mapping of the document; ``path`` is its place, ``notes`` collects keys without effect."""

    path: str
    values: Mapping[str, Any]
    notes: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def at(self, key: str) -> str:
        """Return the place of a key."""
        return f"{self.path}.{key}" if self.path else key

    def wrong(self, key: str, expected: str) -> NoReturn:
        """Raise the error about a key's value."""
        shown = "***" if _SECRET.search(key) else repr(self.values.get(key))[:_SHOWN_CHARACTERS]
        raise ConfigurationError(f"{self.at(key)}: got {shown}, expected {expected}")

    def raw(self, key: str) -> Any:
        """Return an unchanged value, and mark the key as known."""
        self.seen.add(key)
        return self.values.get(key)

    def has(self, key: str) -> bool:
        """Return whether a key has a value."""
        return self.raw(key) is not None

    def text(self, key: str, default: str = "") -> str:
        """Return a text; numbers become their digits."""
        value = self.raw(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            self.wrong(key, "text")
        if isinstance(value, str) and not _SECRET.search(key) and (name := unset_variable(value)):
            raise ConfigurationError(f"{self.at(key)}: got {value!r}, but the variable {name} is not set")
        return str(value)

    def required_text(self, key: str, expected: str) -> str:
        """Return a required text."""
        return self.text(key) or self.missing(key, expected)

    def missing(self, key: str, expected: str) -> NoReturn:
        """Raise the error about a missing key, or about an unknown key with a similar name."""
        for other in self.values:
            if other not in self.seen and get_close_matches(other, [key], cutoff=0.75):
                raise ConfigurationError(f"{self.at(other)}: unknown key; did you mean {key!r}?")
        raise ConfigurationError(f"{self.at(key)}: missing, expected {expected}")

    def number(self, key: str, default: float = 0.0, *, least: float = -math.inf) -> float:
        """Return a finite number of at least a minimum."""
        value = self.raw(key)
        if value is None:
            return default
        number = retyped_text(value) if isinstance(value, str) else value
        expected = "a number" if least == -math.inf else f"a number of {least:g} or more"
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            self.wrong(key, expected)
        if not math.isfinite(number) or number < least:
            self.wrong(key, expected)
        return number

    def flag(self, key: str, *, default: bool = False) -> bool:
        """Return a boolean."""
        value = self.raw(key)
        if value is None:
            return default
        flag = retyped_text(value) if isinstance(value, str) else value
        if not isinstance(flag, bool):
            self.wrong(key, "true or false")
        return flag

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts; a single text counts as a list."""
        value = self.raw(key)
        if value is None:
            return ()
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list) or not all(isinstance(item, str) and item for item in items):
            self.wrong(key, "a list of strings")
        return tuple(items)

    def items(self, key: str) -> list[Any]:
        """Return a list."""
        value = self.raw(key)
        if value is None:
            return []
        if not isinstance(value, list):
            self.wrong(key, "a list")
        return value

    def section(self, key: str) -> "Section":
        """Return a mapping below this one; empty if it is missing."""
        value = self.raw(key)
        if value is not None and not isinstance(value, Mapping):
            self.wrong(key, "a mapping")
        return Section(self.at(key), _text_keys(self.at(key), value or {}), self.notes)

    def without_effect(self, key: str, why: str) -> None:
        """Note a key that has no effect, if it is present."""
        if self.has(key):
            self.notes.append(f"{self.at(key)}: without effect: {why}")

    def finish(self, *, also: Iterable[str] = ()) -> None:
        """Raise an error about the first unknown key; keys that begin with x- are the user's own."""
        for key in self.values:
            if key not in self.seen and not key.startswith("x-"):
                raise ConfigurationError(
                    f"{self.at(key)}: unknown key; {suggestion(key, {*self.seen, *also})}"
                )


def _text_keys(path: str, values: Mapping[Any, Any]) -> Mapping[str, Any]:
    for key in values:
        if not isinstance(key, str):
            raise ConfigurationError(f"{path}: got the key {key!r}, expected text; put it in quotes")
    return values
