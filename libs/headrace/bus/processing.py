"""The life of one message: attempts, their errors, and recording its end."""

import asyncio
from collections import Counter
from contextlib import AbstractContextManager, suppress
from time import monotonic
from typing import Final, Generic, TypeVar

import structlog
from pydantic import ValidationError

from headrace.bus import dead_letters
from headrace.bus.consumption import Consumption
from headrace.bus.delivery import Delivery, Ending, Handler, KeyFunction, Later, Spent, Work
from headrace.bus.endings import (
    DEAD_LETTERED,
    FILTERED,
    PROCESSED,
    REJECTED,
    InARow,
    TooManyDeadLetters,
    dead,
    text_of,
    validation_text,
)
from headrace.bus.organisations import organisation_of
from headrace.bus.producer import Producer
from headrace.bus.records import Record, Unreadable
from headrace.bus.reports import begin_report, payload_of, report_end
from headrace.bus.statuses import StatusReporter
from headrace.contracts.message import Message, utc_now
from headrace.runtime import faultpoints, metrics, tracing
from headrace.runtime.errors import Fatal, Permanent, Poison, Rejected, Retryable
from headrace.runtime.logging import get_logger
from headrace.runtime.retries import RetryPolicy

M = TypeVar("M", bound=Message)

SEND_SECONDS: Final = 10.0
# So often a record that may have been hurt on its way is fetched.
_FETCHES: Final = 3

_log: Final = get_logger(__name__)


class HurtOnTheWay(Exception):
    """A record does not match its checksum and must be fetched again."""


