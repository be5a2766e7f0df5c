"""The expressions of queries: each node has a form in SPL, and a function of an audit record.

Predicates are terms of Splunk's ``search``, where values match case-insensitively and ``*`` is any text; conditions are
expressions of ``where`` and ``eval``, which are exact.
"""
# ruff: noqa: D102 -- the protocols say what `spl` and `compile` are

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

Record = Mapping[str, Any]
Evaluate = Callable[[Record], Any]
Test = Callable[[Record], bool]


class Value(Protocol):
    """The value of an output field; None if there is none."""

    @property
    def spl(self) -> str:
        """Return the expression for ``eval``."""

    def compile(self) -> Evaluate:
        """Return the function."""


class Condition(Protocol):
    """A condition on a record."""

    @property
    def spl(self) -> str:
        """Return the term for ``search``, or for ``where``."""

    def compile(self) -> Test:
        """Return the function."""


def quoted(text: str) -> str:
    """Return a quoted literal."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def field(path: str, *keys: str) -> "Field":
    """Return a field: ``path`` is dotted; ``keys`` below it may contain dots, as labels and annotations do."""
    return Field((*path.split("."), *keys))


@dataclass(frozen=True)
class Field:
    """A text or a number; objects and lists count as absent."""

    keys: tuple[str, ...]

    @property
    def name(self) -> str:
        return ".".join(self.keys)

    @property
    def spl(self) -> str:
        return f"'{self.name}'"

    def compile(self) -> Evaluate:
        keys = self.keys

        # This function is called most often, so it contains the loop of `_walk`.
        def evaluate(record: Record) -> Any:
            found: Any = record
            for key in keys:
                if type(found) is not dict:
                    return None
                found = found.get(key)
            return None if type(found) is dict or type(found) is list else found

        return evaluate


@dataclass(frozen=True)
class Fallback:
    """The first value, or the second if the first is absent."""

    first: Value
    second: Value

    @property
    def spl(self) -> str:
        return f"if(isnull({self.first.spl}),{self.second.spl},{self.first.spl})"

    def compile(self) -> Evaluate:
        first, second = self.first.compile(), self.second.compile()

        def evaluate(record: Record) -> Any:
            found = first(record)
            return second(record) if found is None else found

        return evaluate


@dataclass(frozen=True)
class Element:
    """``member`` of an element of the list at ``keys``: the first element, or the first whose ``key`` is ``value``."""

    keys: tuple[str, ...]
    member: str
    key: str = ""
    value: str = ""

    @property
    def spl(self) -> str:
        name = ".".join(self.keys)
        place = f"mvfind('{name}{{}}.{self.key}',{quoted(f'^{re.escape(self.value)}$')})" if self.key else "0"
        return f"mvindex('{name}{{}}.{self.member}',{place})"

    def compile(self) -> Evaluate:
        walk, member, key, value = _walk(self.keys), self.member, self.key, self.value

        def evaluate(record: Record) -> Any:
            elements = walk(record)
            for element in elements if isinstance(elements, list) else ():
                if isinstance(element, dict) and (not key or element.get(key) == value):
                    found = element.get(member)
                    return None if isinstance(found, (dict, list)) else found
            return None

        return evaluate


@dataclass(frozen=True)
class InJson:
    """The value at a dotted path of the JSON in ``text``."""

    text: Value
    path: str

    @property
    def spl(self) -> str:
        return f"json_extract({self.text.spl},{quoted(self.path)})"

    def compile(self) -> Evaluate:
        text, walk = self.text.compile(), _walk(tuple(self.path.split(".")))

        def evaluate(record: Record) -> Any:
            try:
                found = walk(orjson.loads(str(text(record))))
            except ValueError:
                return None
            return orjson.dumps(found).decode() if isinstance(found, (dict, list)) else found

        return evaluate


@dataclass(frozen=True)
class UpTo:
    """The text before the first ``separator``, or the whole text."""

    text: Value
    separator: str

    @property
    def spl(self) -> str:
        return f"mvindex(split({self.text.spl},{quoted(self.separator)}),0)"

    def compile(self) -> Evaluate:
        text, separator = self.text.compile(), self.separator

        def evaluate(record: Record) -> Any:
            found = text(record)
            return found.partition(separator)[0] if isinstance(found, str) else found

        return evaluate


@dataclass(frozen=True)
class Choice:
    """The value of the first condition that holds, else ``otherwise``."""

    options: tuple[tuple[Condition, Value], ...]
    otherwise: Value

    @property
    def spl(self) -> str:
        options = "".join(f"{condition.spl},{value.spl}," for condition, value in self.options)
        return f"case({options}true(),{self.otherwise.spl})"

    def compile(self) -> Evaluate:
        options = [(condition.compile(), value.compile()) for condition, value in self.options]
        otherwise = self.otherwise.compile()

        def evaluate(record: Record) -> Any:
            for condition, value in options:
                if condition(record):
                    return value(record)
            return otherwise(record)

        return evaluate


@dataclass(frozen=True)
class IsSet:
    """The value exists."""

    value: Value

    @property
    def spl(self) -> str:
        return f"isnotnull({self.value.spl})"

    def compile(self) -> Test:
        evaluate = self.value.compile()
        return lambda record: evaluate(record) is not None


@dataclass(frozen=True)
class Equal:
    """The value equals one of some texts."""

    value: Value
    texts: tuple[str, ...]

    @property
    def spl(self) -> str:
        terms = [f"{self.value.spl}={quoted(text)}" for text in self.texts]
        return terms[0] if len(terms) == 1 else f"({' OR '.join(terms)})"

    def compile(self) -> Test:
        evaluate, texts = self.value.compile(), frozenset(self.texts)
        return lambda record: isinstance(found := evaluate(record), str) and found in texts


@dataclass(frozen=True)
class Like:
    """The value matches a pattern, in which ``%`` is any text."""

    value: Value
    pattern: str

    @property
    def spl(self) -> str:
        return f"like({self.value.spl},{quoted(self.pattern)})"

    def compile(self) -> Test:
        evaluate = self.value.compile()
        pattern = re.compile(".*".join(map(re.escape, self.pattern.split("%"))), re.DOTALL)

        def test(record: Record) -> bool:
            found = evaluate(record)
            return isinstance(found, str) and pattern.fullmatch(found) is not None

        return test


@dataclass(frozen=True)
class All:
    """Every condition holds, in ``where`` or ``eval``."""

    conditions: tuple[Condition, ...]

    @property
    def spl(self) -> str:
        return f"({' AND '.join(condition.spl for condition in self.conditions)})"

    def compile(self) -> Test:
        tests = [condition.compile() for condition in self.conditions]
        return lambda record: all(test(record) for test in tests)


@dataclass(frozen=True)
class Match:
    """A term of ``search``: the field exists and matches one of some patterns, case-insensitively."""

    field: Field
    patterns: tuple[str, ...] = ("*",)

    @property
    def spl(self) -> str:
        values = [quoted(pattern) for pattern in self.patterns]
        name = f'"{self.field.name}"' if "." in self.field.name else self.field.name
        return f"{name}={values[0]}" if len(values) == 1 else f"{name} IN ({', '.join(values)})"

    def compile(self) -> Test:
        evaluate = self.field.compile()
        if self.patterns == ("*",):
            return lambda record: evaluate(record) is not None
        if not any("*" in pattern for pattern in self.patterns):
            texts = frozenset(pattern.lower() for pattern in self.patterns)
            return lambda record: (found := evaluate(record)) is not None and str(found).lower() in texts
        choices = "|".join(".*".join(map(re.escape, pattern.split("*"))) for pattern in self.patterns)
        regex = re.compile(choices, re.DOTALL | re.IGNORECASE)
        return lambda record: (found := evaluate(record)) is not None and bool(regex.fullmatch(str(found)))


@dataclass(frozen=True)
class Both:
    """Both terms of ``search`` hold."""

    first: Condition
    second: Condition

    @property
    def spl(self) -> str:
        return f"({self.first.spl} AND {self.second.spl})"

    def compile(self) -> Test:
        first, second = self.first.compile(), self.second.compile()
        return lambda record: first(record) and second(record)


@dataclass(frozen=True)
class Either:
    """At least one of two terms of ``search`` holds."""

    first: Condition
    second: Condition

    @property
    def spl(self) -> str:
        return f"({self.first.spl} OR {self.second.spl})"

    def compile(self) -> Test:
        first, second = self.first.compile(), self.second.compile()
        return lambda record: first(record) or second(record)


@dataclass(frozen=True)
class Not:
    """A term of ``search`` does not hold; an absent field does not match either."""

    term: Condition

    @property
    def spl(self) -> str:
        return f"NOT {self.term.spl}"

    def compile(self) -> Test:
        test = self.term.compile()
        return lambda record: not test(record)


def _walk(keys: tuple[str, ...]) -> Evaluate:
    def walk(found: Any) -> Any:
        for key in keys:
            if type(found) is not dict:
                return None
            found = found.get(key)
        return found

    return walk
