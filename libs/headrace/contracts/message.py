"""What every message on a topic has in common."""

from datetime import UTC, datetime
from typing import Self

from pydantic import BaseModel, ConfigDict


class Message(BaseModel):
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
