"""ros_processor's client of Kruize: creates and deletes experiments, sends usage.

Every request may be repeated: data that Kruize already has counts as sent.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from headrace.contracts.ros import ExperimentType
from headrace.ros.metrics import KRUIZE_EXCEPTIONS
from headrace.runtime.cancellation import end
from headrace.runtime.errors import Retryable
from headrace.web.peer import Answer, Peer
from headrace_services.ros_processor import metrics
from headrace_services.ros_processor.experiments import Experiment, Result
from headrace_services.ros_processor.profile import ProfileKeeper, misses_profile

T = TypeVar("T")
R = TypeVar("R")

CREATE_PATH: Final = "/createExperiment"
RESULTS_PATH: Final = "/updateResults"
_EXISTS: Final = "Experiment name already exists"
_UNKNOWN: Final = "experiment_name does not exist: "
_NOT_FOUND: Final = "Experiment not found"
_DUPLICATE: Final = "An entry for this record already exists!"
# The statuses of success and of a refusal of the sent data. With any other status work waits for Kruize, except for a
# 500, which may concern only this payload.
_ANSWERS: Final = frozenset({201, 400, 409})
_SHOWN_CHARACTERS: Final = 200

Key = tuple[str, str, str]


class UnexpectedAnswer(Exception):
    """Kruize fails for one payload: after a few retries an operator has to look at it; other payloads continue."""


@dataclass
class Sent:
    """The outcome of the intervals of a request; intervals in neither set were new to Kruize.

    ``known``: Kruize already had them. ``refused``: Kruize did not store them, with its reason. ``unknown``: names of
    experiments that Kruize does not have; their intervals are among the refused ones.
    """

    known: set[Key] = field(default_factory=set)
    refused: dict[Key, str] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)


class Kruize:
    """Raises `Retryable` while Kruize is away, slow or busy, `UnexpectedAnswer` for an internal error of Kruize."""

    def __init__(self, peer: Peer, profile: ProfileKeeper, *, max_records: int, concurrency: int) -> None:
        self._peer = peer
        self._profile = profile
        self._max_records = max_records
        self._places = asyncio.Semaphore(concurrency)

    async def ping(self) -> None:
        """Raise `Retryable` unless Kruize is healthy."""
        answer = await self._peer.call("GET", "/health")
        if answer.status != 200:
            raise Retryable(f"Kruize answered /health with {answer.shown}")

    async def create(self, experiments: Sequence[Experiment]) -> dict[str, str]:
        """Create experiments; return the reasons of those that Kruize refuses, by name."""
        reasons = await self._together(self._create, experiments)
        return {
            experiment.name: reason
            for experiment, reason in zip(experiments, reasons, strict=True)
            if reason is not None
        }

    async def send(self, results: Sequence[Result]) -> Sent:
        """Send intervals, in requests of the size that Kruize accepts."""
        size = self._max_records
        chunks = [results[at : at + size] for at in range(0, len(results), size)]
        whole = Sent()
        for part in await self._together(self._send, chunks):
            whole.known |= part.known
            whole.refused |= part.refused
            whole.unknown |= part.unknown
        return whole

    async def delete(self, names: Iterable[str]) -> None:
        """Delete experiments; they may be missing."""
        await self._together(self._delete, list(names))

    async def _create(self, experiment: Experiment) -> str | None:
        answer = await self._ask(CREATE_PATH, [experiment.creation()], experiment.workload.kind)
        if answer.status == 201 or _EXISTS in answer.text:
            return None
        return _message(answer)

    async def _send(self, results: Sequence[Result]) -> Sent:
        bodies = [result.body() for result in results]
        answer = await self._ask(RESULTS_PATH, bodies, results[0].experiment.workload.kind)
        return Sent() if answer.status == 201 else _judge(answer, results)

    async def _delete(self, name: str) -> None:
        # Without rm=true Kruize ignores experiments of remote clusters, which send their own results.
        answer = await self._call(
            "DELETE", CREATE_PATH, json=[{"experiment_name": name}], params={"rm": "true"}
        )
        if answer.status not in {200, 201} and _NOT_FOUND not in answer.text:
            raise Retryable(f"Kruize did not delete the experiment {name}: {answer.shown}")

    async def _ask(self, path: str, body: list[dict[str, Any]], kind: ExperimentType) -> Answer:
        """Send a POST; if Kruize lacks the performance profile, create it and repeat the request once."""
        requests = metrics.CREATE_REQUESTS if path == CREATE_PATH else metrics.UPDATE_REQUESTS
        requests[kind].inc()
        answer = await self._call("POST", path, json=body)
        if misses_profile(answer.text):
            await self._profile.ensure()
            requests[kind].inc()
            answer = await self._call("POST", path, json=body)
        if answer.status not in _ANSWERS or misses_profile(answer.text):
            KRUIZE_EXCEPTIONS.labels(path).inc()
            trouble = UnexpectedAnswer if answer.status == 500 else Retryable
            raise trouble(f"Kruize answered {path} with {answer.shown}")
        return answer

    async def _call(self, method: str, path: str, **terms: Any) -> Answer:
        try:
            return await self._peer.call(method, path, **terms)
        except Retryable:
            KRUIZE_EXCEPTIONS.labels(path).inc()
            raise

    async def _together(self, call: Callable[[T], Awaitable[R]], items: Sequence[T]) -> list[R]:
        """Run a few at a time, started in order; the first failure cancels the others."""

        async def one(item: T) -> R:
            async with self._places:
                return await call(item)

        tasks = [asyncio.create_task(one(item)) for item in items]
        try:
            return await asyncio.gather(*tasks)
        finally:
            await end(*tasks)


def _judge(answer: Answer, results: Sequence[Result]) -> Sent:
    """Parse a partial failure; if it does not name the failed intervals, none counts as stored."""
    sent = Sent()
    keys = {result.key for result in results}
    for item in _failures(answer):
        key = tuple(
            str(item.get(name)) for name in ("experiment_name", "interval_start_time", "interval_end_time")
        )
        reason = "; ".join(_messages(item))
        if key not in keys:
            return Sent(refused=dict.fromkeys(keys, _message(answer)))
        name, start, end = key
        if _DUPLICATE in reason:
            sent.known.add((name, start, end))
            continue
        sent.refused[name, start, end] = reason[:_SHOWN_CHARACTERS] or _message(answer)
        if _UNKNOWN + name in reason:
            sent.unknown.add(name)
    if sent.known or sent.refused:
        return sent
    reason = _message(answer)
    unknown = {name for name, _, _ in keys if _UNKNOWN + name in reason}
    return Sent(refused=dict.fromkeys(keys, reason), unknown=unknown)


def _failures(answer: Answer) -> list[dict[str, Any]]:
    data = answer.body.get("data") if isinstance(answer.body, dict) else None
    return [item for item in data if isinstance(item, dict)] if isinstance(data, list) else []


def _messages(item: dict[str, Any]) -> list[str]:
    errors = item.get("errors")
    found = (
        [error.get("message") for error in errors if isinstance(error, dict)]
        if isinstance(errors, list)
        else []
    )
    return [str(message) for message in found if message]


def _message(answer: Answer) -> str:
    text = answer.body.get("message") if isinstance(answer.body, dict) else None
    return f"{answer.status}: {text}"[:_SHOWN_CHARACTERS] if text else answer.shown
