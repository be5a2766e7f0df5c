"""What happens to one message: attempts, their errors, and putting its end on record."""

import asyncio
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from time import time
from typing import Any, Final, Generic, TypeVar

import orjson
import structlog
from pydantic import ValidationError

from headrace.bus import dead_letters
from headrace.bus.consumption import Consumption
from headrace.bus.delivery import Delivery, Ending, Handler, KeyFunction, Later, Payload, Spent, Work
from headrace.bus.producer import Producer
from headrace.bus.statuses import StatusReporter
from headrace.contracts import status
from headrace.contracts.message import Message, utc_now
from headrace.runtime import faultpoints, metrics, tracing
from headrace.runtime.errors import Fatal, Permanent, Poison, Rejected, Retryable
from headrace.runtime.logging import get_logger
from headrace.runtime.retries import RetryPolicy

M = TypeVar("M", bound=Message)

PROCESSED: Final = "processed"
REJECTED: Final = "rejected"
DEAD_LETTERED: Final = "dead_lettered"
FILTERED: Final = "filtered"

SEND_SECONDS: Final = 10.0

_log: Final = get_logger(__name__)


class TooManyDeadLetters(Exception):
    """One more message is to be dead-lettered than may be in a row; it is not."""


class Processor(Generic[M]):
    """Takes a message to its end, one step a call: what comes after a delay is asked for with `Later`."""

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
        self._handler = handler
        self._service = service
        self._producer = producer
        self._statuses = statuses
        self._key = key
        self.dead_letters_in_a_row = 0
        labels = (service, consumption.topic.name)
        self._seconds = metrics.HANDLER_SECONDS.labels(*labels)
        self._age = metrics.MESSAGE_AGE_SECONDS.labels(*labels)
        self._outcomes = {
            outcome: metrics.MESSAGES.labels(*labels, outcome)
            for outcome in (PROCESSED, REJECTED, DEAD_LETTERED, FILTERED)
        }

    def filtered(self, record: dead_letters.Record) -> bool:
        """Whether the record is none of this service's business; if so it is counted and done."""
        name, values = self._consumption.header, self._consumption.values
        if not name or any(
            header == name and value is not None and value.decode(errors="replace") in values
            for header, value in record.headers
        ):
            return False
        self._outcomes[FILTERED].inc()
        return True

    def take(self, record: dead_letters.Record) -> Work[M]:
        """Make a record into work; with a key function it is decoded now, since its lane depends on it."""
        key = None if record.key is None else record.key.decode(errors="replace")
        delivery = Delivery(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            key=key,
            headers={name: (value or b"").decode(errors="replace") for name, value in record.headers},
            timestamp=datetime.fromtimestamp(record.timestamp / 1000, UTC),
            first_seen=utc_now(),
        )
        size_bytes = len(record.value or b"") + len(record.key or b"")
        work: Work[M] = Work(record, delivery, size_bytes, lane=key)
        if self._key is not None and self._decoded(work) is not None:
            try:
                work.lane = self._key(self._decoded(work), delivery)  # type: ignore[arg-type]
            except Exception as error:  # noqa: BLE001 -- whatever a key function trips over is in the message
                work.ending = _dead(error)
        return work

    def _decoded(self, work: Work[M]) -> M | None:
        if work.message is None and work.ending is None:
            if not work.record.value:
                work.ending = Ending(DEAD_LETTERED, "the message is empty", "EmptyMessage")
                return None
            try:
                work.message = self._consumption.topic.message.from_json(work.record.value)
            except ValidationError as error:
                work.ending = Ending(DEAD_LETTERED, _validation_text(error), "ValidationError")
        return work.message

    async def advance(self, work: Work[M]) -> Later | None:
        """One attempt, and what follows from it; None when the message has ended.

        Raises `Fatal` from the handler and `TooManyDeadLetters`.
        """
        with tracing.continued(work.delivery.headers):
            return await self._advance(work)

    async def _advance(self, work: Work[M]) -> Later | None:
        message = self._decoded(work)
        if work.taken_up is None:
            work.taken_up = utc_now()
            work.payload = _payload(work)
            if self._statuses is not None and work.payload is not None:
                work.received = _begin_report(work.payload, work.taken_up, self._statuses)
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
        try:
            with self._span(work), self._seconds.time():
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
                failure = TimeoutError(f"no end within {self._consumption.deadline_seconds:g} s")
        metrics.ATTEMPT_FAILURES.labels(
            self._service, self._consumption.topic.name, type(failure).__name__
        ).inc()
        return self._judge(failure, work)

    def _span(self, work: Work[M]) -> AbstractContextManager[None]:
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
        """What an error means: try again later, or an ending."""
        if isinstance(error, Rejected):
            work.ending = Ending(REJECTED, str(error) or "rejected")
            return None
        if isinstance(error, Permanent):
            work.ending = _dead(error)
            return None
        retry = self._consumption.retry
        if isinstance(error, Retryable):
            _log.info("attempt failed", attempt=work.delivery.attempt, reason=_text(error))
            delay = _spend(work.retryables, retry)
            if delay is None:
                return Later(retry.hold_seconds(work.retryables.failures), held=_text(error))
            return Later(delay)
        _log.warning("attempt failed", attempt=work.delivery.attempt, reason=_text(error), exc_info=error)
        delay = _spend(work.faults, retry)
        if delay is None:
            work.ending = _dead(error)
            return None
        return Later(delay)

    async def _end(self, work: Work[M]) -> Later | None:
        """Put the end on record, each part until it is acknowledged; only then may the offset move."""
        ending = work.ending
        if ending is None:
            raise AssertionError("a message ends only once its ending is known")
        try:
            if ending.error_class is not None and not work.dead_lettered:
                await self._dead_letter(work, ending.error_class, ending.text)
            if self._statuses is not None and work.payload is not None:
                await _report_end(work, work.payload, ending, self._statuses)
        except (Retryable, Permanent) as error:
            work.end_attempts += 1
            return Later(self._consumption.retry.hold_seconds(work.end_attempts), _text(error))
        if ending.outcome != DEAD_LETTERED:
            self.dead_letters_in_a_row = 0
        self._outcomes[ending.outcome].inc()
        self._age.observe(max(0.0, time() - work.record.timestamp / 1000))
        if ending.outcome == REJECTED:
            _log.info("message rejected", reason=ending.text)
        return None

    async def _dead_letter(self, work: Work[M], error_class: str, reason: str) -> None:
        if not work.counted_in_row:
            if self.dead_letters_in_a_row >= self._consumption.dead_letters_in_a_row:
                raise TooManyDeadLetters
            self.dead_letters_in_a_row += 1
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
        await self._producer.send_raw(
            self._consumption.topic.dead_letters,
            b"" if record.value is None else record.value,
            key=record.key,
            headers=[*record.headers, *told],
            timeout_seconds=SEND_SECONDS,
        )
        work.dead_lettered = True
        _log.error("message dead-lettered", reason=reason, error=error_class, attempts=work.delivery.attempt)


