"""The terms on which a service consumes a topic: data, read by the registry and kept by the consumer."""

from dataclasses import dataclass, field
from typing import Any

from headrace.contracts.topics import Topic
from headrace.runtime.retries import RetryPolicy


@dataclass(frozen=True)
class Membership:
    """How the broker sees a member of the group; each shorter wait fits into the next longer one.

    ``revoke_seconds`` is what running handlers get to finish when partitions move on; aiokafka's own default
    for ``rebalance_seconds`` is the session timeout, in which a slow revocation gets the member thrown out.
    """

    heartbeat_seconds: float = 3.0
    session_seconds: float = 10.0
    revoke_seconds: float = 20.0
    rebalance_seconds: float = 60.0
    max_poll_seconds: float = 300.0


@dataclass(frozen=True)
class Consumption:
    """One topic a service consumes.

    ``header`` and ``values``: only records whose header of that name has one of the values are handled; the
    others are counted as filtered. ``concurrency`` bounds the handlers running at once, ``deadline_seconds``
    each attempt.
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
