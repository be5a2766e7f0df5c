"""Whether ingress would take an archive: its own API is asked, with nothing behind it."""

import aiohttp
from aiohttp import web

from headrace.archives.files import file_chunks
from headrace.bus.statuses import StatusReporter
from headrace.contracts.announcement import Announcement
from headrace.contracts.identity import Identity
from headrace.runtime.settings import load
from headrace.service.row import Service
from headrace.service.trial import BUCKET, Finding, Notes, Trial
from headrace.web.multipart import file_form
from headrace_services.ingress.announcer import Announcer
from headrace_services.ingress.api import PREFIXES, Api
from headrace_services.ingress.app import identities_of, uploads_of
from headrace_services.ingress.refused import Refusals
from headrace_services.ingress.settings import IngressSettings
from headrace_services.ingress.store import Staged, Stager, Upload
from headrace_services.ingress.tracking import Tracking

_SECONDS = 300.0


class _Counted(Upload):
    """An upload that is read and dropped."""

    def __init__(self, request_id: str) -> None:
        self.hold_bytes = 0
        self._key = request_id
        self._size = 0

    async def write(self, chunk: bytes) -> None:
        self._size += len(chunk)

    async def finish(self) -> Staged:
        return Staged(f"http://nowhere/{BUCKET}/{self._key}", self._size, BUCKET, self._key)

    async def abort(self) -> None:
        """Nothing is kept."""


class _Nowhere(Stager):
    def open(self, request_id: str, sender: Identity) -> Upload:  # noqa: ARG002
        return _Counted(request_id)


async def check(trial: Trial, row: Service) -> Finding:
    """Upload the archive to an ingress that keeps nothing, and note what it would announce."""
    settings = load(IngressSettings)
    identities, stager, notes = identities_of(settings, lenient=trial.lenient), _Nowhere(), Notes()
    *announced, statuses = row.produces
    told = StatusReporter(notes, row.name, topic=statuses)
    announcer = Announcer(notes, announced, told, timeout_seconds=settings.announce_seconds)
    uploads = uploads_of(settings, identities, stager, announcer, Refusals(told), lenient=trial.lenient)
    tracking = Tracking("", settings.http_client_timeout_seconds, identities)
    runner = web.AppRunner(Api(settings, identities, uploads, tracking, stager).application())
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        status, text = await _upload(trial, runner.addresses[0][1])
    finally:
        await runner.cleanup()
    if status not in {201, 202}:
        return Finding(row.name, "refused", f"{status}: {text}", f"ingress-{status}")
    trial.announcement = Announcement.from_json(notes.sent[0].value or b"")
    return Finding(
        row.name, "accepted", f"{status}, for the service {trial.announcement.service}", "ingress-accepted"
    )


async def _upload(trial: Trial, port: int) -> tuple[int, str]:
    form = file_form(
        file_chunks(trial.path),
        file_name=trial.path.name,
        content_type=trial.content_type,
        size_bytes=trial.path.stat().st_size,
    )
    url = f"http://127.0.0.1:{port}{PREFIXES[0]}/upload"
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.post(url, data=form, headers=dict(trial.headers)) as answer,
    ):
        return answer.status, (await answer.text(errors="replace")).strip()
