"""The client of the upload endpoint."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

import aiohttp

from headrace.contracts.assisted import CONTENT_TYPE, FILE_NAME, USER_AGENT
from headrace.contracts.headers import REQUEST_ID_HEADER
from headrace.runtime.answers import retry_after_seconds
from headrace.runtime.logging import get_logger, redact
from headrace.web.multipart import file_form
from headrace_services.assisted_events.archive import Archive
from headrace_services.assisted_events.credentials import BadCredentials
from headrace_services.assisted_events.settings import AssistedSettings

_log = get_logger(__name__)

_PROBES: Final = 3
_PROBE_PAUSE_SECONDS: Final = 1.0
# The deadline grows with the archive's size by this rate, for slow lines.
_SLOWEST_BYTES_PER_SECOND: Final = 256 * 1024
_SHOWN_BYTES: Final = 300
# The longest pause that an answer can request.
_MAX_RETRY_AFTER_SECONDS: Final = 86400.0


@dataclass(frozen=True)
class Answer:
    """The outcome of an upload; ``status`` is None without an answer, ``reason`` empty if it was accepted."""

    status: int | None
    reason: str = ""
    retry_after_seconds: float = 0.0

    @property
    def accepted(self) -> bool:
        """Whether the status is a 2xx."""
        return self.status is not None and 200 <= self.status < 300


@dataclass(frozen=True)
class Endpoint:
    """The URL for uploads."""

    session: aiohttp.ClientSession
    settings: AssistedSettings

    async def is_reachable(self) -> bool:
        """Return whether any HTTP answer comes, whatever its status; short outages are retried."""
        timeout = aiohttp.ClientTimeout(total=self.settings.probe_seconds)
        for probe in range(_PROBES):
            if probe:
                await asyncio.sleep(random.uniform(0, _PROBE_PAUSE_SECONDS))  # noqa: S311 -- jitter
            try:
                async with self.session.get(self.settings.endpoint, timeout=timeout, allow_redirects=False):
                    return True
            except (aiohttp.ClientError, TimeoutError, OSError):
                continue
        return False

    async def upload(self, archive: Archive, token: str, request_id: str) -> Answer:
        """Upload the whole archive; never raises for the endpoint's answer."""
        if not token:
            raise BadCredentials("no credentials provided")

        async def chunks() -> AsyncIterator[bytes]:
            for chunk in archive.chunks():
                yield chunk

        form = file_form(
            chunks(), file_name=FILE_NAME, content_type=CONTENT_TYPE, size_bytes=archive.size_bytes
        )
        headers = {
            "Authorization": f"Bearer {token}",
            "User-Agent": USER_AGENT.format(revision=self.settings.git_ref, cluster_id=archive.cluster_id),
            REQUEST_ID_HEADER: request_id,
        }
        return await self._post(form, headers, archive.size_bytes, token)

    async def _post(
        self, form: aiohttp.MultipartWriter, headers: dict[str, str], size_bytes: int, token: str
    ) -> Answer:
        url = self.settings.endpoint
        timeout = aiohttp.ClientTimeout(
            total=self.settings.upload_seconds + size_bytes / _SLOWEST_BYTES_PER_SECOND,
            connect=self.settings.connect_seconds,
        )
        try:
            async with self.session.post(
                url, data=form, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                text = (await response.content.read(_SHOWN_BYTES)).decode(errors="replace").strip()
                pause = retry_after_seconds(response.headers.get("Retry-After"))
                answered = Answer(response.status, retry_after_seconds=min(pause, _MAX_RETRY_AFTER_SECONDS))
                _log.debug("upload_answered", request_id=response.headers.get(REQUEST_ID_HEADER))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Answer(None, f"uploading events: {redact(url)} does not answer: {type(error).__name__}")
        if answered.accepted:
            return answered
        text = redact(text.replace(token, "***"))
        reason = (
            f"uploading events: upload to {redact(url)} returned status code {answered.status} (body: {text})"
        )
        return Answer(answered.status, reason, answered.retry_after_seconds)
