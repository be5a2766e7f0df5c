"""The language of where and eval: OR, XOR, AND, NOT, comparisons, joining, arithmetic, functions."""

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

from headrace.local.simulators.spl.functions import function
from headrace.local.simulators.spl.reading import Reader, SplError, unquoted
from headrace.local.simulators.spl.values import Evaluate, Event, first, number, order, several, text, truth

_COMPARISONS: Final[Mapping[str, Callable[[int], bool]]] = {
    "=": lambda sign: sign == 0,
    "==": lambda sign: sign == 0,
    "!=": lambda sign: sign != 0,
    "<": lambda sign: sign < 0,
    ">": lambda sign: sign > 0,
    "<=": lambda sign: sign <= 0,
    ">=": lambda sign: sign >= 0,
}


def expression(reader: Reader) -> Evaluate:
    """Read one; raises `SplError`."""
    with reader.expression():
        return _Expression(reader).parse()


class _Expression:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def parse(self) -> Evaluate:
        left = self._and()
        while word := self._keyword("OR", "XOR"):
            left = _LOGIC[word](left, self._and())
        return left

    def _and(self) -> Evaluate:
        left = self._not()
        while self._keyword("AND"):
            left = _LOGIC["AND"](left, self._not())
        return left

    def _not(self) -> Evaluate:
        if self._keyword("NOT"):
            inner = self._not()
            return lambda event: not truth(inner(event))
        return self._comparison()

    def _comparison(self) -> Evaluate:
        left = self._sum()
        sign = self._reader.peek_word()
        if sign in _COMPARISONS:
            self._reader.take()
            return _compared(left, self._sum(), _COMPARISONS[sign])
        if self._keyword("LIKE"):
            return function("like", [left, self._sum()])
        if self._keyword("IN"):
            self._reader.expect("(")
            return function("in", [left, *self._arguments()])
        return left

    def _sum(self) -> Evaluate:
        left = self._product()
        while (sign := self._reader.peek_word()) in {"+", "-", "."}:
            self._reader.take()
            left = _OPERATIONS[sign](left, self._product())
        return left

    def _product(self) -> Evaluate:
        left = self._primary()
        while (sign := self._reader.peek_word()) in {"*", "/", "%"}:
            self._reader.take()
            left = _OPERATIONS[sign](left, self._primary())
        return left

    def _primary(self) -> Evaluate:
        if self._reader.accept("-"):
            return _negative(self._primary())
        self._reader.accept("+")
        token = self._reader.take()
        word = unquoted(token)
        if token.kind in {"text", "number"}:
            value = word if token.kind == "text" else number(word)
            return lambda _event: value
        if word == "(" and token.kind == "op":
            inner = self.parse()
            self._reader.expect(")")
            return inner
        if token.kind == "op":
            raise SplError(f"Error in 'EvalCommand': The expression is malformed. '{word}' is not expected.")
        if token.kind == "word" and self._reader.accept("("):
            return function(word, self._arguments())
        return lambda event: event.get(word)

    def _arguments(self) -> list[Evaluate]:
        arguments: list[Evaluate] = []
        while not self._reader.accept(")"):
            if arguments:
                self._reader.expect(",")
            arguments.append(self.parse())
        return arguments

    def _keyword(self, *words: str) -> str:
        found = self._reader.peek_word().upper()
        if found not in words:
            return ""
        self._reader.take()
        return found


_LOGIC: Final[Mapping[str, Callable[[Evaluate, Evaluate], Evaluate]]] = {
    "OR": lambda left, right: lambda event: truth(left(event)) or truth(right(event)),
    "XOR": lambda left, right: lambda event: truth(left(event)) is not truth(right(event)),
    "AND": lambda left, right: lambda event: truth(left(event)) and truth(right(event)),
}


def _compared(left: Evaluate, right: Evaluate, fits: Callable[[int], bool]) -> Evaluate:
    """Nothing equals nothing here, and differs from nothing; of several values one is enough."""

    def test(event: Event) -> bool:
        others = several(right(event))
        return any(fits(order(item, other)) for item in several(left(event)) for other in others)

    return test


def _calculated(operation: Callable[[Any, Any], Any]) -> Callable[[Evaluate, Evaluate], Evaluate]:
    def build(left: Evaluate, right: Evaluate) -> Evaluate:
        def evaluate(event: Event) -> Any:
            one, other = number(left(event)), number(right(event))
            if one is None or other is None:
                return None
            try:
                return operation(one, other)
            except (ZeroDivisionError, OverflowError):
                return None

        return evaluate

    return build


def _joined(left: Evaluate, right: Evaluate) -> Evaluate:
    def evaluate(event: Event) -> str | None:
        one, other = first(left(event)), first(right(event))
        return None if one is None or other is None else f"{text(one)}{text(other)}"

    return evaluate


def _added(left: Evaluate, right: Evaluate) -> Evaluate:
    """Numbers are added, texts joined."""
    calculated, joined = _calculated(operator.add)(left, right), _joined(left, right)

    def evaluate(event: Event) -> Any:
        found = calculated(event)
        return joined(event) if found is None else found

    return evaluate


def _negative(inner: Evaluate) -> Evaluate:
    return lambda event: None if (found := number(inner(event))) is None else -found


_OPERATIONS: Final[Mapping[str, Callable[[Evaluate, Evaluate], Evaluate]]] = {
    ".": _joined,
    "+": _added,
    "-": _calculated(operator.sub),
    "*": _calculated(operator.mul),
    "/": _calculated(operator.truediv),
    "%": _calculated(math.fmod),
}
