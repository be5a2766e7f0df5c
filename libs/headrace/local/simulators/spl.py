"""A small part of Splunk's search language, read from its text and run over events.

Commands: search, where, eval, fields, sort, dedup, head. Enough for the searches of this project and for trying
variants of them; what it does not know it refuses, as Splunk refuses what it does not know.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from headrace.local.simulators.spl_functions import FUNCTIONS, Evaluate, Event, first
from headrace.local.simulators.spl_tokens import Reader, SplError, pipeline, tokens, unquoted

# An expression's numbers, before the dot is taken for the joining of texts.
_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?")


@dataclass
class Search:
    """A parsed pipeline. ``needles`` are texts an event must hold somewhere, lower case, to match at all."""

    matches: Callable[[Event], bool]
    needles: tuple[str, ...]
    index: str
    commands: list[Callable[[Iterator[Event]], Iterable[Event]]] = field(default_factory=list)
    # Whether a `fields` has said what is left.
    kept_fields: bool = False

    def run(self, events: Iterator[Event]) -> Iterable[Event]:
        """The events that are left, with the fields they are left with."""
        found: Iterable[Event] = (event for event in events if self.matches(event))
        for command in self.commands:
            found = command(iter(found))
        return found


def parse(text: str) -> Search:
    """Read a search; raises `SplError`."""
    commands = pipeline(tokens(text))
    reader = Reader(commands[0])
    if reader.peek_word() == "search":
        reader.take()
    terms = _SearchTerms(reader)
    search = Search(terms.parse(), tuple(terms.needles), terms.index)
    for command in commands[1:]:
        reader = Reader(command)
        name = reader.take().text
        if name not in _COMMANDS:
            raise SplError(f"Unknown search command '{name}'.")
        search.commands.append(_COMMANDS[name](reader))
        search.kept_fields = search.kept_fields or name == "fields"
        reader.end()
    return search


class _SearchTerms:
    """The search command: terms side by side are all meant, and OR binds closer than that."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.index = ""
        self.needles: list[str] = []

    def parse(self) -> Callable[[Event], bool]:
        test = self._all(top=True)
        self._reader.end()
        return test

    def _all(self, *, top: bool = False) -> Callable[[Event], bool]:
        tests = []
        while self._reader.peek() is not None and self._reader.peek_word() != ")":
            tests.append(self._any(top=top))
            self._reader.accept("AND")
        return lambda event: all(test(event) for test in tests)

    def _any(self, *, top: bool) -> Callable[[Event], bool]:
        before = len(self.needles)
        tests = [self._one(top=top)]
        while self._reader.accept("OR"):
            tests.append(self._one(top=False))
        if len(tests) == 1:
            return tests[0]
        # What only one side asks, an event may lack.
        del self.needles[before:]
        return lambda event: any(test(event) for test in tests)

    def _one(self, *, top: bool) -> Callable[[Event], bool]:
        if self._reader.accept("NOT"):
            inner = self._one(top=False)
            return lambda event: not inner(event)
        if self._reader.accept("("):
            test = self._all()
            self._reader.expect(")")
            return test
        name = unquoted(self._reader.take())
        if self._reader.accept("IN"):
            return _matching(name, self._values())
        if self._reader.accept("!="):
            value = unquoted(self._reader.take())
            return lambda event: name in event.fields() and not _matching(name, [value])(event)
        self._reader.expect("=")
        value = unquoted(self._reader.take())
        if name == "index":
            self.index = value
            return lambda _event: True
        if top and "*" not in value:
            self.needles.append(value.lower())
        return _matching(name, [value])

    def _values(self) -> list[str]:
        self._reader.expect("(")
        values = [unquoted(self._reader.take())]
        while self._reader.accept(","):
            values.append(unquoted(self._reader.take()))
        self._reader.expect(")")
        return values


def _matching(name: str, values: list[str]) -> Callable[[Event], bool]:
    choices = "|".join(".*".join(map(re.escape, value.split("*"))) for value in values)
    pattern = re.compile(choices, re.IGNORECASE | re.DOTALL)

    def test(event: Event) -> bool:
        found = event.get(name)
        return any(
            pattern.fullmatch(str(item))
            for item in (found if isinstance(found, list) else [found])
            if item is not None
        )

    return test


