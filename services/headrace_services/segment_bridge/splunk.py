"""``fetch-uj-records``: the eight queries, one after another, as Splunk's own lines.

    outcome = Outcome()
    async with Splunk(settings) as splunk:
        async for line in records(splunk, outcome):
            ...                       # b'{"preview":false,"offset":0,"result":{…}}', no newline, never empty
    if not outcome.complete:
        ...                           # the rows are valid but incomplete: outcome.failures has the reasons

A line is passed on as Splunk wrote it, with three exceptions: rows of previews come again in the result, diagnostics
are counted in the outcome, and the line for "no rows" is dropped. A query whose answer breaks off is repeated, so rows
may come twice; they are equal in their ``messageId``.
"""

import asyncio
import re
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Self
from urllib.parse import quote

import aiohttp
import orjson

from headrace.runtime.answers import is_transient, retry_after_seconds
from headrace.runtime.errors import ConfigurationError, Permanent, Retryable
from headrace.runtime.logging import redact
from headrace.runtime.retries import RetryPolicy
from headrace_services.segment_bridge.netrc import login_for
from headrace_services.segment_bridge.queries import QUERIES, Query
from headrace_services.segment_bridge.settings import SplunkSettings

_CONNECT_SECONDS: Final = 10.0
_READ_BUFFER_BYTES: Final = 1 << 18
_MAX_LINE_BYTES: Final = 16 << 20
_MAX_ERROR_BYTES: Final = 1 << 16
_SHOWN_CHARACTERS: Final = 300
_KEPT_MESSAGES: Final = 20
# The form in which Splunk writes rows; a line of another form is decoded.
_ROW: Final = re.compile(rb'\{"preview":false,(?:"offset":\d+,)?("lastrow":true,)?"result":\{')


@dataclass
class QueryOutcome:
    """The outcome of one query. ``rows`` counts every row, ``repeated`` the rows of attempts that broke off."""

    title: str
    rows: int = 0
    repeated: int = 0
    previews: int = 0
    attempts: int = 0
    failure: str = ""
    messages: list[str] = field(default_factory=list)
    finished: bool = False

    def note(self, kind: str, text: str) -> None:
        """Keep the first message of Splunk."""
        if len(self.messages) < _KEPT_MESSAGES:
            self.messages.append(f"{kind}: {redact(text[:_SHOWN_CHARACTERS])}")


@dataclass
class Outcome:
    """The outcome of the queries, filled while records are read."""

    queries: list[QueryOutcome] = field(default_factory=list)
    expected: int = len(QUERIES)

    @property
    def rows(self) -> int:
        """The number of rows."""
        return sum(query.rows for query in self.queries)

    @property
    def failures(self) -> dict[str, str]:
        """The title and reason of each query that is incomplete."""
        return {query.title: query.failure for query in self.queries if query.failure}

    @property
    def complete(self) -> bool:
        """Whether every query was read to its end without an error message."""
        done = sum(1 for query in self.queries if query.finished and not query.failure)
        return done == self.expected


async def records(
    splunk: "Splunk", outcome: Outcome, queries: Sequence[Query] = QUERIES
) -> AsyncGenerator[bytes, None]:
    """Yield the rows of every query in order, as lines without newlines. A failed query does not stop the others."""
    async with aclosing(pieces(splunk, outcome, queries)) as found:
        async for rows in found:
            for row in rows:
                yield row


async def pieces(
    splunk: "Splunk", outcome: Outcome, queries: Sequence[Query] = QUERIES
) -> AsyncGenerator[list[bytes], None]:
    """Yield the same rows, some at a time, as they arrive."""
    outcome.expected = len(queries)
    for query in queries:
        result = QueryOutcome(query.title)
        outcome.queries.append(result)
        if splunk.refused:
            result.failure = splunk.refused
            continue
        async with aclosing(splunk.rows(query, result)) as found:
            async for rows in found:
                yield rows


