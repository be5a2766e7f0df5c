"""A small part of Splunk's search language, read from its text and run over events.

Commands: search, where, eval, fields, sort, dedup, head. Enough for the searches of this project and for trying
variants of them; what it does not know it refuses, as Splunk refuses what it does not know.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from headrace.local.simulators.spl_functions import FUNCTIONS, Evaluate, Event, first

_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<text>"(?:\\.|[^"\\])*")|(?P<name>'[^']*')|(?P<op>!=|==|>=|<=|[()=,<>.])"""
    r"""|(?P<word>[^\s()=,!<>"'|]*[^\s()=,!<>"'|.])|(?P<pipe>\|)|(?P<end>$))"""
)
# An expression's numbers, before the dot is taken for the joining of texts.
_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?")


class SplError(Exception):
    """The text is no search we can run; the message is what Splunk would answer with."""


@dataclass(frozen=True)
class Token:
    """``kind``: text (a literal), name (a quoted field), op, word."""

    kind: str
    text: str


@dataclass
class Search:
    """A parsed pipeline. ``needles`` are texts an event must hold somewhere, lower case, to match at all."""

    matches: Callable[[Event], bool]
    needles: tuple[str, ...]
    index: str
    commands: list[Callable[[Iterator[Event]], Iterable[Event]]] = field(default_factory=list)
    # Whether commands beyond the first need every event before they give one.
    kept_fields: bool = False

    def run(self, events: Iterator[Event]) -> Iterable[Event]:
        """The events that are left, with the fields they are left with."""
        found: Iterable[Event] = (event for event in events if self.matches(event))
        for command in self.commands:
            found = command(iter(found))
        return found


def parse(text: str) -> Search:
    """Read a search; raises `SplError`."""
    commands = _split(_tokens(text))
    reader = _Reader(commands[0])
    if reader.peek_word() == "search":
        reader.take()
    terms = _SearchTerms(reader)
    search = Search(terms.parse(), tuple(terms.needles), terms.index)
    for tokens in commands[1:]:
        reader = _Reader(tokens)
        name = reader.take().text
        if name not in _COMMANDS:
            raise SplError(f"Unknown search command '{name}'.")
        search.commands.append(_COMMANDS[name](reader))
        search.kept_fields = search.kept_fields or name == "fields"
        reader.end()
    return search


def _tokens(text: str) -> list[Token]:
    tokens, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            raise SplError(f"Error in 'search' command: Unable to parse the search: {text[at : at + 20]!r}")
        at = match.end()
        if match.lastgroup != "end":
            tokens.append(Token(match.lastgroup, match[match.lastgroup]))
    return tokens


def _split(tokens: list[Token]) -> list[list[Token]]:
    commands: list[list[Token]] = [[]]
    for token in tokens:
        if token.kind == "pipe":
            commands.append([])
        else:
            commands[-1].append(token)
    if not all(commands):
        raise SplError("Error in 'SearchParser': Missing a search command before '|'.")
    return commands


class _Reader:
    """Tokens one after another."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def peek(self) -> Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def peek_word(self) -> str:
        token = self.peek()
        return token.text if token and token.kind in {"word", "op"} else ""

    def take(self) -> Token:
        token = self.peek()
        if token is None:
            raise SplError("Error in 'SearchParser': The search ends too soon.")
        self._at += 1
        return token

    def accept(self, *texts: str) -> bool:
        """Take the token if it is one of these operators or words."""
        if self.peek_word() in texts:
            self._at += 1
            return True
        return False

    def expect(self, text: str) -> None:
        if not self.accept(text):
            raise SplError(f"Error in 'SearchParser': expected '{text}'.")

    def end(self) -> None:
        token = self.peek()
        if token is not None:
            raise SplError(f"Error in 'SearchParser': '{token.text}' is not expected here.")


class _SearchTerms:
    """The search command: terms side by side are all meant, and OR binds closer than that."""

    def __init__(self, reader: _Reader) -> None:
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
        name = _unquoted(self._reader.take())
        if self._reader.accept("IN"):
            return _matching(name, self._values())
        if self._reader.accept("!="):
            value = _unquoted(self._reader.take())
            return lambda event: name in event.fields() and not _matching(name, [value])(event)
        self._reader.expect("=")
        value = _unquoted(self._reader.take())
        if name == "index":
            self.index = value
            return lambda _event: True
        if top and "*" not in value:
            self.needles.append(value.lower())
        return _matching(name, [value])

    def _values(self) -> list[str]:
        self._reader.expect("(")
        values = [_unquoted(self._reader.take())]
        while self._reader.accept(","):
            values.append(_unquoted(self._reader.take()))
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


def _unquoted(token: Token) -> str:
    if token.kind == "text":
        return re.sub(r"\\(.)", r"\1", token.text[1:-1])
    return token.text[1:-1] if token.kind == "name" else token.text


class _Expression:
    """The language of where and eval: OR, AND, NOT, comparisons, joining with a dot, functions."""

    def __init__(self, reader: _Reader) -> None:
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
        text = _unquoted(token)
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


def _where(reader: _Reader) -> Command:
    test = _Expression(reader).parse()
    return lambda events: (event for event in events if test(event))


def _eval(reader: _Reader) -> Command:
    assignments: list[tuple[str, Evaluate]] = []
    while not assignments or reader.accept(","):
        name = _unquoted(reader.take())
        reader.expect("=")
        assignments.append((name, _Expression(reader).parse()))

    def command(events: Iterator[Event]) -> Iterator[Event]:
        for event in events:
            for name, evaluate in assignments:
                event.set(name, evaluate(event))
            yield event

    return command


def _fields(reader: _Reader) -> Command:
    remove = reader.accept("-")
    reader.accept("+")
    names = [_unquoted(reader.take())]
    while reader.peek() is not None:
        reader.accept(",")
        names.append(_unquoted(reader.take()))
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


def _sort(reader: _Reader) -> Command:
    limit = int(reader.take().text) if reader.peek_word().isdigit() else 10_000
    descending = reader.accept("-")
    reader.accept("+")
    name = _unquoted(reader.take())

    def command(events: Iterator[Event]) -> Iterator[Event]:
        ordered = sorted(events, key=lambda event: str(first(event.get(name)) or ""), reverse=descending)
        return iter(ordered[:limit] if limit else ordered)

    return command


def _dedup(reader: _Reader) -> Command:
    name = _unquoted(reader.take())

    def command(events: Iterator[Event]) -> Iterator[Event]:
        seen: set[str] = set()
        for event in events:
            value = event.get(name)
            if value is not None and str(value) not in seen:
                seen.add(str(value))
                yield event

    return command


def _head(reader: _Reader) -> Command:
    count = int(reader.take().text) if reader.peek() else 10
    return lambda events: (event for _, event in zip(range(count), events, strict=False))


_COMMANDS: Final[Mapping[str, Callable[[_Reader], Command]]] = {
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
