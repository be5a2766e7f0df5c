"""Ingress: what is wired to what."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from functools import partial
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Final

import orjson
from aiohttp import web

from headrace.bus.admin import reachable
from headrace.contracts.identity import LOCAL_ORG_ID
from headrace.runtime import tracing
from headrace.runtime.errors import ConfigurationError, Retryable
from headrace.runtime.logging import get_logger
from headrace.runtime.settings import EngineSettings
from headrace.service.context import Context
from headrace.web.admin import admin_app
from services.ingress import clowder, metrics
from services.ingress.announcer import Announcer
from services.ingress.budget import Budget
from services.ingress.handlers import Uploads, answer, identify
from services.ingress.identities import Identities
from services.ingress.pending import Admission
from services.ingress.request_ids import (
    HEADER,
    MAX_LENGTH,
    REQUEST_ID,
    is_valid,
    new_request_id,
    sent_request_id,
)
from services.ingress.settings import IngressSettings
from services.ingress.store import FileStager, S3Stager, Stager
from services.ingress.tracking import Tracking

_log = get_logger(__name__)

PREFIXES: Final = ("/api/ingress/v1", "/r/insights/platform/ingress/v1")
# A number in its one spelling: the rules engine and the aggregator number organisations.
_LOCAL_SERVICE: Final = "hccm"
# Longer than this, and an upload goes on in small parts rather than wait for senders that may be slow.
_MEMORY_SECONDS: Final = 1.0
_SWEEP_EVERY_SECONDS: Final = 600.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def start(context: Context) -> None:
    """Wire and serve."""
    settings = _settings(context)
    identities = Identities(
        required=settings.auth,
        lenient=context.lenient,
        tokens={digest: row.model_dump() for digest, row in settings.tokens.items()},
        default_org_id=settings.default_org_id or (LOCAL_ORG_ID if context.lenient else ""),
    )
    kafka = settings.kafka(context.engines)
    context.watch("kafka", partial(_answers, kafka))
    stager = await _stager(context, settings)
    uploads = Uploads(
        settings,
        identities,
        stager,
        Announcer(await context.producer(kafka), settings),
        Admission(
            places=Budget(settings.max_concurrent_uploads, settings.queue_seconds, metrics.UPLOADS_IN_FLIGHT),
            memory=Budget(settings.buffer_bytes, _MEMORY_SECONDS, metrics.BUFFERED_BYTES),
        ),
        default_service=settings.default_service or (_LOCAL_SERVICE if context.lenient else ""),
    )
    tracking = Tracking(settings.payload_tracker_url, settings.http_client_timeout_seconds, identities)
    context.on_close(tracking.close)
    metrics.VERSION.labels(version("headrace"), settings.build_commit).set(1)
    # Uploads are read at a pace of their own (`forms.Body`).
    await context.listen(
        build(settings, identities, uploads, tracking, stager), port=settings.web_port, own_pace=True
    )
    if settings.metrics_port is not None:
        await context.listen(admin_app({context.row.name: context.health}), port=settings.metrics_port)


async def _answers(kafka: EngineSettings) -> None:
    if not await reachable(kafka):
        raise Retryable(f"no broker at {kafka.kafka}")


def _settings(context: Context) -> IngressSettings:
    settings = context.settings(IngressSettings)
    if settings.acg_config:
        asked = {name: getattr(settings, name) for name in ("announce_topic", "status_topic", "stage_bucket")}
        settings = settings.model_copy(update=clowder.settings_of(settings.acg_config, asked))
    return settings


def build(
    settings: IngressSettings, identities: Identities, uploads: Uploads, tracking: Tracking, stager: Stager
) -> web.Application:
    """The routes, under both prefixes."""
    openapi = files("services.ingress").joinpath("openapi.json").read_bytes()
    about = orjson.dumps({"version": version("headrace"), "commit": settings.build_commit})

    async def lubdub(_request: web.Request) -> web.Response:
        return web.Response(text="lubdub")

    async def root(request: web.Request) -> web.Response:
        sender = identify(identities, request)
        return sender if isinstance(sender, web.Response) else web.Response(text="lubdub")

    async def show_version(_request: web.Request) -> web.Response:
        return web.Response(body=about, content_type="application/json")

    async def show_openapi(_request: web.Request) -> web.Response:
        return web.Response(body=openapi, content_type="application/json")

    app = web.Application(middlewares=[_upstream_answers])
    app.router.add_get("/", lubdub, allow_head=False)
    for prefix in PREFIXES:
        for path in (prefix, prefix + "/"):
            app.router.add_get(path, root, allow_head=False)
        app.router.add_post(f"{prefix}/upload", uploads.handle)
        app.router.add_get(f"{prefix}/version", show_version, allow_head=False)
        app.router.add_get(f"{prefix}/openapi.json", show_openapi, allow_head=False)
        if settings.auth:
            app.router.add_get(prefix + "/track/{request_id:.+}", tracking.handle, allow_head=False)
    if isinstance(stager, FileStager):
        app.router.add_get("/download/{request_id:.+}", _download(stager), allow_head=False)
    return app


@web.middleware
async def _upstream_answers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give every answer its request id, and routing failures upstream's bodies."""
    sent = sent_request_id(request.headers)
    request[REQUEST_ID] = sent if sent and is_valid(sent) else new_request_id()
    tracing.annotate(request_id=request[REQUEST_ID])
    response: web.StreamResponse
    if sent and not is_valid(sent):
        response = answer(
            400,
            f"Bad Request: the request id is not valid: letters, digits and ._:=+@-/ only, at most {MAX_LENGTH}",
        )
    else:
        response = await _routed(request, handler)
    response.headers[HEADER] = request[REQUEST_ID]
    return response


async def _routed(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPNotFound:
        return answer(404, "404 page not found\n")
    except web.HTTPMethodNotAllowed as error:
        return web.Response(status=405, headers={"Allow": ", ".join(sorted(error.allowed_methods))})
    except web.HTTPException as error:
        return error
    except Exception:  # noqa: BLE001 -- logged whole; the sender is told nothing of us
        _log.exception("unexpected_error", path=request.path)
        return answer(500, "Internal Server Error")


async def _stager(context: Context, settings: IngressSettings) -> Stager:
    if settings.stager == "filebased":
        directory = Path(settings.storage_path)
        if not settings.storage_path or not await asyncio.to_thread(directory.is_dir):
            raise ConfigurationError(
                f"INGRESS_STORAGEFILESYSTEMPATH: got {settings.storage_path!r}, expected a directory that is there"
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


def _download(stager: FileStager) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        request_id = request.match_info["request_id"]
        if not re.search(r"[A-Za-z0-9]", request_id):
            return answer(400, "Bad Request: Invalid request ID")
        path = stager.path(request_id)
        if not path.is_file():
            return answer(404, "404 page not found\n")
        name = re.sub(r"[^A-Za-z0-9._~-]", "_", request_id)
        headers = {
            "Content-Disposition": f'attachment; filename="{name}.tar.gz"', "Content-Type": "application/gzip"
        }  # fmt: skip
        return web.FileResponse(path, headers=headers)

    return handle
