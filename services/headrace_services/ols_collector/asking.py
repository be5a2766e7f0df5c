"""The common part of the clients for SSO and ingress: proxies and bounded answers."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import orjson

from headrace.runtime.answers import retry_after_seconds
from headrace.runtime.errors import Retryable

_MAX_ANSWER_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class Answer:
    """An answer; ``body`` is the decoded JSON, None if it is not JSON."""

    status: int
    text: str
    body: Any
    retry_after_seconds: float = 0.0


class Asking:
    """Posts forms to a token endpoint; raises `Retryable` if there is no answer in time."""

    def __init__(self, session: aiohttp.ClientSession, timeout_seconds: float) -> None:
        self._session = session
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)

    async def post(
        self,
        url: str,
        *,
        what: str,
        data: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Make one request."""
        try:
            async with self._session.post(
                url,
                data=data,
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,
                proxy=proxy_of(url),
            ) as response:
                return await read_answer(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Retryable(f"{what} does not answer: {reason_of(error)}") from None


async def read_answer(response: aiohttp.ClientResponse) -> Answer:
    """Return the beginning of an answer, long enough for any reason."""
    text = bytearray()
    async for piece in response.content.iter_any():
        text += piece
        if len(text) > _MAX_ANSWER_BYTES:
            # The rest of the answer is not read, so the connection cannot be reused.
            response.close()
            break
    try:
        body = orjson.loads(text)
    except ValueError:
        body = None
    return Answer(
        response.status,
        text.decode(errors="replace"),
        body,
        retry_after_seconds(response.headers.get("Retry-After")),
    )


def proxy_of(url: str) -> str | None:
    """Return the proxy for a URL according to HTTPS_PROXY, HTTP_PROXY and NO_PROXY, or None."""
    parts = urlsplit(url)
    if not parts.hostname or proxy_bypass(parts.hostname):
        return None
    return getproxies().get(parts.scheme)


def reason_of(error: BaseException) -> str:
    """Return why there was no answer, without the exception's text, which may contain a URL with credentials."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"{type(error).__name__}: {error.strerror or type(error.os_error).__name__}"
    if isinstance(error, ssl.SSLError | aiohttp.ClientSSLError):
        return f"{type(error).__name__}: its certificate is not trusted"
    return type(error).__name__
