"""The search command: what an event must have, by field, by text, by index and time."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from headrace.local.simulators.spl.reading import Reader, SplError, Token, unquoted, wildcard
from headrace.local.simulators.spl.values import Event, order, several, text

Test = Callable[[Event], bool]

# What an event has apart from its text.
_ORIGIN: Final = frozenset({"index", "host", "source", "sourcetype", "splunk_server", "_time"})
_TIMES: Final = frozenset({"earliest", "latest"})
# These stand in JSON as they are.
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.:-]+")
_ORDERS: Final[Mapping[str, Callable[[int], bool]]] = {
    "<": lambda sign: sign < 0,
    ">": lambda sign: sign > 0,
    "<=": lambda sign: sign <= 0,
    ">=": lambda sign: sign >= 0,
}


class SearchTerms:
    """Terms side by side are all meant, and OR binds closer than that.

    ``needles`` are texts an event must hold somewhere, lower case, to match at all; ``indexes`` are the patterns of
    the indexes that are named, ``times`` the bounds of the window.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.needles: list[str] = []
        self.indexes: list[str] = []
        self.times: dict[str, str] = {}
        self.test = self._all(top=True)
        reader.end()

    def _all(self, *, top: bool = False) -> Test:
        tests = []
        while not self._is_over():
            tests.append(self._any(top=top))
            if self._reader.accept("AND") and self._is_over():
                raise SplError("Error in 'search' command: Unable to parse the search: a term is missing.")
        return lambda event: all(test(event) for test in tests)

    def _is_over(self) -> bool:
        return self._reader.peek() is None or self._reader.peek_word() == ")"

    def _any(self, *, top: bool) -> Test:
        before = len(self.needles)
        tests = [self._one(top=top)]
        while self._reader.accept("OR"):
            tests.append(self._one(top=False))
        if len(tests) == 1:
            return tests[0]
        # What only one side asks, an event may lack.
        del self.needles[before:]
        return lambda event: any(test(event) for test in tests)

    def _one(self, *, top: bool) -> Test:
        if self._reader.accept("NOT"):
            indexes = len(self.indexes)
            inner = self._one(top=False)
            del self.indexes[indexes:]
            return lambda event: not inner(event)
        if self._reader.accept("("):
            test = self._all()
            self._reader.expect(")")
            return test
        token = self._reader.take()
        if token.kind == "op" or token.text in {"OR", "AND"}:
            raise SplError(f"Error in 'search' command: Unable to parse the search: '{token.text}'.")
        if self._reader.accept("IN"):
            return self._equal(unquoted(token), self._values(), top=False)
        operator = self._reader.peek_word()
        if operator in {"=", "==", "!=", *_ORDERS}:
            self._reader.take()
            return self._compared(unquoted(token), operator, top=top)
        return self._raw(token, top=top)

    def _compared(self, name: str, operator: str, *, top: bool) -> Test:
        value = unquoted(self._reader.take())
        if name in _TIMES:
            self.times[name] = value
            return lambda _event: True
        if operator in _ORDERS:
            fits = _ORDERS[operator]
            return lambda event: any(fits(order(item, value)) for item in several(event.get(name)))
        if operator == "!=":
            equal = _matching(name, [value])
            return lambda event: name in event.fields() and not equal(event)
        return self._equal(name, [value], top=top)

    def _equal(self, name: str, values: list[str], *, top: bool) -> Test:
        if name == "index":
            self.indexes += values
        elif top and name not in _ORIGIN:
            self._need(values[0])
        return _matching(name, values)

    def _raw(self, token: Token, *, top: bool) -> Test:
        """A word or phrase that stands somewhere in the event, not within a longer word."""
        sought = unquoted(token)
        if not sought.strip("*"):
            return lambda _event: True
        if top:
            self._need(sought)
        inside = wildcard(sought, anything=r"\S*").pattern
        pattern = re.compile(rf"(?<![A-Za-z0-9_]){inside}(?![A-Za-z0-9_])", re.IGNORECASE)
        return lambda event: pattern.search(text(event.get("_raw") or "")) is not None

    def _need(self, value: str) -> None:
        if _PLAIN.fullmatch(value):
            self.needles.append(value.lower())

    def _values(self) -> list[str]:
        self._reader.expect("(")
        values = [unquoted(self._reader.take())]
        while not self._reader.accept(")"):
            self._reader.accept(",")
            values.append(unquoted(self._reader.take()))
        return values


def _matching(name: str, values: list[str]) -> Test:
    pattern = wildcard(*values)
    return lambda event: any(pattern.fullmatch(text(item)) for item in several(event.get(name)))
