"""The client of Segment's batch API: attempts, waits, and the meaning of answers. The write key is never shown."""

import asyncio
import ssl
import time
import zlib
from typing import Final, Self

import aiohttp
import orjson

from headrace.runtime.answers import is_transient, retry_after_seconds
from headrace.runtime.errors import ConfigurationError, Permanent, Rejected, Retryable
from headrace.runtime.logging import redact
from headrace.runtime.retries import RetryPolicy
from headrace_services.segment_bridge.netrc import login_for
from headrace_services.segment_bridge.settings import SegmentSettings

_CONNECT_SECONDS: Final = 10.0
_SHOWN_CHARACTERS: Final = 200
_MAX_ANSWER_BYTES: Final = 1 << 16
# These statuses blame the batch; any other refusal concerns the sender or the endpoint.
_BAD_BATCH: Final = frozenset({400, 413, 415, 422})
_GZIP_LEVEL: Final = 1
_GZIP_WINDOW: Final = 31


class Segment:
    """One Segment source. Raises `ConfigurationError` at ``open`` if the netrc has no login for it."""

    def __init__(self, settings: SegmentSettings) -> None:
        self.requests = 0
        self._settings = settings
        self._retry = RetryPolicy(
            attempts=max(1, settings.attempts),
            budget_seconds=settings.retry_budget_seconds,
            base_seconds=1.0,
            cap_seconds=15.0,
        )
        # A requested pause applies to all batches.
        self._not_before = 0.0
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        settings = self._settings
        login = login_for(settings.url, settings.netrc)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=_tls(settings), limit=settings.concurrency),
            headers={"Authorization": login.header, "Content-Type": "application/json"},
            timeout=aiohttp.ClientTimeout(total=settings.timeout_seconds, sock_connect=_CONNECT_SECONDS),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def post(self, body: bytes) -> None:
        """Send a batch until it is accepted.

        Raises `Rejected` if the batch is at fault, `Permanent` if Segment refuses the sender, `Retryable` after the
        last attempt.
        """
        headers = {}
        if self._settings.gzip:
            packer = zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP_WINDOW)
            body = packer.compress(body) + packer.flush()
            headers["Content-Encoding"] = "gzip"
        attempt, started = 1, time.monotonic()
        while True:
            await self._wait_for_turn(started)
            try:
                return await self._attempt(body, headers)
            except Retryable as error:
                delay = self._retry.wait_seconds(error, attempt, time.monotonic() - started)
                if delay is None:
                    raise Retryable(f"{error} (attempt {attempt} of {self._retry.attempts})") from error
                if error.retry_after_seconds:
                    self._not_before = max(self._not_before, time.monotonic() + error.retry_after_seconds)
                await asyncio.sleep(delay)
                attempt += 1

    async def _wait_for_turn(self, started: float) -> None:
        latest = started + self._settings.retry_budget_seconds
        delay = min(self._not_before, latest) - time.monotonic()
        if delay > 0:
            await asyncio.sleep(delay)

    async def _attempt(self, body: bytes, headers: dict[str, str]) -> None:
        if self._session is None:
            raise RuntimeError("Segment is not open")
        self.requests += 1
        try:
            async with self._session.post(
                self._settings.url, data=body, headers=headers, allow_redirects=False
            ) as response:
                text = await response.content.read(_MAX_ANSWER_BYTES)
        except aiohttp.ClientConnectorCertificateError as error:
            raise ConfigurationError(
                "Segment's certificate is not trusted: set SEGMENT_CA_FILE to the CA that signed it"
            ) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Retryable(f"Segment does not answer: {type(error).__name__}") from error
        _judge(response, text)


def _judge(response: aiohttp.ClientResponse, text: bytes) -> None:
    """Raise the exception for an answer other than success."""
    status = response.status
    if status // 100 == 2 and _succeeded(text):
        return
    reason = f"Segment answered {status}: {redact(text[:_SHOWN_CHARACTERS].decode(errors='replace'))}"
    if is_transient(status):
        raise Retryable(reason, retry_after_seconds=retry_after_seconds(response.headers.get("Retry-After")))
    raise Rejected(reason) if status in _BAD_BATCH or status // 100 == 2 else Permanent(reason)


def _succeeded(text: bytes) -> bool:
    try:
        body = orjson.loads(text)
    except orjson.JSONDecodeError:
        return True
    return not (isinstance(body, dict) and body.get("success") is False)


def _tls(settings: SegmentSettings) -> ssl.SSLContext | bool:
    if not settings.url.startswith("https:") or not settings.ca_file:
        return True
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"SEGMENT_CA_FILE: {settings.ca_file} cannot be read: {error.strerror}"
        ) from None