class Splunk:
    """Splunk's API according to `SplunkSettings`; raises `ConfigurationError` at ``open`` if the netrc has no login."""

    def __init__(self, settings: SplunkSettings) -> None:
        self._settings = settings
        self._base = f"{settings.url.rstrip('/')}/servicesNS/nobody/{quote(settings.app_name, safe='')}"
        self._retry = RetryPolicy(
            attempts=settings.retries + 1,
            budget_seconds=settings.retry_budget_seconds,
            base_seconds=1.0,
            cap_seconds=30.0,
        )
        self._session: aiohttp.ClientSession | None = None
        # Why Splunk refused the login. Further attempts could lock the account.
        self.refused = ""

    async def open(self) -> Self:
        """Read the login and the certificates; no request is sent yet."""
        settings = self._settings
        login = login_for(settings.url, settings.netrc)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=_tls(settings)),
            headers={"Authorization": login.header},
            read_bufsize=_READ_BUFFER_BYTES,
            timeout=aiohttp.ClientTimeout(
                total=settings.query_seconds,
                sock_connect=_CONNECT_SECONDS,
                sock_read=settings.idle_seconds,
            ),
        )
        return self

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def rows(self, query: Query, result: QueryOutcome) -> AsyncGenerator[list[bytes], None]:
        """Yield the rows of one query, some at a time; failures are recorded in ``result``."""
        started = time.monotonic()
        while True:
            result.attempts += 1
            before = result.rows
            try:
                async with aclosing(self._attempt(query, result)) as pieces:
                    async for rows in pieces:
                        result.rows += len(rows)
                        yield rows
                result.finished = True
                return
            except Retryable as error:
                delay = self._retry.wait_seconds(error, result.attempts, time.monotonic() - started)
                if delay is None:
                    result.failure = str(error)
                    return
            except Permanent as error:
                result.failure = str(error)
                return
            result.repeated += result.rows - before
            await asyncio.sleep(delay)

    @asynccontextmanager
    async def call(
        self, method: str, path: str, *, fine: Collection[int] = (), **request: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Make one request below the app; raises for a status that is neither 2xx nor in ``fine``."""
        if self._session is None:
            raise RuntimeError("Splunk is not open")
        try:
            async with self._session.request(
                method, self._base + path, allow_redirects=False, **request
            ) as response:
                if response.status // 100 != 2 and response.status not in fine:
                    refusal = await _refusal(response)
                    if response.status == HTTPStatus.UNAUTHORIZED:
                        self.refused = str(refusal)
                    raise refusal
                yield response
        except aiohttp.ClientConnectorCertificateError as error:
            raise ConfigurationError(
                "Splunk's certificate is not trusted: set SPLUNK_CA_FILE to the CA that signed it"
            ) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Retryable(f"Splunk does not answer: {type(error).__name__}") from error

    async def _attempt(self, query: Query, result: QueryOutcome) -> AsyncGenerator[list[bytes], None]:
        form = {
            "output_mode": "json",
            "earliest_time": self._settings.earliest,
            "latest_time": self._settings.latest,
            "search": query.spl(self._settings.index),
        }
        reading = _Reading(result)
        async with self.call("POST", "/search/v2/jobs/export", data=form) as response:
            async for lines in _lines(response.content):
                yield [line for line in lines if reading.is_row(line)]
                reading.check()
        reading.end()


class _Reading:
    """Separates rows from everything else in an answer, without decoding rows."""

    def __init__(self, result: QueryOutcome) -> None:
        self._result = result
        self._last = False
        self._failure = ""
        self._given_up = ""

    def is_row(self, line: bytes) -> bool:
        row = _ROW.match(line)
        # A row with other keys beside its result ends differently.
        if row is not None and line.endswith(b"}}"):
            if row[1]:
                self._last = True
            return True
        return self._other(line)

    def _other(self, line: bytes) -> bool:
        try:
            decoded = orjson.loads(line)
        except ValueError:
            decoded = None
        if not isinstance(decoded, dict):
            self._failure = self._failure or "Splunk sent a line that is not a JSON object"
            return False
        for message in decoded.get("messages") or ():
            self._message(str(message.get("type")), str(message.get("text")))
        if decoded.get("preview"):
            self._result.previews += 1
            return False
        self._last = self._last or bool(decoded.get("lastrow"))
        return bool(decoded.get("result"))

    def _message(self, kind: str, text: str) -> None:
        self._result.note(kind, text)
        if kind == "FATAL":
            self._given_up = f"Splunk aborted the search: {redact(text[:_SHOWN_CHARACTERS])}"
        if kind == "ERROR":
            self._failure = self._failure or f"Splunk reported ERROR: {redact(text[:_SHOWN_CHARACTERS])}"

    def check(self) -> None:
        """Raise `Retryable` if Splunk has ended the search early."""
        if self._given_up:
            raise Retryable(self._given_up)

    def end(self) -> None:
        """End the answer; raises if it is incomplete."""
        if self._failure:
            raise Permanent(self._failure)
        if not self._last:
            raise Retryable("Splunk's answer ended before its last row")


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[list[bytes]]:
    """Yield non-empty lines without newlines, those of a piece at a time."""
    rest = b""
    async for piece in content.iter_any():
        *lines, rest = (rest + piece).split(b"\n")
        yield [line for line in lines if line]
        if len(rest) > _MAX_LINE_BYTES:
            raise Permanent(f"Splunk sent a line of more than {_MAX_LINE_BYTES} bytes")
    if rest:
        yield [rest]


async def _refusal(response: aiohttp.ClientResponse) -> Retryable | Permanent:
    text = await response.content.read(_MAX_ERROR_BYTES)
    shown = redact(text[:_SHOWN_CHARACTERS].decode(errors="replace"))
    reason = f"Splunk answered {response.status}: {shown}"
    if is_transient(response.status):
        return Retryable(reason, retry_after_seconds=retry_after_seconds(response.headers.get("Retry-After")))
    return Permanent(reason)


def _tls(settings: SplunkSettings) -> ssl.SSLContext | bool:
    if not settings.url.startswith("https:"):
        return True
    try:
        context = ssl.create_default_context(cafile=settings.ca_file or None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"SPLUNK_CA_FILE: {settings.ca_file} cannot be read: {error.strerror}"
        ) from None
    if settings.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
