"""Where an announced upload is, and its bytes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

import aiohttp

from headrace.contracts.announcement import Announcement
from headrace.objects.store import ObjectStore
from headrace.objects.wire import ObjectNotFound
from headrace.runtime.errors import Rejected, Retryable

_CHUNK_BYTES: Final = 1 << 18
_CONNECT_SECONDS: Final = 5.0
_PORTS: Final = {"http": 80, "https": 443}
# The name is indexed; S3's own keys have 1024 bytes at most.
_MAX_NAME_BYTES: Final = 2000


@dataclass(frozen=True)
class Upload:
    """An announced upload: in a bucket of ours, or (``url``) at another ingress.

    ``name`` tells it from every other upload; ``path`` is what consumers may know of where it was.
    """

    name: str
    path: str
    bucket: str = ""
    key: str = ""
    url: str = ""


class Sources:
    """Finds uploads and reads them. A URL in a message is fetched only from hosts that an operator named."""

    def __init__(
        self,
        store: ObjectStore,
        session: aiohttp.ClientSession,
        *,
        allowed_hosts: frozenset[str] = frozenset(),
        max_bytes: int = 1 << 30,
        fetch_seconds: float = 120.0,
    ) -> None:
        self.store = store
        self._session = session
        self._allowed_hosts = {host.lower() for host in allowed_hosts}
        self._max_bytes = max_bytes
        self._timeout = aiohttp.ClientTimeout(total=fetch_seconds, sock_connect=_CONNECT_SECONDS)
        own = (store.endpoint.url, store.endpoint.public_url)
        self._own = [urlsplit(url) for url in own if url]

    def locate(self, message: Announcement) -> Upload:
        """Where the upload is; raises `Rejected` when it is nowhere we may read."""
        if message.bucket and message.object_key:
            return _stored(message.bucket, message.object_key)
        try:
            url = urlsplit(message.url)
            authority = _authority(url)
        except ValueError:
            raise Rejected("the announcement's url cannot be read, and it names no bucket and key") from None
        if stored := self._in_own_store(url):
            return stored
        if url.scheme not in _PORTS or not {authority, url.hostname} & self._allowed_hosts:
            raise Rejected(
                f"the upload is at {authority or 'no host'}, which is neither our S3 nor among ARCHIVER_ALLOWED_HOSTS"
            )
        name = f"{message.request_id} {url.scheme}://{authority}{url.path}"
        if len(name.encode()) > _MAX_NAME_BYTES:
            raise Rejected(f"the upload's url has a path of more than {_MAX_NAME_BYTES} bytes")
        return Upload(name=name, path=unquote(url.path.lstrip("/")), url=message.url)

    def _in_own_store(self, url: SplitResult) -> Upload | None:
        """Path-style and virtual-host URLs of our own endpoint, which we read with our own keys."""
        path = unquote(url.path.lstrip("/"))
        for own in self._own:
            if _authority(url) == _authority(own):
                bucket, _, key = path.partition("/")
                if bucket and key:
                    return _stored(bucket, key)
            bucket, _, host = _authority(url).partition(".")
            if host == _authority(own) and bucket and path:
                return _stored(bucket, path)
        return None

    @asynccontextmanager
    async def open(self, upload: Upload) -> AsyncIterator[AsyncIterator[bytes]]:
        """The upload's bytes; raises `Rejected` when it is not there (any more)."""
        if not upload.url:
            try:
                async with self.store.get(upload.bucket, upload.key) as chunks:
                    yield chunks
            except ObjectNotFound as error:
                raise gone(upload) from error
            return
        try:
            async with self._session.get(
                upload.url, allow_redirects=False, timeout=self._timeout
            ) as response:
                _check(response, upload)
                yield self._capped(response)
        except (aiohttp.ClientError, TimeoutError) as error:
            # The text of a client's error may hold the whole URL, and a presigned one is a credential.
            raise Retryable(f"cannot fetch {upload.name}: {type(error).__name__}") from error

    async def _capped(self, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            size += len(chunk)
            if size > self._max_bytes:
                raise Rejected(f"the upload has more than {self._max_bytes} bytes (ARCHIVER_MAX_FETCH_BYTES)")
            yield chunk


def gone(upload: Upload) -> Rejected:
    """The upload is not where it was announced."""
    return Rejected(f"the upload {upload.name} is not there")


def _check(response: aiohttp.ClientResponse, upload: Upload) -> None:
    if response.status == 200:
        return
    reason = f"fetching {upload.name} was answered {response.status}"
    if response.status == 429 or response.status >= 500:
        raise Retryable(reason)
    raise Rejected(reason)


def _stored(bucket: str, key: str) -> Upload:
    return Upload(name=f"{bucket}/{key}", path=key, bucket=bucket, key=key)


def _authority(url: SplitResult) -> str:
    """Host and port, the port left out where the scheme implies it."""
    port = url.port
    host = url.hostname or ""
    return host if port in {None, _PORTS.get(url.scheme)} else f"{host}:{port}"