class _Expression:
    """The language of where and eval: OR, AND, NOT, comparisons, joining with a dot, functions."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def parse(self) -> Evaluate:
        left = self._and()
        while self._reader.accept("OR", "or"):
            left = _either(left, self._and())
        return left

    def _and(self) -> Evaluate:
        left = self._not()
        while self._reader.accept("AND", "and"):
            left = _both(left, self._not())
        return left

    def _not(self) -> Evaluate:
        if self._reader.accept("NOT", "not"):
            inner = self._not()
            return lambda event: not inner(event)
        return self._comparison()

    def _comparison(self) -> Evaluate:
        left = self._joined()
        for operator in ("=", "==", "!="):
            if self._reader.accept(operator):
                right = self._joined()
                return _compared(left, right, same=operator != "!=")
        if self._reader.accept("LIKE"):
            return _call("like", [left, self._joined()])
        return left

    def _joined(self) -> Evaluate:
        left = self._primary()
        while self._reader.accept("."):
            left = _concatenated(left, self._primary())
        return left

    def _primary(self) -> Evaluate:
        token = self._reader.take()
        text = unquoted(token)
        if token.kind == "text":
            return lambda _event: text
        if token.kind == "name":
            return lambda event: event.get(text)
        if token.text == "(":
            inner = self.parse()
            self._reader.expect(")")
            return inner
        if self._reader.accept("("):
            return _call(text, self._arguments())
        if _NUMBER.fullmatch(text):
            number = float(text) if "." in text else int(text)
            return lambda _event: number
        return lambda event: event.get(text)

    def _arguments(self) -> list[Evaluate]:
        arguments: list[Evaluate] = []
        while not self._reader.accept(")"):
            if arguments:
                self._reader.expect(",")
            arguments.append(self.parse())
        return arguments


def _call(name: str, arguments: list[Evaluate]) -> Evaluate:
    if name not in FUNCTIONS:
        raise SplError(f"Error in 'EvalCommand': The '{name}' function is unsupported or undefined.")
    return FUNCTIONS[name](*arguments)


def _either(left: Evaluate, right: Evaluate) -> Evaluate:
    return lambda event: bool(left(event) or right(event))


def _both(left: Evaluate, right: Evaluate) -> Evaluate:
    return lambda event: bool(left(event) and right(event))


def _compared(left: Evaluate, right: Evaluate, *, same: bool) -> Evaluate:
    def test(event: Event) -> bool:
        one, other = left(event), right(event)
        # Nothing equals nothing here, and differs from nothing.
        if one is None or other is None:
            return False
        return (str(first(one)) == str(first(other))) is same

    return test


def _concatenated(left: Evaluate, right: Evaluate) -> Evaluate:
    def joined(event: Event) -> str | None:
        one, other = left(event), right(event)
        return None if one is None or other is None else f"{first(one)}{first(other)}"

    return joined


Command = Callable[[Iterator[Event]], Iterable[Event]]


def _where(reader: Reader) -> Command:
    test = _Expression(reader).parse()
    return lambda events: (event for event in events if test(event))


def _eval(reader: Reader) -> Command:
    assignments: list[tuple[str, Evaluate]] = []
    while not assignments or reader.accept(","):
        name = unquoted(reader.take())
        reader.expect("=")
        assignments.append((name, _Expression(reader).parse()))

    def command(events: Iterator[Event]) -> Iterator[Event]:
        for event in events:
            for name, evaluate in assignments:
                event.set(name, evaluate(event))
            yield event

    return command


def _fields(reader: Reader) -> Command:
    remove = reader.accept("-")
    reader.accept("+")
    names = [unquoted(reader.take())]
    while reader.peek() is not None:
        reader.accept(",")
        names.append(unquoted(reader.take()))
    pattern = re.compile("|".join(".*".join(map(re.escape, name.split("*"))) for name in names))

    def command(events: Iterator[Event]) -> Iterator[Event]:
        for event in events:
            if remove:
                event.keep([name for name in event.names() if not pattern.fullmatch(name)])
            else:
                # Fields that begin with an underscore stay until they are asked to go.
                event.keep([*names, *(name for name in event.names() if name.startswith("_"))])
            yield event

    return command


def _sort(reader: Reader) -> Command:
    limit = int(reader.take().text) if reader.peek_word().isdigit() else 10_000
    descending = reader.accept("-")
    reader.accept("+")
    name = unquoted(reader.take())

    def command(events: Iterator[Event]) -> Iterator[Event]:
        ordered = sorted(events, key=lambda event: str(first(event.get(name)) or ""), reverse=descending)
        return iter(ordered[:limit] if limit else ordered)

    return command


def _dedup(reader: Reader) -> Command:
    name = unquoted(reader.take())

    def command(events: Iterator[Event]) -> Iterator[Event]:
        seen: set[str] = set()
        for event in events:
            value = event.get(name)
            if value is not None and str(value) not in seen:
                seen.add(str(value))
                yield event

    return command


def _head(reader: Reader) -> Command:
    count = int(reader.take().text) if reader.peek() else 10
    return lambda events: (event for _, event in zip(range(count), events, strict=False))


_COMMANDS: Final[Mapping[str, Callable[[Reader], Command]]] = {
    "search": lambda reader: _filter(_SearchTerms(reader).parse()),
    "where": _where,
    "eval": _eval,
    "fields": _fields,
    "sort": _sort,
    "dedup": _dedup,
    "head": _head,
}


def _filter(test: Callable[[Event], bool]) -> Command:
    return lambda events: (event for event in events if test(event))


def result(event: Event, *, kept_fields: bool) -> dict[str, Any]:
    """The event as a row's ``result``: every value a text, what is nothing left out."""
    names = event.names() if kept_fields else ["_raw", "_time"]
    return {name: _shown(value) for name in names if (value := event.get(name)) is not None}


def _shown(value: Any) -> str | list[str]:
    if isinstance(value, list):
        return [str(item) for item in value]
    return str(value)