class Processor(Generic[M]):
    """Takes a message to its end, one step per call; a step that has to wait returns `Later`."""

    def __init__(
        self,
        consumption: Consumption,
        handler: Handler[M],
        *,
        service: str,
        producer: Producer,
        statuses: StatusReporter | None,
        key: KeyFunction[M] | None,
    ) -> None:
        self._consumption = consumption
        self._kind: type[M] = consumption.reads or consumption.topic.message
        self._handler = handler
        self._service = service
        self._producer = producer
        self._statuses = statuses
        self._key = key
        self._hurt: Counter[tuple[int, int]] = Counter()
        self.in_a_row = InARow(consumption.dead_letters_in_a_row)
        labels = (service, consumption.topic.name)
        self._seconds = metrics.HANDLER_SECONDS.labels(*labels)
        self._age = metrics.MESSAGE_AGE_SECONDS.labels(*labels)
        self._outcomes = {
            outcome: metrics.MESSAGES.labels(*labels, outcome)
            for outcome in (PROCESSED, REJECTED, DEAD_LETTERED, FILTERED)
        }

    def filtered(self, record: Record) -> bool:
        """Return whether the record is for another service; if so, it is counted and ended."""
        name, values = self._consumption.header, self._consumption.values
        if isinstance(record.value, Unreadable):
            # Whose it is cannot be seen.
            return False
        if not name or any(
            header == name and value is not None and value.decode(errors="replace") in values
            for header, value in record.headers
        ):
            return False
        self._outcomes[FILTERED].inc()
        return True

    def take(self, record: Record) -> Work[M]:
        """Make a record into work, whatever it contains; with a key function it is decoded now, to determine its lane.

        Raises `HurtOnTheWay` if the record should be fetched again.
        """
        if isinstance(record.value, Unreadable) and record.value.once_more:
            self._hurt[record.partition, record.offset] += 1
            if self._hurt[record.partition, record.offset] < _FETCHES:
                raise HurtOnTheWay(record.value.reason)
        delivery = Delivery.of(record)
        work: Work[M] = Work(record, delivery, _size_bytes(record), lane=delivery.key)
        if record.value and not isinstance(record.value, Unreadable):
            work.organisation = organisation_of(record.value)
        if self._key is not None and (message := self._decoded(work)) is not None:
            try:
                work.lane = self._key(message, delivery)
            except Exception as error:  # noqa: BLE001 -- whatever a key function trips over is in the message
                work.ending = dead(error)
        return work

    def _decoded(self, work: Work[M]) -> M | None:
        if work.message is not None or work.ending is not None:
            return work.message
        value = work.record.value
        if isinstance(value, Unreadable):
            work.ending = Ending(
                DEAD_LETTERED, f"the record cannot be read: {value.reason}", "UnreadableRecord"
            )
        elif not value:
            work.ending = Ending(DEAD_LETTERED, "the message is empty", "EmptyMessage")
        else:
            try:
                work.message = self._kind.from_json(value)
            except ValidationError as error:
                work.ending = Ending(DEAD_LETTERED, validation_text(error), "ValidationError")
            except Exception as error:  # noqa: BLE001 -- whatever decoding trips over is in the message
                work.ending = dead(error)
        return work.message

    async def advance(self, work: Work[M]) -> Later | None:
        """Make one attempt and handle its outcome; None if the message has ended.

        Raises only `Fatal` from the handler and `TooManyDeadLetters`: other errors around the handler end the
        message, and errors while its end is recorded hold it.
        """
        try:
            with tracing.continued(work.delivery.headers):
                return await self._advance(work)
        except (Fatal, TooManyDeadLetters):
            raise
        except Exception as error:  # noqa: BLE001 -- the one place that turns whatever it is into an ending
            _log.error("message cannot be handled", reason=text_of(error), exc_info=error)
            if work.ending is None:
                work.ending = dead(error, ours=True)
                return Later(0.0)
            return self._hold(work, error)

    async def _advance(self, work: Work[M]) -> Later | None:
        message = self._decoded(work)
        if work.taken_up is None:
            work.taken_up = utc_now()
            try:
                work.payload = payload_of(work)
            except Exception as error:  # noqa: BLE001 -- whatever this trips over is in the message
                work.ending = work.ending or dead(error)
            if self._statuses is not None and work.payload is not None:
                work.received = begin_report(work.payload, work.taken_up, self._statuses)
        if work.payload is not None:
            structlog.contextvars.bind_contextvars(request_id=work.payload["request_id"])
        if work.ending is None and message is not None:
            later = await self._attempt(message, work)
            if later is not None:
                return later
        return await self._end(work)

    async def _attempt(self, message: M, work: Work[M]) -> Later | None:
        delivery = work.delivery
        delivery.attempt += 1
        deadline = asyncio.timeout(self._consumption.deadline_seconds)
        started = monotonic()
        try:
            with self._span(work):
                async with deadline:
                    note = await self._handler(message, delivery)
                    if faultpoints.armed is not None:
                        await faultpoints.armed.reach("after_effect")
            work.ending = Ending(PROCESSED, note or "")
            return None
        except Fatal:
            raise
        except Exception as error:  # noqa: BLE001 -- this is where a handler's errors are judged
            failure: Exception = error
            if isinstance(error, TimeoutError) and deadline.expired():
                failure = TimeoutError(f"not handled within {self._consumption.deadline_seconds:g} s")
        finally:
            self._seconds.observe(monotonic() - started)
        metrics.ATTEMPT_FAILURES.labels(
            self._service, self._consumption.topic.name, type(failure).__name__
        ).inc()
        return self._judge(failure, work)

    def _span(self, work: Work[M]) -> AbstractContextManager[None]:
        if not tracing.is_on():
            # The attributes would be put together for every message.
            return tracing.OFF
        delivery = work.delivery
        return tracing.span(
            f"{self._service} process",
            delivery.headers,
            kind="consumer",
            request_id=work.payload["request_id"] if work.payload else "",
            topic=delivery.topic,
            partition=delivery.partition,
            offset=delivery.offset,
            attempt=delivery.attempt,
        )

    def _judge(self, error: Exception, work: Work[M]) -> Later | None:
        """Decide what an error means: a later retry, or an end."""
        if isinstance(error, Rejected):
            work.ending = Ending(REJECTED, str(error) or "rejected")
            return None
        if isinstance(error, Permanent):
            work.ending = dead(error, ours=not isinstance(error, Poison))
            return None
        retry = self._consumption.retry
        if isinstance(error, Retryable):
            _log.info("attempt failed", attempt=work.delivery.attempt, reason=text_of(error))
            delay = _spend(work.retryables, retry)
            if delay is None:
                return Later(retry.hold_seconds(work.retryables.failures), held=text_of(error))
            return Later(delay)
        _log.warning("attempt failed", attempt=work.delivery.attempt, reason=text_of(error), exc_info=error)
        delay = _spend(work.faults, retry)
        if delay is None:
            work.ending = dead(error, ours=True)
            return None
        return Later(delay)

    async def _end(self, work: Work[M]) -> Later | None:
        """Record the end, each part until it is acknowledged; only then may the offset move."""
        ending = work.ending
        if ending is None:
            raise AssertionError("a message ends only once its ending is known")
        try:
            if ending.error_class is not None and not work.dead_lettered:
                await self._dead_letter(work, ending.error_class, ending.text)
            if self._statuses is not None and work.payload is not None:
                await report_end(work, work.payload, ending, self._statuses)
        except (Retryable, Permanent) as error:
            return self._hold(work, error)
        if ending.outcome != DEAD_LETTERED:
            self.in_a_row.clear()
        self._outcomes[ending.outcome].inc()
        self._age.observe(max(0.0, (utc_now() - work.delivery.timestamp).total_seconds()))
        if ending.outcome == REJECTED:
            _log.info("message rejected", reason=ending.text)
        return None

    def _hold(self, work: Work[M], error: Exception) -> Later:
        work.end_attempts += 1
        return Later(self._consumption.retry.hold_seconds(work.end_attempts), text_of(error))

    async def _dead_letter(self, work: Work[M], error_class: str, reason: str) -> None:
        if work.ending is not None and work.ending.ours and not work.counted_in_row:
            if self.in_a_row.full:
                raise TooManyDeadLetters
            self.in_a_row.add(work.organisation)
            work.counted_in_row = True
        record = work.record
        told = dead_letters.story(
            work.delivery,
            service=self._service,
            group=self._consumption.group,
            error_class=error_class,
            reason=reason,
            value=record.value,
        )
        *larger, least = dead_letters.letters(record, told)
        for letter in larger:
            with suppress(Permanent):
                await self._send(letter)
                break
        else:
            await self._send(least)
        work.dead_lettered = True
        _log.error("message dead-lettered", reason=reason, error=error_class, attempts=work.delivery.attempt)

    async def _send(self, letter: dead_letters.Letter) -> None:
        await self._producer.send_raw(
            self._consumption.topic.dead_letters,
            letter.value,
            key=letter.key,
            headers=letter.headers,
            timeout_seconds=SEND_SECONDS,
        )


def _size_bytes(record: Record) -> int:
    size = len(record.value or b"") + len(record.key or b"")
    for name, value in record.headers:
        size += len(name) + len(value or b"")
    return size


def _spend(spent: Spent, retry: RetryPolicy) -> float | None:
    """Count one more failure of a kind: the delay before the next attempt, or None if the budget is spent."""
    spent.failures += 1
    delay = retry.next_delay_seconds(spent.failures, spent.waited_seconds)
    spent.waited_seconds += delay or 0.0
    return delay
