"""Handles an upload: identify, check, stream, store, announce, answer."""

import asyncio
import re
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import parse_qsl

import orjson
from aiohttp import web

from headrace.contracts.announcement import Announcement
from headrace.contracts.identity import IdentityError
from headrace.contracts.message import rfc3339, utc_now
from headrace.runtime.errors import Retryable
from headrace.runtime.logging import get_logger, redact
from headrace.web.errors import Refusal
from headrace_services.ingress import metrics
from headrace_services.ingress.announcer import Announcer
from headrace_services.ingress.budget import Busy
from headrace_services.ingress.callers import (
    OPERATORS,
    BadCredentials,
    Identities,
    Sender,
    Unauthenticated,
)
from headrace_services.ingress.content_types import Kind, kind_of
from headrace_services.ingress.forms import BadForm, Body, Disconnected, FilePart, Form, FormReader, TooSlow
from headrace_services.ingress.metadata import parse_metadata
from headrace_services.ingress.pending import Admission, PendingUpload, TooLarge
from headrace_services.ingress.refused import Refusals, RefusedUpload
from headrace_services.ingress.request_ids import REQUEST_ID, new_request_id, sent_request_id
from headrace_services.ingress.settings import IngressSettings
from headrace_services.ingress.store import Staged, Stager

_log = get_logger(__name__)

NO_FILE: Final = "File or upload field not found"
DENIED: Final = "Upload denied. Please contact Red Hat Support."
_TEST_BODY: Final = re.compile(rb'\{\s*"test"\s*:\s*"test"\s*\}')
_MAX_TEST_BYTES: Final = 64 << 10
_ABORT_SECONDS: Final = 5.0
_STORE_BYTES_PER_SECOND: Final = 1 << 20
_RETRY_AFTER: Final = {"Retry-After": "5"}


class Unsupported(Exception):
    """No service accepts this content type; answered 415."""


def refused(refusal: Refusal) -> web.Response:
    """Return the answer of a refusal: its reason as plain text."""
    return web.Response(status=refusal.status, text=refusal.reason, headers=refusal.headers)


# The answer to each failure. After a 429 or 503 the sender may repeat the upload with the same request id.
_ANSWERS: Final[dict[type[Exception], tuple[int, str]]] = {
    BadForm: (400, NO_FILE),
    Disconnected: (400, "The sender disconnected before the body was complete"),
    TooSlow: (408, "The body arrived too slowly or too late"),
    TooLarge: (413, ""),
    Unsupported: (415, ""),
    Busy: (429, "Too many uploads at once"),
    Retryable: (503, "The upload could not be stored or announced; try again"),
}


@dataclass
class _Session:
    """The state of one upload request."""

    request_id: str
    sender: Sender
    started: float = field(default_factory=time.monotonic)
    pending: PendingUpload | None = None
    # The refusal of an ``upload`` part; it is answered if no ``file`` part follows.
    refusal: Unsupported | None = None
    # The service of the upload, once its type is read.
    service: str = ""
    # When the whole body had arrived.
    received: datetime | None = None


_SESSION: Final = web.RequestKey("session", _Session)


