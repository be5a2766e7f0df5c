"""Connects the parts of ingress."""

import asyncio
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Final

from headrace.bus.admin import reachable
from headrace.bus.statuses import StatusReporter
from headrace.contracts.identity import LOCAL_ORG_ID
from headrace.runtime.errors import ConfigurationError, Retryable
from headrace.runtime.logging import get_logger
from headrace.runtime.settings import EngineSettings
from headrace.service.context import Context
from headrace.web.admin import admin_app
from headrace_services.ingress import metrics
from headrace_services.ingress.announcer import Announcer
from headrace_services.ingress.api import Api
from headrace_services.ingress.budget import Budget
from headrace_services.ingress.callers import Identities
from headrace_services.ingress.handlers import Uploads
from headrace_services.ingress.pending import Admission
from headrace_services.ingress.refused import Refusals
from headrace_services.ingress.settings import IngressSettings
from headrace_services.ingress.store import FileStager, S3Stager, Stager
from headrace_services.ingress.tracking import Tracking

_log = get_logger(__name__)

# The service of an upload whose content type names none, as in the ROS document's curl command.
_LOCAL_SERVICE: Final = "hccm"
# While other uploads release memory, an upload waits for its turn. If none is released for so long, the holders may be
# slow senders, and the upload continues in small parts.
_MEMORY_STALL_SECONDS: Final = 4.0
_SWEEP_EVERY_SECONDS: Final = 600.0


async def start(context: Context) -> None:
    """Wire and serve."""
    settings = context.settings(IngressSettings)
    *announced, statuses = context.row.produces
    identities = identities_of(settings, lenient=context.lenient)
    kafka = settings.kafka(context.engines)
    context.watch("kafka", partial(_answers, kafka))
    stager = await _stager(context, settings)
    producer = await context.producer(kafka)
    told = StatusReporter(producer, context.row.name, topic=statuses)
    announcer = Announcer(producer, announced, told, timeout_seconds=settings.announce_seconds)
    refusals = Refusals(told)
    uploads = uploads_of(settings, identities, stager, announcer, refusals, lenient=context.lenient)
    context.spawn("refusals", refusals.run)
    tracking = Tracking(settings.payload_tracker_url, settings.http_client_timeout_seconds, identities)
    context.on_close(tracking.close)
    metrics.VERSION.labels(version("headrace"), settings.build_commit).set(1)
    # `forms.Body` limits slow uploads itself.
    api = Api(settings, identities, uploads, tracking, stager)
    await context.listen(api.application(), port=settings.web_port, own_pace=True)
    if settings.metrics_port is not None:
        await context.listen(admin_app({context.row.name: context.health}), port=settings.metrics_port)


def identities_of(settings: IngressSettings, *, lenient: bool) -> Identities:
    """Return what finds the senders of requests."""
    return Identities(
        required=settings.auth,
        lenient=lenient,
        tokens={digest: row.model_dump() for digest, row in settings.tokens.items()},
        default_org_id=settings.default_org_id or (LOCAL_ORG_ID if lenient else ""),
    )


def uploads_of(
    settings: IngressSettings,
    identities: Identities,
    stager: Stager,
    announcer: Announcer,
    refusals: Refusals,
    *,
    lenient: bool,
) -> Uploads:
    """Return what handles uploads, with the limits of the settings."""
    admission = Admission(
        places=Budget(settings.max_concurrent_uploads, settings.queue_seconds, metrics.UPLOADS_IN_FLIGHT),
        memory=Budget(
            settings.buffer_bytes,
            settings.queue_seconds,
            metrics.BUFFERED_BYTES,
            stall_seconds=_MEMORY_STALL_SECONDS,
        ),
    )
    default_service = settings.default_service or (_LOCAL_SERVICE if lenient else "")
    return Uploads(
        settings, identities, stager, announcer, refusals, admission, default_service=default_service
    )


async def _answers(kafka: EngineSettings) -> None:
    if not await reachable(kafka):
        raise Retryable(f"no Kafka broker at {kafka.kafka}")


async def _stager(context: Context, settings: IngressSettings) -> Stager:
    if settings.stager == "filebased":
        directory = Path(settings.storage_path)
        if not settings.storage_path or not await asyncio.to_thread(directory.is_dir):
            raise ConfigurationError(
                f"INGRESS_STORAGEFILESYSTEMPATH: got {settings.storage_path!r}, expected an existing "
                "directory"
            )
        return FileStager(directory, settings.service_base_url)
    stager = S3Stager(
        await context.objects(settings.s3(context.engines)),
        settings.stage_bucket,
        settings.url_expiry_seconds,
    )

    async def has_bucket() -> None:
        if not await stager.store.has_bucket(settings.stage_bucket):
            raise Retryable(f"the bucket {settings.stage_bucket} (INGRESS_STAGEBUCKET) does not exist")

    async def sweep() -> None:
        while True:
            try:
                if swept := await stager.sweep():
                    _log.info("stale_uploads_aborted", count=swept)
            except Retryable as error:
                _log.warning("sweep_failed", reason=str(error))
            await asyncio.sleep(_SWEEP_EVERY_SECONDS)

    context.watch("s3", has_bucket)
    context.spawn("sweep", sweep)
    return stager
