"""A read-only client of a Kubernetes API server: objects and lists in JSON.

It is Headrace's own, over aiohttp: importing the official asynchronous client takes about 60 MB of memory, more than a
whole sender may use, and only two calls are needed.
"""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Self

import aiohttp
import orjson

from headrace.kubernetes.access import Access
from headrace.kubernetes.kubeconfig import Kubeconfig, default_kubeconfig, service_account
from headrace.runtime.answers import is_transient, retry_after_seconds
from headrace.runtime.errors import ConfigurationError, Permanent, Retryable
from headrace.runtime.logging import redact
from headrace.runtime.retries import RetryPolicy, retrying

_CONNECT_SECONDS: Final = 10.0
_REQUEST_SECONDS: Final = 60.0
_MAX_ANSWER_BYTES: Final = 256 << 20
_SHOWN_CHARACTERS: Final = 300
_PAGE_ITEMS: Final = 500


class NotFound(Permanent):
    """The server has no such path or object."""


class _Gone(Permanent):
    """The paged list has expired on the server; ``token``, if any, continues in a newer list."""

    def __init__(self, message: str, token: str) -> None:
        super().__init__(message)
        self.token = token


class Cluster:
    """One API server. Raises `Retryable` while it is away or busy (after retries), `Permanent` if it refuses."""

    def __init__(
        self, access: Access, *, retry: RetryPolicy | None = None, page_items: int = _PAGE_ITEMS
    ) -> None:
        self._access = access
        self._retry = retry or RetryPolicy()
        self._page_items = page_items
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    def from_kubeconfig(cls, path: Path | str, context: str | None = None) -> Self:
        """Return the cluster of a kubeconfig's context, by default the current one; raises `ConfigurationError`."""
        return cls(Kubeconfig.load(path).access(context))

    @classmethod
    def in_cluster(cls) -> Self:
        """Return the cluster of this pod, by its service account; raises `ConfigurationError` outside of a pod."""
        access = service_account()
        if access is None:
            raise ConfigurationError(
                "not running in a pod with a service account: KUBERNETES_SERVICE_HOST or the token is missing"
            )
        return cls(access)

    @classmethod
    def find(cls, context: str | None = None) -> Self:
        """Find a cluster through ``$KUBECONFIG``, else ``~/.kube/config``, else the pod's service account."""
        if path := default_kubeconfig():
            return cls.from_kubeconfig(path, context)
        if access := service_account():
            return cls(access)
        raise ConfigurationError(
            "no Kubernetes cluster is configured: KUBECONFIG is unset, ~/.kube/config does not exist and "
            "this is not a pod"
        )

    @property
    def name(self) -> str:
        """The context's name, for messages."""
        return self._access.name

    @property
    def namespace(self) -> str:
        """The context's namespace."""
        return self._access.namespace

    async def open(self) -> Self:
        """Open the session; no request is sent yet."""
        # Loading a client certificate writes a file.
        tls = await asyncio.to_thread(self._access.tls)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls, limit=8),
            timeout=aiohttp.ClientTimeout(total=_REQUEST_SECONDS, sock_connect=_CONNECT_SECONDS),
            headers={"Accept": "application/json"},
        )
        return self

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        """Return one object or one page of a list, e.g. ``/api/v1/namespaces/default``; also raises `NotFound`."""
        return await retrying(self._retry, lambda: self._get(path, query))

    async def items(self, path: str, label_selector: str = "") -> AsyncIterator[dict[str, Any]]:
        """Yield every item of a paged list, e.g. of ``/api/v1/namespaces``.

        If the server drops the list during the reading, it continues in a newer list if the server offers one; an item
        that changed meanwhile may then appear in either state.
        """
        query = {"limit": str(self._page_items)}
        if label_selector:
            query["labelSelector"] = label_selector
        while True:
            try:
                page = await self.get(path, **query)
            except _Gone as gone:
                if not gone.token or gone.token == query.get("continue"):
                    raise Retryable(str(gone)) from None
                query["continue"] = gone.token
                continue
            for item in page.get("items") or ():
                yield item
            token = (page.get("metadata") or {}).get("continue")
            if not token:
                return
            query["continue"] = token

    async def _get(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        if self._session is None:
            raise RuntimeError("the cluster is not open")
        access = self._access
        try:
            async with self._session.get(
                access.server + path,
                params=query,
                headers=access.headers(),
                allow_redirects=False,
                proxy=access.proxy_url or None,
                server_hostname=access.tls_server_name or None,
            ) as response:
                body = await _read(response, access.name)
        except aiohttp.ClientConnectorCertificateError as error:
            reason = getattr(error.certificate_error, "verify_message", "")
            raise ConfigurationError(
                f"cluster {access.name}: its certificate is not trusted: {reason or 'it does not match'}"
            ) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Retryable(f"cluster {access.name} does not answer: {type(error).__name__}") from error
        return _judged(access.name, path, response, body)


async def _read(response: aiohttp.ClientResponse, name: str) -> bytes:
    pieces, size = [], 0
    async for piece in response.content.iter_any():
        size += len(piece)
        if size > _MAX_ANSWER_BYTES:
            raise Permanent(f"cluster {name} sent an answer of more than {_MAX_ANSWER_BYTES} bytes")
        pieces.append(piece)
    return b"".join(pieces)


def _judged(name: str, path: str, response: aiohttp.ClientResponse, text: bytes) -> dict[str, Any]:
    """Return the answer's body, or raise what its status means."""
    try:
        body = orjson.loads(text)
    except ValueError:
        body = None
    if response.status == HTTPStatus.OK and isinstance(body, dict):
        return body
    status = body if isinstance(body, dict) else {}
    shown = redact(str(status.get("message") or text[:_SHOWN_CHARACTERS].decode(errors="replace")))
    reason = f"cluster {name} answered {response.status} to {path}: {shown[:_SHOWN_CHARACTERS]}"
    if is_transient(response.status):
        raise Retryable(reason, retry_after_seconds=retry_after_seconds(response.headers.get("Retry-After")))
    if response.status == HTTPStatus.GONE:
        raise _Gone(reason, str((status.get("metadata") or {}).get("continue") or ""))
    if response.status == HTTPStatus.NOT_FOUND:
        raise NotFound(reason)
    raise Permanent(reason)