class Uploads:
    """Handles ``POST upload``."""

    def __init__(
        self,
        settings: IngressSettings,
        identities: Identities,
        stager: Stager,
        announcer: Announcer,
        refusals: Refusals,
        admission: Admission,
        *,
        default_service: str,
    ) -> None:
        self._settings = settings
        self._identities = identities
        self._stager = stager
        self._announcer = announcer
        self._refusals = refusals
        self._admission = admission
        self._default_service = default_service

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one upload."""
        label = metrics.user_agent_label(request.headers.get("User-Agent", ""), OPERATORS)
        try:
            response = await self._handle(request, label)
        except Refusal as refusal:
            self._note(request, refusal)
            response = refused(refusal)
        metrics.RESPONSES.labels(label, str(response.status)).inc()
        return response

    def _note(self, request: web.Request, refusal: Refusal) -> None:
        """Tell of the sender's fault; of an engine's the announcer tells."""
        if refusal.status >= 500:
            return
        session = request.get(_SESSION)
        # A request id that a stranger sends may be someone's: what became of that payload is not told by strangers.
        is_strangers = session is None and sent_request_id(request.headers)
        self._refusals.note(
            RefusedUpload(
                request_id=new_request_id() if is_strangers else request[REQUEST_ID],
                identity=session.sender.identity if session else None,
                refusal=refusal,
                user_agent=request.headers.get("User-Agent", ""),
                upload_service=session.service if session else "",
            )
        )

    async def _handle(self, request: web.Request, label: str) -> web.Response:
        sender = identify(self._identities, request)
        request_id = request[REQUEST_ID]
        if await _is_test(request):
            return self._accepted(200, request_id, sender)
        session = request[_SESSION] = _Session(request_id, sender)
        if sender.identity.org_id in self._settings.deny_listed_org_ids:
            raise Refusal(403, DENIED)
        metrics.REQUESTS.labels(label).inc()
        try:
            form, pending = await self._read(request, session)
            staged = await self._store(session, pending)
            await self._announce(session, form, pending, staged)
        except tuple(_ANSWERS) as error:
            raise await self._refusal(session, error) from None
        finally:
            await _abort(session)
        metrics.PAYLOAD_SIZES.labels(label).observe(staged.size)
        created = pending.kind.service == "advisor" and form.metadata is None
        return self._accepted(201 if created else 202, request_id, sender)

    async def _read(self, request: web.Request, session: _Session) -> tuple[Form, PendingUpload]:
        settings = self._settings
        largest = settings.largest_bytes
        body = Body(
            request.content,
            base_seconds=settings.body_base_seconds,
            window_seconds=settings.min_rate_window_seconds,
            largest=largest,
        )

        async def open_sink(part: FilePart) -> PendingUpload | None:
            return await self._open(session, part, request.content_length or largest)

        form = await FormReader(open_sink, settings.max_parts).read(
            request.headers.get("Content-Type", ""), body
        )
        if session.pending is None:
            raise session.refusal or BadForm(f"the parts found are: {', '.join(form.names) or 'none'}")
        query = request.query.get("metadata")
        if query is not None and not form.metadata_is_file:
            form.metadata = query.encode() or None
        return form, session.pending

    async def _open(self, session: _Session, part: FilePart, expected_bytes: int) -> PendingUpload | None:
        """Check a file part before its body is read; ``file`` supersedes ``upload`` whatever their order."""
        if session.pending is not None:
            if part.field == "upload" or session.pending.part.field == "file":
                return None
            await _abort(session)
        try:
            kind = self._kind(part.content_type)
        except Unsupported as error:
            if part.field == "file":
                raise
            session.refusal = error
            return None
        session.service = kind.service
        session.pending = PendingUpload(
            part,
            kind,
            self._stager.open(session.request_id, session.sender.identity),
            self._admission,
            limit_bytes=self._settings.limit_bytes(kind.service),
            expected_bytes=expected_bytes,
        )
        return session.pending

    def _kind(self, content_type: str) -> Kind:
        kind = kind_of(content_type)
        if kind is None and self._default_service:
            kind = Kind(self._default_service, "upload")
        if kind is None:
            raise Unsupported(
                f"Unsupported content type {content_type[:200]!r}:"
                " expected application/vnd.redhat.<service>.<category>"
            )
        if kind.service not in self._settings.valid_upload_types:
            raise Unsupported(
                f"Unsupported service {kind.service[:200]!r}: it is not in the list of valid upload types"
            )
        return kind

    async def _store(self, session: _Session, pending: PendingUpload) -> Staged:
        started = time.monotonic()
        seconds = self._settings.store_seconds + pending.size / _STORE_BYTES_PER_SECOND
        session.received = utc_now()
        try:
            async with asyncio.timeout(seconds):
                staged = await pending.finish()
            # The upload is durable: it stays even if the announcement fails.
            session.pending = None
        except TimeoutError:
            raise Retryable(f"storing took longer than {seconds:.0f} s") from None
        metrics.STAGE_SECONDS.observe(time.monotonic() - started)
        return staged

    async def _announce(self, session: _Session, form: Form, pending: PendingUpload, staged: Staged) -> None:
        identity, metadata = session.sender.identity, parse_metadata(form.metadata)
        announcement = Announcement(
            account=identity.account_number,
            category=pending.kind.category,
            content_type=pending.part.content_type,
            metadata=metadata,
            request_id=session.request_id,
            principal=identity.org_id,
            org_id=identity.org_id,
            service=pending.kind.service,
            size=staged.size,
            url=staged.url,
            b64_identity=session.sender.b64_identity,
            timestamp=rfc3339(utc_now()),
            bucket=staged.bucket,
            object_key=staged.key,
            etag=staged.etag,
        )
        note = f"Sent to validation service: {pending.kind.service}"
        if staged.duplicate:
            metrics.DUPLICATES.inc()
            note += " (the same bytes were stored before)"
        # The uploads of one cluster have one key, so they stay in order.
        key = metadata.queue_key or identity.cluster_id or None
        await self._announcer.announce(
            announcement, key, cluster_id=identity.cluster_id, received=session.received, note=note
        )
        _log.info(
            "upload_accepted",
            request_id=session.request_id,
            account=identity.account_number,
            org_id=identity.org_id,
            service=pending.kind.service,
            size=staged.size,
            duplicate=staged.duplicate,
            seconds=round(time.monotonic() - session.started, 4),
        )

    async def _refusal(self, session: _Session, error: Exception) -> Refusal:
        status, text = next(
            (row for kind, row in _ANSWERS.items() if isinstance(error, kind)), (500, "Internal Server Error")
        )
        reason = redact(str(error))
        _log.warning(
            "upload_refused", request_id=session.request_id, status_code=status, error=type(error).__name__,
            reason=reason,
        )  # fmt: skip
        if isinstance(error, Retryable):
            # The engine's message is for the operator's log; the sender's reason says what to do.
            await self._announcer.failed(
                session.request_id, session.sender.identity, session.received, reason
            )
            return Refusal(status, text, headers=_RETRY_AFTER)
        if isinstance(error, Busy):
            return Refusal(status, text, headers=_RETRY_AFTER)
        return Refusal(status, ": ".join(part for part in (text, reason) if part))

    def _accepted(self, status: int, request_id: str, sender: Sender) -> web.Response:
        identity = sender.identity
        owner = {"account_number": identity.account_number, "org_id": identity.org_id}
        body = {"request_id": request_id, "upload": {name: value for name, value in owner.items() if value}}
        return web.Response(status=status, body=orjson.dumps(body), content_type="application/json")


def identify(identities: Identities, request: web.Request) -> Sender:
    """Return the sender of a request; raises a `Refusal` with 400 or 401."""
    try:
        return identities.sender(request.headers)
    except (IdentityError, BadCredentials) as error:
        headers = {"X-Content-Type-Options": "nosniff"}
        raise Refusal(400, f"Bad Request: {error}\n", headers=headers) from None
    except Unauthenticated as error:
        raise Refusal(401, f"Unauthorized: {error}\n") from None


async def _abort(session: _Session) -> None:
    pending, session.pending = session.pending, None
    if pending is not None:
        with suppress(Retryable, TimeoutError):
            async with asyncio.timeout(_ABORT_SECONDS):
                await pending.abort()


async def _is_test(request: web.Request) -> bool:
    """Return whether a sender only tests the connection (in one of upstream's three ways)."""
    kind = request.headers.get("Content-Type", "")
    is_form = kind.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded"
    body = await _beginning(request) if is_form or kind == "application/json" else b""
    sent = parse_qsl(body.decode(errors="replace"), keep_blank_values=True) if is_form else []
    # The first value counts, and the body's come before the query's.
    if next((value for name, value in [*sent, *request.query.items()] if name == "test"), "") == "test":
        return True
    return kind == "application/json" and _TEST_BODY.search(body) is not None


async def _beginning(request: web.Request) -> bytes:
    body = Body(request.content, base_seconds=10, window_seconds=10, largest=_MAX_TEST_BYTES)
    text = b""
    with suppress(TooSlow, Disconnected):
        while len(text) <= _MAX_TEST_BYTES and (chunk := await body.read()):
            text += chunk
    return text
