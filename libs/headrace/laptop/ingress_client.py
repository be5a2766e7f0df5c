"""Sends an upload to an ingress, streamed from disk, and respects Retry-After."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import aiohttp
import orjson

from headrace.archives.files import file_chunks
from headrace.contracts.message import utc_now
from headrace.laptop.uploads import Upload
from headrace.runtime.answers import BUSY, retry_after_seconds
from headrace.runtime.errors import Permanent, Retryable
from headrace.web.multipart import file_form
from headrace.web.peer import reason_of

_CONNECT_SECONDS: Final = 10.0
_ANSWER_SECONDS: Final = 60.0
_BUDGET_SECONDS: Final = 45.0
_PAUSE_SECONDS: Final = 2.0
_SLOWEST_BYTES_PER_SECOND: Final = 64 * 1024
_ACCEPTED: Final = frozenset({200, 201, 202})

Sent = Callable[[int], None]


@dataclass(frozen=True)
class Acceptance:
    """An accepting answer: ``sent_at`` is the start of that attempt, ``org_id`` the organisation of the upload."""

    request_id: str
    status: int
    org_id: str
    sent_at: datetime
    seconds: float


class IngressClient:
    """One ingress; ``url`` is scheme, host and port."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url.rstrip("/")

    async def send(self, upload: Upload, sent: Sent = lambda _: None) -> Acceptance:
        """Send; raises `Permanent` if the upload is refused, `Retryable` when the budget is spent."""
        deadline = time.monotonic() + _BUDGET_SECONDS
        while True:
            began, sent_at = time.monotonic(), utc_now()
            status, text, retry_after = await self._post(upload, sent)
            if status in _ACCEPTED:
                seconds = time.monotonic() - began
                return Acceptance(upload.request_id, status, _org_id(text), sent_at, seconds)
            reason = f"{self._url} answered {status} for {upload.path}: {text or 'without a reason'}"
            if status not in BUSY:
                raise Permanent(reason)
            pause = retry_after + random.uniform(0, _PAUSE_SECONDS)  # noqa: S311 -- jitter
            if time.monotonic() + pause > deadline:
                raise Retryable(reason)
            await asyncio.sleep(pause)

    async def _post(self, upload: Upload, sent: Sent) -> tuple[int, str, float]:
        async def chunks() -> AsyncIterator[bytes]:
            async for chunk in file_chunks(upload.path):
                yield chunk
                sent(len(chunk))

        form = file_form(
            chunks(),
            file_name=upload.path.name.replace("\r", "").replace("\n", ""),
            content_type=upload.content_type,
            size_bytes=upload.size_bytes,
        )
        headers = upload.headers | {upload.request_id_header: upload.request_id}
        timeout = aiohttp.ClientTimeout(
            total=_ANSWER_SECONDS + upload.size_bytes / _SLOWEST_BYTES_PER_SECOND, connect=_CONNECT_SECONDS
        )
        url = f"{self._url}/api/ingress/v1/upload"
        try:
            async with self._session.post(url, data=form, headers=headers, timeout=timeout) as response:
                text = (await response.text(errors="replace")).strip()
                return response.status, text, retry_after_seconds(response.headers.get("Retry-After"))
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Retryable(f"the ingress at {self._url} does not answer: {reason_of(error)}") from None


def _org_id(text: str) -> str:
    try:
        return str(orjson.loads(text)["upload"].get("org_id", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
