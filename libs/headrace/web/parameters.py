"""Parameters of HTTP operations: each is declared once, for reading requests and for the OpenAPI document."""

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
    """A parameter is invalid; the text names it, what was given and what is expected.

    A kind raises it itself if its API has its own text; the text of any other ``ValueError`` is appended to the
    parameter's name.
    """


class Kind(Protocol[T_co]):
    """The type of a parameter's values."""

    @property
    def schema(self) -> Json:
        """Return their JSON Schema."""

    def read(self, text: str) -> T_co:
        """Return the value of a text; raises ``ValueError`` with what was given and what is expected."""


@dataclass(frozen=True)
class Integer:
    """Whole numbers within bounds."""

    low: int
    high: int
    # The beginning of the reason of a refusal.
    verb: str = "must be"

    @property
    def schema(self) -> Json:
        """Return the schema with the bounds."""
        return {"type": "integer", "minimum": self.low, "maximum": self.high}

    def read(self, text: str) -> int:
        """Read ASCII digits."""
        if not re.fullmatch(r"-?[0-9]{1,19}", text) or not self.low <= int(text) <= self.high:
            raise _unexpected(text, f"{self.verb} a whole number from {self.low} to {self.high}")
        return int(text)


@dataclass(frozen=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def schema(self) -> Json:
        """Return the schema with the words."""
        return {"type": "string", "enum": list(self.words)}

    def read(self, text: str) -> str:
        """Return the word."""
        if text not in self.words:
            raise _unexpected(text, f"must be one of {', '.join(self.words)}")
        return text


@dataclass(frozen=True)
class Text:
    """Text that PostgreSQL can store and compare, with a limit in bytes."""

    min_characters: int = 0
    max_bytes: int | None = None

    @property
    def schema(self) -> Json:
        """Return the schema. Its bounds count characters, which are never more than bytes."""
        schema: Json = {"type": "string", "pattern": "^[^\\u0000]*$"}
        schema |= {"minLength": self.min_characters} if self.min_characters else {}
        return schema | ({} if self.max_bytes is None else {"maxLength": self.max_bytes})

    def read(self, text: str) -> str:
        """Return the text unchanged."""
        if "\0" in text:
            raise ValueError("must not contain a NUL character")
        if len(text) < self.min_characters:
            raise ValueError("must not be empty")
        if self.max_bytes is not None and len(text.encode(errors="replace")) > self.max_bytes:
            raise _unexpected(text, f"must have at most {self.max_bytes} bytes")
        return text


@dataclass(frozen=True)
class Moment:
    """A time; ``reader`` is the API's own, because clients write times in many forms."""

    reader: Callable[[str], datetime]

    @property
    def schema(self) -> Json:
        """Return the schema of RFC 3339, whatever other forms are tolerated."""
        return dict(MOMENT)

    def read(self, text: str) -> datetime:
        """Return what the reader returns."""
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
        """Return what the function returns."""
        return self.reader(text)


@dataclass(frozen=True)
class Parameter(Generic[T]):
    """One parameter: ``default`` if it is absent, or empty unless ``takes_empty`` makes empty a value.

    A path parameter is always present; with ``is_rest`` it takes the rest of the path, including slashes.
    """

    name: str
    kind: Kind[T]
    default: T
    description: str = ""
    where: Where = "query"
    is_required: bool = False
    is_rest: bool = False
    takes_empty: bool = False
    # How many values it accepts; None if it may be given only once.
    max_values: int | None = None

    def read(self, values: Mapping[str, str]) -> T:
        """Return the parameter's value in a request; raises `BadParameter`."""
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
        """Return the parameter's description in an OpenAPI document."""
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
    """Return the given text, shortened, for an error message."""
    return text if len(text) <= characters else f"{text[:characters]}..."


def _unexpected(text: str, expected: str) -> ValueError:
    return ValueError(f"got {text[:_SHOWN_CHARACTERS]!r}, {expected}")


def _or_empty(schema: Json) -> Json:
    """Return a schema that also accepts an empty value, if the schema itself does not."""
    if "enum" in schema:
        return schema | {"enum": [*schema["enum"], ""]}
    is_text = schema == {"type": "string"} or (
        schema.get("type") == "string" and set(schema) <= {"type", "pattern"}
    )
    return schema if is_text else {"anyOf": [schema, {"type": "string", "maxLength": 0}]}
