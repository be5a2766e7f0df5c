"""One message on its way through a consumer."""

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
    """When a record was written; where it does not say, or says what cannot be, the time of reading."""
    if not _FIRST_MS <= record.timestamp <= read_at.timestamp() * 1000 + _CLOCKS_APART_MS:
        return read_at
    return datetime.fromtimestamp(record.timestamp / 1000, UTC)


@dataclass(slots=True)
class Delivery:
    """Where a message came from and how often it was tried; ``attempt`` is 1 the first time.

    ``timestamp`` is when it was written, as `written_at` has it.
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
        """Of a record as it was read, whatever is in it: bytes that are no text are replaced."""
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
    """Text that every encoder and PostgreSQL take: without lone surrogates and NUL."""
    if text.isascii() and "\0" not in text:
        return text
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\0")


@dataclass(slots=True)
class Ending:
    """How a message ends, decided but not yet on record: what is left to do can be repeated by itself.

    ``error_class`` is set when it is to be dead-lettered, ``ours`` when the fault may lie here. ``text`` may come
    out of the message: it is made `plain`.
    """

    outcome: str
    text: str
    error_class: str | None = None
    ours: bool = False

    def __post_init__(self) -> None:
        if self.text:
            self.text = plain(self.text)


class Payload(TypedDict):
    """Which request a message is about, as a status names it."""

    request_id: str
    account: str
    org_id: str


@dataclass(slots=True)
class Spent:
    """Of a retry budget."""

    failures: int = 0
    waited_seconds: float = 0.0


@dataclass(slots=True, eq=False)
class Work(Generic[M]):
    """A record and how far it has come; ``organisation`` is whose it is, empty where it does not say."""

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
    """Try again after ``delay_seconds``; with ``held`` the partition waits meanwhile, for that reason."""

    delay_seconds: float
    held: str | None = None
