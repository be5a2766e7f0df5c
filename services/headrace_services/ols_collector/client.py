"""Uploads an archive to an ingress while it is packed, in one part named ``file``."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import aiohttp

from headrace.contracts.headers import REQUEST_ID_HEADER
from headrace.runtime.answers import is_transient
from headrace.runtime.errors import Permanent, Retryable
from headrace.web.multipart import file_form
from headrace_services.ols_collector.asking import proxy_of, read_answer, reason_of
from headrace_services.ols_collector.credentials import Access
from headrace_services.ols_collector.packing import Archive
from headrace_services.ols_collector.plan import Plan
from headrace_services.ols_collector.scrubbing import Scrubber

_log = logging.getLogger("ols_collector")

ACCEPTED: Final = 202
# These statuses concern the sender, not the archive, so the next archive would be refused too.
_OF_THE_SENDER: Final = frozenset({401, 403, 407})
TOO_LARGE: Final = 413


class Refused(Permanent):
    """The archive was refused, and would be refused again."""

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(reason)
        self.status = status

    @property
    def concerns_the_sender(self) -> bool:
        """Whether every other archive of this sender would be refused too."""
        return self.status in _OF_THE_SENDER


class NothingLeft(Permanent):
    """All files of the chunk changed or disappeared."""


@dataclass
class _Body:
    """The archive as a stream. Each sent piece extends the deadline."""

    first: bytes
    pieces: Iterator[bytes]
    thread: ThreadPoolExecutor
    progress: Callable[[], None]
    size_bytes: int = 0
    complete: bool = False
    error: BaseException | None = field(default=None)

    async def stream(self) -> AsyncIterator[bytes]:
        yield self.first
        loop = asyncio.get_running_loop()
        try:
            # A thread reads and compresses, so that the loop continues; one piece at a time, so that the network sets
            # the pace.
            while piece := await loop.run_in_executor(self.thread, next, self.pieces, b""):
                self.progress()
                self.size_bytes += len(piece)
                yield piece
        except Exception as error:
            # aiohttp would report only a broken connection.
            self.error = error
            raise
        self.progress()
        self.complete = True


class IngressClient:
    """Sends for one collector. Raises `Retryable`, `Refused` or `NothingLeft`."""

    def __init__(
        self, plan: Plan, session: aiohttp.ClientSession, thread: ThreadPoolExecutor, scrubber: Scrubber
    ) -> None:
        self._plan = plan
        self._session = session
        self._thread = thread
        self._scrubber = scrubber

    async def post(self, archive: Archive, access: Access, request_id: str) -> tuple[str, int]:
        """Upload an archive; return the request id of the answer, and the size of the archive in bytes.

        Raises `Retryable` if nothing moves for ``ingress_timeout`` seconds, or the answer takes that long.
        """
        loop, seconds = asyncio.get_running_loop(), self._plan.ingress_timeout
        pieces = archive.pieces()
        first = await loop.run_in_executor(self._thread, next, pieces, b"")
        if not first:
            raise NothingLeft("all files changed or disappeared after they were listed")
        headers = access.headers | {REQUEST_ID_HEADER: request_id}
        body: _Body | None = None
        try:
            async with asyncio.timeout(seconds) as deadline:
                body = _Body(
                    first,
                    pieces,
                    self._thread,
                    lambda: _postpone(deadline, loop.time() + seconds),
                    size_bytes=len(first),
                )
                status, text = await self._exchange(body, headers)
        except TimeoutError:
            raise Retryable(f"no progress within {seconds:g} seconds") from None
        except (aiohttp.ClientError, OSError) as error:
            if body is not None and isinstance(body.error, Retryable):
                raise body.error from None
            if body is not None and isinstance(body.error, OSError):
                raise Retryable(f"a file cannot be read: {body.error.strerror}") from None
            raise Retryable(f"the ingress does not answer: {reason_of(error)}") from None
        if not body.complete:
            raise Retryable(f"the ingress answered {status} before it had the whole archive")
        return text, body.size_bytes

    async def _exchange(self, body: _Body, headers: dict[str, str]) -> tuple[int, str]:
        """Return the status and request id of an acceptance."""
        async with self._session.post(
            self._plan.ingress_url,
            data=file_form(
                body.stream(), file_name=self._plan.form.file_name, content_type=self._plan.content_type
            ),
            headers=headers,
            # The deadline is set here, because each piece moves it.
            timeout=aiohttp.ClientTimeout(total=None),
            allow_redirects=False,
            proxy=proxy_of(self._plan.ingress_url),
        ) as response:
            answer = await read_answer(response)
        if answer.status == ACCEPTED:
            found = answer.body.get("request_id") if isinstance(answer.body, dict) else None
            return answer.status, self._scrubber.clean(str(found or ""))
        text = self._scrubber.clean(answer.text)
        _log.error("posting payload failed, response: %d: %s", answer.status, text)
        reason = f"the ingress answered {answer.status}: {text}"
        if is_transient(answer.status):
            raise Retryable(reason, retry_after_seconds=answer.retry_after_seconds)
        raise Refused(reason, answer.status)


def _postpone(deadline: asyncio.Timeout, when: float) -> None:
    # The deadline may have passed while the piece was built.
    with suppress(RuntimeError):
        deadline.reschedule(when)
