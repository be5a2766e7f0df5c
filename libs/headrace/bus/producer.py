"""Sending: idempotent, acks=all, every message acknowledged or given up within its deadline.

A message that was given up may still arrive, because an idempotent producer keeps trying the batch that it
has numbered. A caller that repeats it causes at most a duplicate, which every consumer recognises by its
natural key.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Final, Self, TypeVar

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    ProducerClosed,
)

from headrace.bus.connection import client_arguments
from headrace.contracts.message import Message
from headrace.contracts.topics import Topic
from headrace.runtime import faultpoints, metrics, tracing
from headrace.runtime.errors import Permanent, Retryable
from headrace.runtime.logging import get_logger
from headrace.runtime.settings import EngineSettings

M = TypeVar("M", bound=Message)

Headers = Sequence[tuple[str, bytes]]

_log: Final = get_logger(__name__)

# Room for a message of 1 MiB with its headers; the topics' own limit is the broker's to enforce.
MAX_REQUEST_BYTES: Final = 2 * 1024 * 1024
# A batch holds what arrives while the one before it is in flight; more would only be copied for nothing.
_MAX_BATCH_BYTES: Final = 64 * 1024
# So long without any acknowledgement, and the connection is made anew, from the bootstrap servers on: the
# brokers may have moved to other addresses, which a client that only knows the old ones never learns.
_SILENCE_SECONDS: Final = 20.0
_CLOSE_SECONDS: Final = 5.0


class _Connection:
    """One aiokafka producer, replaced when it can no longer be used."""

    def __init__(self, settings: EngineSettings, client_id: str) -> None:
        self._settings = settings
        self._client_id = client_id
        self._client: AIOKafkaProducer | None = None
        self._opening = asyncio.Lock()
        self._retired: set[asyncio.Task[None]] = set()
        self._closed = False
        self._silent_since: float | None = None
        self.problem: str | None = "has not reached Kafka yet"

    async def client(self) -> AIOKafkaProducer:
        """Return the producer in use, opened if necessary; the caller limits the wait."""
        if self._client is not None:
            return self._client
        async with self._opening:
            if self._closed:
                raise ProducerClosed
            if self._client is None:
                self._client = await self._open()
                self.problem = None
            return self._client

    async def _open(self) -> AIOKafkaProducer:
        client = AIOKafkaProducer(
            **client_arguments(self._settings, client_id=self._client_id),
            enable_idempotence=True,
            acks="all",
            # No lingering: somebody waits for each acknowledgement. Under load batches form by themselves,
            # since one request to a broker is in flight at a time and later messages gather behind it.
            linger_ms=0,
            max_batch_size=_MAX_BATCH_BYTES,
            max_request_size=MAX_REQUEST_BYTES,
        )
        try:
            await client.start()
        except BaseException as error:
            await client.stop()
            if not isinstance(error, KafkaError):
                raise
            self.problem = f"cannot reach Kafka at {self._settings.kafka}: {_describe(error)}"
            raise Retryable(self.problem) from error
        return client

    def acknowledged(self) -> None:
        """The broker answered."""
        if self._silent_since is not None:
            self._silent_since = None
            self.problem = None

    def unanswered(self, client: AIOKafkaProducer | None, reason: str) -> None:
        """Note that a send's deadline passed; after a long silence the connection is given up."""
        now = monotonic()
        if self._silent_since is None:
            self._silent_since = now
        self.problem = f"no acknowledgement from Kafka: {reason}"
        if client is not None and now - self._silent_since > _SILENCE_SECONDS:
            self._silent_since = now
            self.replace(client, reason)

    def replace(self, client: AIOKafkaProducer, reason: str) -> None:
        """Replace ``client``: a failed batch left a gap in its sequence numbers, or it was fenced."""
        if self._client is not client:
            return
        self._client = None
        _log.warning("producer replaced", reason=reason)
        task = asyncio.create_task(close_client(client, _CLOSE_SECONDS))
        self._retired.add(task)
        task.add_done_callback(self._retired.discard)

    async def close(self, deadline_seconds: float) -> None:
        self._closed = True
        client, self._client = self._client, None
        if client is not None:
            await close_client(client, deadline_seconds)
        if self._retired:
            await asyncio.wait(self._retired, timeout=_CLOSE_SECONDS)


async def close_client(client: AIOKafkaProducer, deadline_seconds: float) -> None:
    """Flush within the time, then fail the rest: an idempotent producer would try for ever."""
    stopping = asyncio.create_task(client.stop())
    await asyncio.wait([stopping], timeout=deadline_seconds)
    if not stopping.done():
        client._message_accumulator.fail_all(KafkaTimeoutError())  # noqa: SLF001 -- there is no public way
        await asyncio.wait([stopping], timeout=_CLOSE_SECONDS)
    if not stopping.done():
        stopping.cancel()
    # The sender task may fall over batches failed under it; all that is left to do then is to hang up.
    with suppress(KafkaError, asyncio.CancelledError, KeyError):
        await stopping
    await client.client.close()


@dataclass(frozen=True, eq=False)
class Outgoing:
    """A message to send."""

    topic_name: str
    value: bytes | None
    key: bytes | None
    headers: Headers

    @classmethod
    def of(
        cls, topic: Topic[M], message: M, *, key: str | None = None, headers: Mapping[str, str] | None = None
    ) -> Self:
        """Encode a message."""
        encoded = encode_headers((headers or {}).items())
        return cls(topic.name, message.to_json(), None if key is None else key.encode(), encoded)


