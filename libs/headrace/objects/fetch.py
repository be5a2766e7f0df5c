"""Reading an upload that a message names by bucket and key, or by URL: from Headrace's S3 or from allowed hosts."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

import aiohttp

from headrace.contracts.announcement import Announced, Announcement
from headrace.contracts.identity import Contradiction, Identity
from headrace.objects.errors import ObjectNotFound
from headrace.objects.store import ObjectStore
from headrace.runtime.answers import is_transient
from headrace.runtime.errors import Rejected, Retryable

_CHUNK_BYTES: Final = 1 << 18
_CONNECT_SECONDS: Final = 5.0
_PORTS: Final = {"http": 80, "https": 443}
# Names are indexed in databases; a key in S3 has at most 1024 bytes.
_MAX_NAME_BYTES: Final = 2000


@dataclass(frozen=True)
class Location:
    """The location of an upload: in a bucket of Headrace's S3, or at ``url``.

    ``name`` identifies it and contains no credential; ``path`` is the part of its location that other services may see.
    """

    name: str
    path: str
    bucket: str = ""
    key: str = ""
    url: str = ""


class Fetcher:
    """Locates and reads uploads. Redirects are not followed; answers are limited in bytes and time."""

    def __init__(
        self,
        store: ObjectStore,
        session: aiohttp.ClientSession,
        *,
        allowed_hosts: Iterable[str] = (),
        variable: str,
        max_bytes: int = 1 << 30,
        fetch_seconds: float = 120.0,
    ) -> None:
        """``variable`` is the setting that contains ``allowed_hosts`` (``host`` or ``host:port``), for error texts."""
        self.store = store
        self._session = session
        self._allowed_hosts = {host.lower() for host in allowed_hosts}
        self._variable = variable
        self._max_bytes = max_bytes
        self._timeout = aiohttp.ClientTimeout(total=fetch_seconds, sock_connect=_CONNECT_SECONDS)
        endpoint = store.endpoint
        names = [urlsplit(url) for url in (endpoint.url, endpoint.public_url) if url]
        self._own = {_authority(name) for name in names} | set(endpoint.aliases)

    def locate_upload(self, upload: Announced) -> Location:
        """Return the location of an announced upload; raises `Rejected` if Headrace may not read there."""
        if upload.bucket and upload.object_key:
            return stored(upload.bucket, upload.object_key)
        return self.locate(upload.url, request_id=upload.request_id or "")

    def locate(self, url_text: str, *, request_id: str) -> Location:
        """Return the location that a URL names; raises `Rejected` if Headrace may not read there."""
        try:
            url = urlsplit(url_text)
            authority = _authority(url)
        except ValueError:
            raise Rejected("the url is malformed") from None
        if inside := self._in_own_store(url, authority):
            return inside
        if url.scheme not in _PORTS or not {authority, url.hostname} & self._allowed_hosts:
            raise Rejected(
                f"the url points to {authority or 'no host'}, which is neither Headrace's S3 nor listed in "
                f"{self._variable}"
            )
        name = f"{request_id} {url.scheme}://{authority}{url.path}"
        if len(name.encode()) > _MAX_NAME_BYTES:
            raise Rejected(f"the url has a path of more than {_MAX_NAME_BYTES} bytes")
        return Location(name=name, path=unquote(url.path.lstrip("/")), url=url_text)

    def _in_own_store(self, url: SplitResult, authority: str) -> Location | None:
        """Return the location in Headrace's own S3 that a path-style or virtual-host URL names, else None."""
        path = unquote(url.path.lstrip("/"))
        if authority in self._own:
            bucket, _, key = path.partition("/")
            return stored(bucket, key) if bucket and key else None
        bucket, _, host = authority.partition(".")
        return stored(bucket, path) if host in self._own and bucket and path else None

    @asynccontextmanager
    async def open(self, location: Location) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open the upload and yield its bytes; raises `Rejected` if it does not exist, or no longer exists."""
        if not location.url:
            try:
                async with self.store.get(location.bucket, location.key) as chunks:
                    yield chunks
            except ObjectNotFound as error:
                raise gone(location) from error
            return
        try:
            async with self._session.get(
                location.url, allow_redirects=False, timeout=self._timeout
            ) as response:
                _check(response, location)
                yield self._capped(response)
        except (aiohttp.ClientError, TimeoutError) as error:
            # The text of a client's exception may contain the whole URL, and a presigned URL is a credential.
            raise Retryable(f"cannot fetch {location.name}: {type(error).__name__}") from error

    async def _capped(self, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            size += len(chunk)
            if size > self._max_bytes:
                raise Rejected(f"the url points to an object of more than {self._max_bytes} bytes")
            yield chunk


def sender_of(message: Announcement) -> Identity:
    """Return the sender of an announced upload; raises `Rejected` if the announcement contradicts itself."""
    try:
        return message.sender()
    except Contradiction as error:
        raise Rejected(f"the organisation of the upload is unknown: {error}") from None


def stored(bucket: str, key: str) -> Location:
    """Return the location of an object of Headrace's own S3."""
    return Location(name=f"{bucket}/{key}", path=key, bucket=bucket, key=key)


def gone(location: Location) -> Rejected:
    """Return the refusal of an upload that does not exist at the place that its message names."""
    return Rejected(f"{location.name} does not exist")


def _check(response: aiohttp.ClientResponse, location: Location) -> None:
    if response.status == 200:
        return
    reason = f"the request for {location.name} was answered {response.status}"
    if is_transient(response.status):
        raise Retryable(reason)
    raise Rejected(reason)


def _authority(url: SplitResult) -> str:
    """Return host and port; the scheme's default port is omitted."""
    port = url.port
    host = url.hostname or ""
    return host if port in {None, _PORTS.get(url.scheme)} else f"{host}:{port}"
