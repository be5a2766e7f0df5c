"""The common base of all messages on topics."""

import json
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Final, Self

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

_SHOWN_CHARACTERS: Final = 64

# A list or map has no absent element; its null becomes the empty text, as in Go.
Element = Annotated[str, BeforeValidator(lambda value: "" if value is None else value)]


class Part(BaseModel):
    """A JSON object in which null means absent, as in Go's decoder, which most senders and readers use."""

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        if value is None:
            return {}
        # Most objects have no null and need no copy.
        if not isinstance(value, dict) or None not in value.values():
            return value
        return {name: item for name, item in value.items() if item is not None}


class FoldedPart(Part):
    """A part whose keys also match case-insensitively."""

    @model_validator(mode="before")
    @classmethod
    def _fold_keys(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        names = {name.lower(): name for name in cls.model_fields}
        # A null under one spelling of a key does not hide the value under another spelling.
        return {names.get(str(name).lower(), name): item for name, item in value.items() if item is not None}


class Message(Part):
    """A JSON object on a topic.

    Unknown fields are kept, so that a newer sender's fields survive an older service.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    @classmethod
    def from_json(cls, value: bytes) -> Self:
        """Decode and validate; raises ``pydantic.ValidationError`` naming the field."""
        return cls.model_validate_json(value)

    def to_json(self) -> bytes:
        """Encode in the order of declaration, without absent (None) fields."""
        return self.model_dump_json(exclude_none=True).encode()


class Unjudged(Message):
    """A JSON object that is decoded but not validated, for handlers with their own wording for faults.

    ``problem`` is the reason why the bytes are not a JSON object, or None; ``raw`` are the bytes. ``NAMES`` are the
    keys of request id, organisation and account, which the payload's status names even if the rest is invalid.
    """

    NAMES: ClassVar[tuple[str, str, str]] = ("request_id", "org_id", "account")

    attributes: dict[str, Any]
    raw: bytes = b""
    problem: str = ""

    @classmethod
    def from_json(cls, value: bytes) -> Self:
        """Decode the bytes; never raises."""
        try:
            value = cls.unpacked(value)
            document = cls.parsed(value)
        except (ValueError, RecursionError) as error:
            return cls(attributes={}, raw=value, problem=cls.no_json(error))
        if not isinstance(document, dict):
            return cls(attributes={}, raw=value, problem=cls.no_object(document))
        return cls(attributes=document, raw=value)

    @classmethod
    def unpacked(cls, value: bytes) -> bytes:
        """Return the JSON text in a record's value; raises ``ValueError``."""
        return value

    @classmethod
    def parsed(cls, value: bytes) -> Any:
        """Return the decoded document; raises ``ValueError``."""
        return orjson.loads(value)

    @classmethod
    def no_json(cls, error: Exception) -> str:
        """Return the reason why bytes cannot be decoded."""
        return f"the message is not JSON: {error}"

    @classmethod
    def no_object(cls, document: Any) -> str:
        """Return the reason why a document is not a message."""
        return f"the message is not an object: {shown(document)}"

    @property
    def request_id(self) -> str:
        """The request id in the payload's status."""
        value = self.attributes.get(self.NAMES[0])
        return value if isinstance(value, str) else ""

    @property
    def org_id(self) -> str:
        """The organisation in the payload's status."""
        return str(self.attributes.get(self.NAMES[1]) or "")

    @property
    def account(self) -> str:
        """The account number in the payload's status."""
        return str(self.attributes.get(self.NAMES[2]) or "")


def json_text(value: Any) -> str:
    """Return compact JSON that a text column of PostgreSQL can store."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # half a surrogate pair, or an integer beyond 64 bits
        return json.dumps(value, separators=(",", ":"))


def shown(value: Any) -> str:
    """Return a JSON value for an error's text, shortened."""
    text = json_text(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"


def utc_now() -> datetime:
    """Return the time in UTC, the only zone in which this project writes times."""
    return datetime.now(UTC)


def rfc3339(moment: datetime) -> str:
    """Return RFC 3339 in UTC with a ``Z``, with microseconds."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def rfc3339_nano(moment: datetime) -> str:
    """Return RFC 3339 in Go's form: with as many digits of a second as needed."""
    text = rfc3339(moment)
    return f"{text.removesuffix('Z').rstrip('0')}Z" if "." in text else text
