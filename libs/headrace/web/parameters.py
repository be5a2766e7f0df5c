"""Parameters of HTTP operations: each is declared once, and both read from a request and described from that."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Generic, Literal, Protocol, TypeVar

from headrace.web.schemas import MOMENT, Json, array

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Where = Literal["query", "path", "header"]

_SHOWN_CHARACTERS: Final = 64


class BadParameter(ValueError):
    """A parameter cannot be used; the text names it, what was got and what was expected.

    A kind raises it itself where its API has a text of its own; the text of any other ``ValueError`` is put behind
    the parameter's name.
    """


class Kind(Protocol[T_co]):
    """The values that a parameter takes."""

    @property
    def schema(self) -> Json:
        """Their JSON Schema."""

    def read(self, text: str) -> T_co:
        """The value that a text stands for; raises ``ValueError`` with what was got and what was expected."""


@dataclass(frozen=True)
class Integer:
    """Whole numbers within bounds."""

    low: int
    high: int
    # How the reason of a refusal begins to say so.
    verb: str = "must be"

    @property
    def schema(self) -> Json:
        """With its bounds."""
        return {"type": "integer", "minimum": self.low, "maximum": self.high}

    def read(self, text: str) -> int:
        """In ASCII digits."""
        if not re.fullmatch(r"-?[0-9]{1,19}", text) or not self.low <= int(text) <= self.high:
            raise _unexpected(text, f"{self.verb} a whole number from {self.low} to {self.high}")
        return int(text)


@dataclass(frozen=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def schema(self) -> Json:
        """Its words."""
        return {"type": "string", "enum": list(self.words)}

    def read(self, text: str) -> str:
        """The word."""
        if text not in self.words:
            raise _unexpected(text, f"must be one of {', '.join(self.words)}")
        return text


@dataclass(frozen=True)
class Text:
    """Text that PostgreSQL can store and compare, of at most so many bytes."""

    min_characters: int = 0
    max_bytes: int | None = None

    @property
    def schema(self) -> Json:
        """Its bounds count characters, of which no text has more than it has bytes."""
        schema: Json = {"type": "string", "pattern": "^[^\\u0000]*$"}
        schema |= {"minLength": self.min_characters} if self.min_characters else {}
        return schema | ({} if self.max_bytes is None else {"maxLength": self.max_bytes})

    def read(self, text: str) -> str:
        """The text as it is."""
        if "\0" in text:
            raise ValueError("has a NUL character")
        if len(text) < self.min_characters:
            raise ValueError("must not be empty")
        if self.max_bytes is not None and len(text.encode(errors="replace")) > self.max_bytes:
            raise _unexpected(text, f"must have at most {self.max_bytes} bytes")
        return text


@dataclass(frozen=True)
class Moment:
    """A time; ``reader`` is the API's own, since clients write times in many ways."""

    reader: Callable[[str], datetime]

    @property
    def schema(self) -> Json:
        """What is described is RFC 3339, whatever else is tolerated."""
        return dict(MOMENT)

    def read(self, text: str) -> datetime:
        """As the reader has it."""
        try:
            return self.reader(text)
        except ValueError as error:
            raise _unexpected(text, str(error)) from None


@dataclass(frozen=True)
class Custom(Generic[T]):
    """Values of an API's own: their schema, and the function that reads one, which may raise `BadParameter`."""

    schema: Json
    reader: Callable[[str], T]

    def read(self, text: str) -> T:
        """As the reader has it."""
        return self.reader(text)


@dataclass(frozen=True)
class Parameter(Generic[T]):
    """One parameter: ``default`` where it is not given, or is empty unless ``takes_empty`` says that this is a value.

    A path's parameter is always there; with ``is_rest`` it takes what follows in the path, slashes included.
    """

    name: str
    kind: Kind[T]
    default: T
    description: str = ""
    where: Where = "query"
    is_required: bool = False
    is_rest: bool = False
    takes_empty: bool = False
    # How many values it takes, where it may be given more than once.
    max_values: int | None = None

    def read(self, values: Mapping[str, str]) -> T:
        """Its value among a request's; raises `BadParameter`."""
        text = values.get(self.name, "")
        is_given = self.name in values if self.takes_empty else bool(text)
        if not is_given and not self.is_required:
            return self.default
        try:
            return self.kind.read(text)
        except BadParameter:
            raise
        except ValueError as error:
            raise BadParameter(f"{self.name}: {error}") from None

    @property
    def document(self) -> Json:
        """As an OpenAPI document has it."""
        is_required = self.is_required or self.where == "path"
        schema = dict(self.kind.schema)
        if not is_required and self.default not in {None, ""}:
            schema |= {"default": self.default}
        if not (is_required or self.takes_empty):
            schema = _or_empty(schema)
        if self.max_values is not None:
            schema = array(schema, maxItems=self.max_values)
        item: Json = {
            "name": self.name,
            "in": self.where,
            "required": is_required,
            "schema": schema,
        }
        return item | ({"description": self.description} if self.description else {})


def shown(text: str, characters: int = _SHOWN_CHARACTERS) -> str:
    """What was got, cut, for a text that a person reads."""
    return text if len(text) <= characters else f"{text[:characters]}..."


def _unexpected(text: str, expected: str) -> ValueError:
    return ValueError(f"got {text[:_SHOWN_CHARACTERS]!r}, {expected}")


def _or_empty(schema: Json) -> Json:
    """An empty value is taken too, where the schema itself does not allow it."""
    if "enum" in schema:
        return schema | {"enum": [*schema["enum"], ""]}
    is_text = schema == {"type": "string"} or (
        schema.get("type") == "string" and set(schema) <= {"type", "pattern"}
    )
    return schema if is_text else {"anyOf": [schema, {"type": "string", "maxLength": 0}]}
