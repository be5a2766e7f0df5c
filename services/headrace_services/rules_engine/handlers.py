"""Handles an announcement: fetch the archive, evaluate it, publish the results and report the status."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from headrace.archives import ArchiveRejected
from headrace.bus.delivery import Delivery
from headrace.bus.producer import Outgoing, Producer
from headrace.bus.statuses import StatusReporter
from headrace.contracts import status
from headrace.contracts.announcement import UnjudgedAnnouncement
from headrace.contracts.clusters import is_cluster_uuid
from headrace.rules.evaluation import Evaluation
from headrace.rules.workers.pool import RulesTimedOut
from headrace.runtime.errors import Rejected, Retryable
from headrace.runtime.logging import get_logger
from headrace_services.rules_engine import metrics
from headrace_services.rules_engine.messages import Upload, upload_of
from headrace_services.rules_engine.publishing import Publication

_log = get_logger(__name__)

_UUID_CHARACTERS: Final = 36
_SHOWN_FAILURES: Final = 3


class Evaluator(Protocol):
    """Runs rules on archives, like `WorkerPool`."""

    async def evaluate(self, archive: bytes, seeds: Mapping[str, Any]) -> Evaluation:
        """Return the outcome of the rules."""


@dataclass(frozen=True)
class RulesEngine:
    """Evaluates announced archives. Its messages depend only on the archive and the announcement."""

    download: Callable[[Upload], Awaitable[bytes]]
    evaluator: Evaluator
    publications: Sequence[Publication]
    producer: Producer
    statuses: StatusReporter | None = None

    async def handle(self, message: UnjudgedAnnouncement, delivery: Delivery) -> str:
        """Handle an announcement."""
        progress = metrics.Progress(first_attempt=delivery.attempt <= 1)
        try:
            return await self._handle(message, upload_of(message), progress)
        except Retryable:
            raise
        except Exception as error:
            progress.failed(timed_out=isinstance(error, RulesTimedOut))
            raise

    async def _handle(self, message: UnjudgedAnnouncement, upload: Upload, progress: metrics.Progress) -> str:
        archive = await self.download(upload)
        progress.downloaded(len(archive))
        try:
            evaluation = await self.evaluator.evaluate(archive, upload.seeds)
        except ArchiveRejected as error:
            raise Rejected(f"the archive is not acceptable: {error}") from error
        progress.processed(
            len(archive),
            hypershift=evaluation.hypershift,
            version=evaluation.remote_configuration_version,
        )
        _note(evaluation)
        cluster = _cluster(upload, evaluation)
        messages = [item.message(upload, cluster, evaluation) for item in self.publications]
        sent = [item for item in messages if item is not None]
        if sent:
            await self.producer.send_all([*self._processing(message, cluster), *sent])
        progress.published()
        return _told(evaluation, cluster, sent)

    def _processing(self, message: UnjudgedAnnouncement, cluster: str) -> list[Outgoing]:
        """Return the status that upstream reports between its other statuses; it is sent with the results."""
        if self.statuses is None or not message.request_id:
            return []
        return [
            self.statuses.message(
                message.request_id,
                status.PROCESSING,
                account=message.account,
                org_id=message.org_id,
                system_id=cluster,
            )
        ]


def _cluster(upload: Upload, evaluation: Evaluation) -> str:
    """Return the cluster of the archive; raises `Rejected`."""
    name = upload.cluster_name or evaluation.cluster_id
    if name is None:
        raise Rejected(
            "cluster id not found: no cluster_name in the message, no system.cluster_id in the identity and no "
            "UUID in the archive's config/id"
        )
    if not is_cluster_uuid(name):
        raise Rejected(f"the cluster id {name[:_UUID_CHARACTERS]!r} of the announcement is not a UUID")
    return name


def _note(evaluation: Evaluation) -> None:
    """Count and log the rules and components that did not run, which the report does not show."""
    metrics.RULE_EXCEPTIONS.inc(len(evaluation.exceptions))
    metrics.RULE_SKIPS.inc(len(evaluation.skips))
    metrics.BROKER_INSTANCES.set(
        sum(len(entries) for entries in evaluation.report.values() if isinstance(entries, list))
    )
    metrics.BROKER_EXCEPTIONS.set(len(evaluation.exceptions))
    metrics.BROKER_TRACEBACKS.set(len(evaluation.exceptions))
    if evaluation.on_disk is not None:
        metrics.ON_DISK.inc()
        _log.info("evaluated_on_disk", reason=evaluation.on_disk)
    for component, why in evaluation.exceptions:
        _log.warning("rule_failed", component=component, reason=why)
    if evaluation.skips:
        _log.debug("rules_skipped", reasons=dict(evaluation.skips))


def _told(evaluation: Evaluation, cluster: str, sent: Sequence[Outgoing]) -> str:
    hits = len(evaluation.report.get("reports", ()))
    topics = " and ".join(item.topic_name for item in sent) or "nowhere, because there are no reports"
    text = f"{_count(hits, 'rule hit')} of cluster {cluster} sent to {topics}"
    if evaluation.skips:
        text += f"; {_count(len(evaluation.skips), 'rule')} skipped"
    if evaluation.empty_because:
        text += f"; no rule could run: {evaluation.empty_because}"
    if evaluation.exceptions:
        shown = ", ".join(f"{name} ({why})" for name, why in evaluation.exceptions[:_SHOWN_FAILURES])
        text += f"; {_count(len(evaluation.exceptions), 'component')} failed: {shown}"
        text += ", …" if len(evaluation.exceptions) > _SHOWN_FAILURES else ""
    return text


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
