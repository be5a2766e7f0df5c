"""A message on its way through a consumer."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Generic, Self, TypeAlias, TypedDict, TypeVar

from headrace.bus.records import Record
from headrace.contracts.message import Message, utc_now

M = TypeVar("M", bound=Message)

# Kafka's times are milliseconds. A sender that has none writes -1 or 0; one that counts in seconds or
# microseconds is as far off. What lies outside is no time.
_FIRST_MS: Final = 10**12
_CLOCKS_APART_MS: Final = 24 * 60 * 60 * 1000


def written_at(record: Record, read_at: datetime) -> datetime:
    """Return when a record was written; if its timestamp is missing or impossible, the time of reading."""
    if not _FIRST_MS <= record.timestamp <= read_at.timestamp() * 1000 + _CLOCKS_APART_MS:
        return read_at
    return datetime.fromtimestamp(record.timestamp / 1000, UTC)


@dataclass(slots=True)
class Delivery:
    """The origin of a message and the number of its attempts; ``attempt`` is 1 the first time.

    ``timestamp`` is the time of writing, as `written_at` returns it.
    """

    topic: str
    partition: int
    offset: int
    key: str | None
    headers: dict[str, str]
    timestamp: datetime
    first_seen: datetime
    attempt: int = 0

    @classmethod
    def of(cls, record: Record) -> Self:
        """Return the delivery of a record, whatever it contains: bytes that are not text are replaced."""
        read_at = utc_now()
        return cls(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            key=None if record.key is None else record.key.decode(errors="replace"),
            headers={name: (value or b"").decode(errors="replace") for name, value in record.headers},
            timestamp=written_at(record, read_at),
            first_seen=read_at,
        )


# Returns when the effects are durable; a text returned goes into the `success` status.
Handler: TypeAlias = Callable[[M, Delivery], Awaitable[str | None]]
KeyFunction: TypeAlias = Callable[[M, Delivery], str | None]


def plain(text: str) -> str:
    """Return text that every encoder and PostgreSQL accept: without unpaired surrogates and NUL."""
    if text.isascii() and "\0" not in text:
        return text
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\0")


@dataclass(slots=True)
class Ending:
    """The end of a message, decided but not recorded yet; recording it can be repeated.

    ``error_class`` is set if the message is to be dead-lettered, ``ours`` if the fault may be Headrace's.
    ``text`` may come from the message, so it is passed through `plain`.
    """

    outcome: str
    text: str
    error_class: str | None = None
    ours: bool = False

    def __post_init__(self) -> None:
        if self.text:
            self.text = plain(self.text)


class Payload(TypedDict):
    """The request to which a message belongs, as statuses name it."""

    request_id: str
    account: str
    org_id: str
    # The cluster, where the message names it.
    system_id: str | None


@dataclass(slots=True)
class Spent:
    """The used part of a retry budget."""

    failures: int = 0
    waited_seconds: float = 0.0


@dataclass(slots=True, eq=False)
class Work(Generic[M]):
    """A record and its progress; ``organisation`` is the organisation it names, empty if it names none."""

    record: Record
    delivery: Delivery
    size_bytes: int
    lane: str | None = None
    organisation: str = ""
    message: M | None = None
    # By kind, so that a long wait for an engine leaves the budget for faults untouched.
    retryables: Spent = field(default_factory=Spent)
    faults: Spent = field(default_factory=Spent)
    ending: Ending | None = None
    end_attempts: int = 0
    counted_in_row: bool = False
    dead_lettered: bool = False
    taken_up: datetime | None = None
    payload: Payload | None = None
    received: Awaitable[None] | None = None


@dataclass(frozen=True, slots=True)
class Later:
    """Retry after ``delay_seconds``; with ``held`` the partition waits meanwhile, for that reason."""

    delay_seconds: float
    held: str | None = None
