"""The declaration of how a service consumes a topic; the services' table contains it and the consumer follows it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from headrace.contracts.topics import Topic
from headrace.runtime.retries import RetryPolicy
from headrace.runtime.set_by import Setting


@dataclass(frozen=True)
class Membership:
    """The time-outs of a group membership; each shorter time fits into the next longer one.

    ``revoke_seconds`` is the time that running handlers get to finish when partitions move; aiokafka's default for
    ``rebalance_seconds`` is the session timeout, in which a slow revocation would lose the membership.
    """

    heartbeat_seconds: float = 3.0
    session_seconds: float = 10.0
    revoke_seconds: float = 20.0
    rebalance_seconds: float = 60.0
    max_poll_seconds: float = 300.0


Term = Literal["topic", "group", "values", "concurrency", "deadline_seconds"]


@dataclass(frozen=True)
class Consumption:
    """One topic a service consumes.

    ``header`` and ``values``: only records whose header of that name has one of the values are handled; the
    others are counted as filtered. ``concurrency`` bounds the handlers running at once, ``deadline_seconds``
    each attempt. ``reads`` is the form in which a handler gets messages that it judges itself. ``set_by`` are the
    settings that change these terms; there are none left once they are applied.
    """

    topic: Topic[Any]
    group: str
    header: str = ""
    values: frozenset[str] = frozenset()
    concurrency: int = 16
    deadline_seconds: float = 60.0
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    # So many dead letters in a row mean a bad deploy, not bad messages: the consumer stops.
    dead_letters_in_a_row: int = 100
    membership: Membership = field(default_factory=Membership)
    reads: type[Any] | None = None
    set_by: Mapping[Term, Setting] = field(default_factory=dict, hash=False)
