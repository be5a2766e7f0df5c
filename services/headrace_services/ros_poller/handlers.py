"""Handles a request: checks whether it is due, asks Kruize, stores its recommendations.

The same request may be delivered again, and late: only a newer recommendation replaces a stored one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pydantic import ValidationError

from headrace.bus.delivery import Delivery
from headrace.contracts.kruize import Code, timestamp
from headrace.contracts.message import rfc3339
from headrace.contracts.ros import RecommendationRequest
from headrace_services.ros_poller import metrics
from headrace_services.ros_poller.answer import Experiment, Recommendations
from headrace_services.ros_poller.client import KruizeClient, NoUsage, UnexpectedAnswer
from headrace_services.ros_poller.rows import StoredRecommendation
from headrace_services.ros_poller.schedule import reason_to_wait
from headrace_services.ros_poller.store import Outcome, RecommendationStore, Workload

# Two measurements, the least that the short term needs.
_MINIMUM_MINUTES: Final = 30
_NAMED: Final = 5


def workload_of(message: RecommendationRequest) -> str:
    """Return the readable part of the experiment's name: ``namespace/type/name``."""
    return "/".join(message.Metadata.Experiment_name.split("|")[3:])


def experiment_of(message: RecommendationRequest, _delivery: Delivery) -> str:
    """Return the key by which requests are handled in order: the experiment's name."""
    return message.Metadata.Experiment_name


@dataclass(frozen=True)
class _NoData:
    """Why there is no recommendation; the minutes of usage where it is too little, and where they are known."""

    text: str
    minutes: int | None = None
    needed: int | None = None


@dataclass(frozen=True)
class Poller:
    """Polls Kruize for one workload at a time."""

    store: RecommendationStore
    kruize: KruizeClient
    interval_hours: int

    async def handle(self, message: RecommendationRequest, _delivery: Delivery) -> str:
        """Renew a workload's recommendations if they are due; return the outcome."""
        asked = message.Metadata
        kind, end = asked.ExperimentType, _utc(asked.Max_endtime_report)
        workload = await self.store.workload(asked.Org_id, asked.Workload_id, asked.Experiment_name, kind)
        if workload is None:
            return f"nothing to do: workload {asked.Workload_id} no longer exists"
        if workload.stored_end is not None:
            wait = reason_to_wait(end, workload.stored_end, self.interval_hours)
            if wait is not None:
                # What was told of the poll before still holds.
                return f"not due: {wait}, up to {rfc3339(workload.stored_end)}"
        metrics.REQUESTS[kind].inc()
        try:
            experiment = await self.kruize.update_recommendations(asked.Experiment_name, end, kind)
        except NoUsage as error:
            text = f"no recommendation: {error}"
            await self.store.note(workload, Outcome(end, "no_usage", text))
            return text
        return await self._keep(workload, end, experiment)

    async def _keep(self, workload: Workload, end: datetime, experiment: Experiment) -> str:
        kept: list[StoredRecommendation] = []
        remarks: list[str] = []
        missing: list[_NoData] = []
        for name, found in experiment.recommendations().items():
            raw = found.data.get(timestamp(end)) if Code.AVAILABLE.key in found.notifications else None
            if raw is None:
                missing.append(await self._reason(workload, name, end, found))
                remarks.append(f"{name}: {missing[-1].text}")
                continue
            try:
                recommendation = StoredRecommendation.of(name, raw)
            except (ValidationError, ValueError, TypeError) as error:
                raise UnexpectedAnswer(
                    f"Kruize's recommendation for {name} cannot be read: {error}"
                ) from error
            kept.append(recommendation)
            remarks += [f"{name}: {remark}" for remark in recommendation.remarks]
        if not kept:
            text = f"no recommendation: {_listed(remarks) or 'Kruize names no containers'}"
            await self.store.note(workload, _nothing(end, text, missing))
            return text
        newer = await self.store.keep(workload, kept)
        metrics.SUCCESSES[workload.kind].inc(newer)
        told = _told(workload, end, len(kept), newer)
        text = f"{told}; {_listed(remarks)}" if remarks else told
        await self.store.note(workload, Outcome(end, "stored", text))
        return text

    async def _reason(self, workload: Workload, name: str, end: datetime, found: Recommendations) -> _NoData:
        """Return why a container or namespace has no recommendation."""
        if Code.AVAILABLE.key in found.notifications:
            metrics.INVALID[workload.kind].inc()
            newest = max(found.data, default="")
            asked = timestamp(end)
            return _NoData(
                f"Kruize has usage only up to {newest or 'an unknown time'}, the request is for {asked}"
            )
        if Code.NOT_ENOUGH_DATA.key in found.notifications:
            minutes = await self.store.usage_minutes(workload, name, end)
            if 0 < minutes < _MINIMUM_MINUTES:
                text = f"not enough data: {minutes} of {_MINIMUM_MINUTES} minutes"
                return _NoData(text, minutes, _MINIMUM_MINUTES)
            text = f"not enough data: Kruize has less than {_MINIMUM_MINUTES} minutes in the day up to {rfc3339(end)}"
            return _NoData(text, None, _MINIMUM_MINUTES)
        said = [notification.message for notification in found.notifications.values() if notification.message]
        return _NoData("; ".join(said) or "Kruize gives no reason")


def _nothing(end: datetime, text: str, missing: Sequence[_NoData]) -> Outcome:
    """The outcome where nothing is recommended; of several containers the one that has most usage tells how much."""
    short = [item for item in missing if item.needed is not None]
    if not short:
        return Outcome(end, "none", text)
    fullest = max(short, key=lambda item: item.minutes or 0)
    return Outcome(end, "not_enough_data", text, fullest.minutes, fullest.needed)


def _told(workload: Workload, end: datetime, count: int, newer: int) -> str:
    what = (
        "the namespace" if workload.kind == "namespace" else f"{count} container{'' if count == 1 else 's'}"
    )
    if not newer:
        return f"already stored by another replica: {what} up to {rfc3339(end)}"
    return f"{'new' if workload.stored_end is None else 'renewed'}: {what} up to {rfc3339(end)}"


def _listed(remarks: Iterable[str]) -> str:
    """Return the first few items for a status."""
    every = list(remarks)
    more = f"; and {len(every) - _NAMED} more" if len(every) > _NAMED else ""
    return "; ".join(every[:_NAMED]) + more


def _utc(moment: datetime) -> datetime:
    """Treat a time without a zone as UTC, as all services of the chain do."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