class Producer:
    """A service's view of the connection that the whole process shares."""

    def __init__(self, connection: _Connection, service: str) -> None:
        self._connection = connection
        self._service = service

    @classmethod
    async def open(cls, settings: EngineSettings, *, service: str) -> Self:
        """Connect. A broker that is away is not an error here: sends raise `Retryable` until it is back."""
        connection = _Connection(settings, f"headrace-{service}")
        with suppress(Retryable, TimeoutError):
            async with asyncio.timeout(10.0):
                await connection.client()
        if connection.problem is not None:
            _log.warning("kafka unreachable", reason=connection.problem)
        return cls(connection, service)

    def for_service(self, service: str) -> "Producer":
        """Return the same connection, with metrics under another service's name."""
        return Producer(self._connection, service)

    @property
    def problem(self) -> str | None:
        """The reason why sends fail at present; None if the last one was acknowledged."""
        return self._connection.problem

    async def send(
        self,
        topic: Topic[M],
        message: M,
        *,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float = 10.0,
    ) -> None:
        """Send and wait for the acknowledgement; raises like `send_all`."""
        outgoing = Outgoing.of(topic, message, key=key, headers=headers)
        await self.send_all([outgoing], timeout_seconds=timeout_seconds)

    async def send_raw(
        self,
        topic_name: str,
        value: bytes | None,
        *,
        key: bytes | None,
        headers: Headers = (),
        timeout_seconds: float = 10.0,
    ) -> None:
        """Send bytes and wait for the acknowledgement; raises like `send_all`."""
        await self.send_all([Outgoing(topic_name, value, key, headers)], timeout_seconds=timeout_seconds)

    async def send_all(self, messages: Sequence[Outgoing], *, timeout_seconds: float = 10.0) -> None:
        """Send several messages, about as cheap as one, and wait for every acknowledgement.

        Raises `Retryable` if the broker does not acknowledge all in time (any of them may still arrive),
        `Permanent` if one is too large for its topic.
        """
        pending = list(messages)
        try:
            await self._acknowledged(pending, timeout_seconds)
        finally:
            for message in messages:
                counter = metrics.PRODUCE_FAILURES if message in pending else metrics.PRODUCED
                counter.labels(self._service, message.topic_name).inc()

    async def _acknowledged(self, pending: list[Outgoing], timeout_seconds: float) -> None:
        """Send until none is pending, or raise."""
        client: AIOKafkaProducer | None = None
        failure = "the broker did not answer"
        try:
            async with asyncio.timeout(timeout_seconds):
                if faultpoints.armed is not None:
                    await faultpoints.armed.reach("before_announce", Retryable)
                # A producer that became unusable is replaced, and what it had been refused sent again.
                for _ in range(3):
                    client = await self._connection.client()
                    error = await self._deliver(client, pending)
                    if error is None:
                        self._connection.acknowledged()
                        return
                    failure = _describe(error)
                    if isinstance(error, MessageSizeTooLargeError):
                        raise Permanent(f"{pending[0].topic_name}: {failure}") from error
        except TimeoutError:
            name = pending[0].topic_name
            if client is not None and client.client.cluster.partitions_for_topic(name) is None:
                failure = "the topic does not exist"
                client = None
            self._connection.unanswered(client, f"{name}: {failure}")
            raise Retryable(f"{name}: no acknowledgement within {timeout_seconds:g} s ({failure})") from None
        except KafkaError as error:
            raise Retryable(f"{pending[0].topic_name}: {_describe(error)}") from error
        raise Retryable(f"{pending[0].topic_name}: {failure}")

    async def _deliver(self, client: AIOKafkaProducer, pending: list[Outgoing]) -> KafkaError | None:
        """Queue all, then wait for each; acknowledged messages leave ``pending``. Returns the last error."""
        last: KafkaError | None = None
        queued: list[tuple[Outgoing, asyncio.Future[object]]] = []
        for message in pending:
            try:
                sent = await client.send(
                    message.topic_name, message.value, key=message.key, headers=_traced(message.headers)
                )
                queued.append((message, sent))
            except KafkaError as error:
                last = error
                if _spoils(error, queued=False):
                    self._connection.replace(client, _describe(error))
        for message, sent in queued:
            try:
                await sent
                pending.remove(message)
            except KafkaError as error:
                last = error
                if _spoils(error, queued=True):
                    self._connection.replace(client, _describe(error))
        return last

    async def close(self, deadline_seconds: float = 5.0) -> None:
        """Flush within the time and disconnect, for every view of this connection."""
        await self._connection.close(deadline_seconds)


def encode_headers(headers: Iterable[tuple[str, str]]) -> list[tuple[str, bytes]]:
    """Return headers in Kafka's form."""
    return [(name, value.encode()) for name, value in headers]


def _traced(headers: Headers) -> list[tuple[str, bytes]]:
    """Add the current span's context, unless the headers have one: a dead letter's trace begins at its first sender."""
    if not tracing.is_on() or any(name == "traceparent" for name, _ in headers):
        return list(headers)
    return [*headers, *encode_headers(tracing.inject({}).items())]


def _spoils(error: KafkaError, *, queued: bool) -> bool:
    """Return whether the producer can no longer be used after this error.

    A batch that failed for good took its sequence numbers with it, so everything that follows on its
    partition would be out of order, for ever. An error before the message was queued means that the producer
    itself ended, unless the error is about the message or about a missing topic.
    """
    if isinstance(error, (KafkaTimeoutError, ProducerClosed)):
        return False
    return queued or not (error.retriable or isinstance(error, MessageSizeTooLargeError))


def _describe(error: KafkaError) -> str:
    text = str(error)
    name = type(error).__name__
    return text if name in text else f"{name}: {text}" if text else name
