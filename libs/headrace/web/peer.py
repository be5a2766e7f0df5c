"""A client for the JSON APIs of peers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import orjson

from headrace.runtime import tracing
from headrace.runtime.answers import BUSY
from headrace.runtime.errors import Permanent, Retryable
from headrace.runtime.logging import redact

_CONNECT_SECONDS: Final = 5.0
_SHOWN_CHARACTERS: Final = 300


@dataclass(frozen=True)
class Answer:
    """An answer; ``body`` is the decoded JSON, None if it is not JSON."""

    status: int
    body: Any
    text: str

    @property
    def shown(self) -> str:
        """Return the status and the beginning of the text, for a reason."""
        return f"{self.status}: {redact(self.text[:_SHOWN_CHARACTERS])}"


class Peer:
    """One service at ``url``, named ``name`` in reasons."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        *,
        name: str,
        timeout_seconds: float = 30.0,
        max_bytes: int = 64 << 20,
    ) -> None:
        self._session = session
        self._url = url.rstrip("/")
        self._name = name
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds, sock_connect=_CONNECT_SECONDS)
        self._max_bytes = max_bytes

    async def call(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Make one request. Raises `Retryable` if the peer is away, slow or busy; the caller judges other answers."""
        sent = tracing.inject(dict(headers or {}))
        data = None if json is None else orjson.dumps(json)
        if data is not None:
            sent["Content-Type"] = "application/json"
        try:
            async with self._session.request(
                method,
                self._url + path,
                data=data,
                params=params,
                headers=sent,
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                text = await self._read(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Retryable(f"{self._name} does not answer: {reason_of(error)}") from error
        answer = Answer(response.status, _decoded(text), text.decode(errors="replace"))
        if answer.status in BUSY:
            raise Retryable(f"{self._name} answered {answer.shown}")
        return answer

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        pieces, size = [], 0
        async for piece in response.content.iter_any():
            size += len(piece)
            if size > self._max_bytes:
                raise Permanent(f"{self._name} sent an answer of more than {self._max_bytes} bytes")
            pieces.append(piece)
        return b"".join(pieces)


def reason_of(error: Exception) -> str:
    """Return why there was no answer, never the text of an error that may hold a URL with credentials."""
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, ConnectionRefusedError):
        return "the connection is refused"
    return type(error).__name__


def _decoded(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except ValueError:
        return None
