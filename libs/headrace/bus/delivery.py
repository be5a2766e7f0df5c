"""One message on its way through a consumer."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeAlias, TypedDict, TypeVar

from aiokafka.structs import ConsumerRecord

from headrace.contracts.message import Message

M = TypeVar("M", bound=Message)


@dataclass(slots=True)
class Delivery:
    """Where a message came from and how often it was tried; ``attempt`` is 1 the first time."""

    topic: str
    partition: int
    offset: int
    key: str | None
    headers: dict[str, str]
    timestamp: datetime
    first_seen: datetime
    attempt: int = 0


# Returns when the effects are durable; a text returned goes into the `success` status.
Handler: TypeAlias = Callable[[M, Delivery], Awaitable[str | None]]
KeyFunction: TypeAlias = Callable[[M, Delivery], str | None]


@dataclass(slots=True)
class Ending:
    """How a message ends, decided but not yet on record: what is left to do can be repeated by itself.

    ``error_class`` is set when it is to be dead-lettered.
    """

    outcome: str
    text: str
    error_class: str | None = None


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
    """A record and how far it has come."""

    record: ConsumerRecord[bytes | None, bytes | None]
    delivery: Delivery
    size_bytes: int
    lane: str | None = None
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