def _begin_report(payload: Payload, taken_up: datetime, statuses: StatusReporter) -> asyncio.Task[None]:
    """Send `received` beside the handler, which need not wait for its acknowledgement."""
    report = asyncio.create_task(statuses.report(status=status.RECEIVED, date=taken_up, **payload))
    # When the message is handed back nobody asks for the result any more.
    report.add_done_callback(lambda task: task.cancelled() or task.exception())
    return report


async def _report_end(work: Work[Any], payload: Payload, ending: Ending, statuses: StatusReporter) -> None:
    if work.received is not None:
        try:
            await work.received
        except Retryable:
            await statuses.report(status=status.RECEIVED, date=work.taken_up, **payload)
        work.received = None
    text = ending.text if ending.error_class is None else f"dead-lettered: {ending.text}"
    reached = status.SUCCESS if ending.outcome == PROCESSED else status.ERROR
    await statuses.report(status=reached, status_msg=text, **payload)


def _spend(spent: Spent, retry: RetryPolicy) -> float | None:
    """One more failure of a kind: the delay before the next attempt, or None when the budget is spent."""
    spent.failures += 1
    delay = retry.next_delay_seconds(spent.failures, spent.waited_seconds)
    spent.waited_seconds += delay or 0.0
    return delay


def _dead(error: Exception) -> Ending:
    return Ending(DEAD_LETTERED, _text(error), type(error).__name__)


def _text(error: Exception) -> str:
    """What a person reads; the class names itself where the text alone would not tell."""
    text = str(error)
    if isinstance(error, (Retryable, Poison)) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _validation_text(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(str(part) for part in item['loc']) or 'message'}: {item['msg']}"
        for item in error.errors(include_url=False, include_input=False, include_context=False)
    )


def _payload(work: Work[Any]) -> Payload | None:
    """Which request the message is about; of an invalid message from its raw JSON, so that none disappears."""
    fields: dict[str, Any]
    if work.message is not None:
        fields = {name: getattr(work.message, name, None) for name in ("request_id", "account", "org_id")}
    else:
        try:
            fields = orjson.loads(work.record.value or b"")
        except orjson.JSONDecodeError:
            return None
    # Some topics write their keys with capitals.
    fields = {name.lower(): value for name, value in fields.items()} if isinstance(fields, dict) else {}
    request_id = fields.get("request_id")
    if not isinstance(request_id, str) or not request_id:
        return None
    return Payload(
        request_id=request_id,
        account=str(fields.get("account") or ""),
        org_id=str(fields.get("org_id") or ""),
    )
