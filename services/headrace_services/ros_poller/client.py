"""ros_poller's client of Kruize."""

from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final

from pydantic import ValidationError

from headrace.contracts.kruize import timestamp
from headrace.contracts.ros import ExperimentType
from headrace.ros.metrics import KRUIZE_EXCEPTIONS
from headrace.runtime.errors import Rejected, Retryable
from headrace.web.peer import Answer, Peer
from headrace_services.ros_poller.answer import EXPERIMENTS, Experiment

_UPDATE: Final = "/updateRecommendations"


class UnexpectedAnswer(Exception):
    """An unexpected answer of Kruize: a few retries are worthwhile, then an operator has to look at it."""


class NoUsage(Exception):
    """Kruize has no usage of the experiment around that time; the text is Kruize's."""


@dataclass(frozen=True)
class KruizeClient:
    """Raises `Retryable` while Kruize is away, slow or busy; a 500 concerns only one experiment."""

    peer: Peer

    async def update_recommendations(
        self, experiment_name: str, end: datetime, experiment_type: ExperimentType
    ) -> Experiment:
        """Have Kruize compute recommendations from usage up to ``end``.

        Raises `Rejected` for an experiment that Kruize does not know, `NoUsage`, or `UnexpectedAnswer`.
        """
        try:
            return await self._update(experiment_name, end, experiment_type)
        except (Retryable, UnexpectedAnswer):
            KRUIZE_EXCEPTIONS.labels(_UPDATE).inc()
            raise

    async def ping(self) -> None:
        """Raise `Retryable` unless Kruize is healthy."""
        answer = await self.peer.call("GET", "/health")
        if answer.status != HTTPStatus.OK:
            raise Retryable(f"Kruize answered {answer.shown}")

    async def _update(
        self, experiment_name: str, end: datetime, experiment_type: ExperimentType
    ) -> Experiment:
        answer = await self.peer.call(
            "POST",
            _UPDATE,
            params={"experiment_name": experiment_name, "interval_end_time": timestamp(end)},
        )
        if answer.status not in {HTTPStatus.OK, HTTPStatus.CREATED}:
            _judge(answer)
        try:
            experiments = EXPERIMENTS.validate_python(answer.body)
        except ValidationError as error:
            raise UnexpectedAnswer(f"Kruize answered {answer.shown}") from error
        if not experiments or not experiments[0].kubernetes_objects:
            raise UnexpectedAnswer(f"Kruize answered without an experiment: {answer.shown}")
        if experiments[0].experiment_type != experiment_type:
            raise UnexpectedAnswer(
                f"Kruize has a {experiments[0].experiment_type} experiment with this name, expected a "
                f"{experiment_type} experiment"
            )
        return experiments[0]


def _judge(answer: Answer) -> None:
    """Raise the exception for a refusal."""
    message = answer.body.get("message") if isinstance(answer.body, dict) else None
    if answer.status == HTTPStatus.BAD_REQUEST and isinstance(message, str):
        if message.startswith("Not Found: experiment_name"):
            raise Rejected(f"Kruize does not know the experiment: {message}")
        if message.startswith("No metrics available"):
            raise NoUsage(message)
    raise UnexpectedAnswer(f"Kruize answered {answer.shown}")
