"""Calling a service's handler by itself, with real engines around it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from headrace.bus.delivery import Delivery
from headrace.bus.producer import Outgoing, Producer
from headrace.contracts.message import Message
from headrace.contracts.topics import Topic
from headrace.objects.store import ObjectStore
from headrace.runtime.errors import Retryable

M = TypeVar("M", bound=Message)


def delivery(at: datetime | None = None, headers: dict[str, str] | None = None) -> Delivery:
    """How a message came: `at` is its record's time, now by default."""
    at = at or datetime.now(UTC)
    return Delivery("t", 0, 0, None, headers or {}, at, at)


async def contents(store: ObjectStore, bucket: str) -> dict[str, bytes]:
    """Every object of a bucket."""
    found = {}
    async for item in store.list(bucket):
        async with store.get(bucket, item.key) as chunks:
            found[item.key] = b"".join([chunk async for chunk in chunks])
    return found


class Noted(Producer):
    """The real producer, with a note of what was acknowledged; can be cut off before or after that."""

    def __init__(self, *terms: Any) -> None:
        super().__init__(*terms)
        # Topic, key and message of each.
        self.sent: list[tuple[str, str | None, Message]] = []
        self.batches: list[Sequence[Outgoing]] = []
        # A topic, and `before` or `after`.
        self.cut: tuple[str, str] | None = None

    async def send(self, topic: Topic[M], message: M, *, key: str | None = None, **options: Any) -> None:
        if self.cut == (topic.name, "before"):
            raise Retryable("cut off before")
        await super().send(topic, message, key=key, **options)
        self.sent.append((topic.name, key, message))
        if self.cut == (topic.name, "after"):
            raise Retryable("cut off after")

    async def send_all(self, messages: Sequence[Outgoing], **options: Any) -> None:
        await super().send_all(messages, **options)
        self.batches.append(list(messages))

    def messages(self, kind: type[M]) -> list[M]:
        """Those of a kind, in order."""
        return [message for _, _, message in self.sent if isinstance(message, kind)]
