"""What every message on a topic has in common."""

from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, model_validator

# In a list or a map there is no absence: null is the empty text there.
Element = Annotated[str, BeforeValidator(lambda value: "" if value is None else value)]


class Part(BaseModel):
    """A JSON object in which null is absence, as it is for Go's decoder, which most senders and readers have."""

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        if value is None:
            return {}
        # Most have none: there is no copy to make.
        if not isinstance(value, dict) or None not in value.values():
            return value
        return {name: item for name, item in value.items() if item is not None}


class FoldedPart(Part):
    """One whose keys match case-insensitively too."""

    @model_validator(mode="before")
    @classmethod
    def _fold_keys(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        names = {name.lower(): name for name in cls.model_fields}
        # A null under one spelling takes nothing away from what another one says.
        return {names.get(str(name).lower(), name): item for name, item in value.items() if item is not None}


class Message(Part):
    """A JSON object on a topic.

    Unknown fields are kept, so that a newer sender's additions survive a passage through an older service.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    @classmethod
    def from_json(cls, value: bytes) -> Self:
        """Decode and validate; raises ``pydantic.ValidationError`` naming the field."""
        return cls.model_validate_json(value)

    def to_json(self) -> bytes:
        """Encode in declared field order, absent (None) fields left out."""
        return self.model_dump_json(exclude_none=True).encode()


def utc_now() -> datetime:
    """Now, in UTC: the only zone in which this project writes time."""
    return datetime.now(UTC)


def rfc3339(moment: datetime) -> str:
    """RFC 3339 in UTC with a ``Z``, microseconds kept."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def rfc3339_nano(moment: datetime) -> str:
    """The same as Go writes it: with as many digits of a second as there are."""
    text = rfc3339(moment)
    return f"{text.removesuffix('Z').rstrip('0')}Z" if "." in text else text
