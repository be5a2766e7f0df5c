"""Storing of uploads: a body becomes an object while it arrives.

An object's key is the request id. If the id is taken, the same bytes of the same organisation are recognised by their
ETag and stored once. Other bytes, or the bytes of another organisation, get a separate key (``<request id>~<digest>``,
where the digest begins with one of the organisation). Nothing is overwritten, and no organisation learns of another's
upload.
"""

import asyncio
import filecmp
import hashlib
import os
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Final, Protocol
from weakref import WeakValueDictionary

from headrace.contracts.identity import Identity
from headrace.contracts.message import utc_now
from headrace.objects.errors import ObjectExists
from headrace.objects.store import PART_BYTES, ObjectInfo, ObjectStore, Part, crc32, digest, multipart_etag
from headrace.runtime.errors import Retryable
from headrace.runtime.retries import RetryPolicy, retrying

CONTENT_TYPE: Final = "application/gzip"
_SIBLING: Final = "~"
# The metadata key of the organisation that an object was stored for.
_OWNER: Final = "org"
_OWNER_ATTRIBUTE: Final = f"user.headrace.{_OWNER}"
# With eight attempts, a store that throttles three of ten requests fails an upload once in 15,000, at fewer than 1.5
# requests per upload.
RETRY: Final = RetryPolicy(attempts=8, budget_seconds=6.0, base_seconds=0.1, cap_seconds=2.0)
_STALE_UPLOAD_SECONDS: Final = 3600.0


@dataclass(frozen=True)
class Staged:
    """The location of a stored upload. ``duplicate``: its bytes were stored before."""

    url: str
    size: int
    bucket: str | None = None
    key: str | None = None
    etag: str | None = None
    duplicate: bool = False


@dataclass(frozen=True)
class Content:
    """The digest and size of an upload; ``key`` is set if it is already stored."""

    size: int
    etag: str
    md5: Callable[[], Awaitable[str]]
    key: str = ""


class Upload(Protocol):
    """A body that is being stored. It keeps at most ``hold_bytes`` in memory."""

    hold_bytes: int

    async def write(self, chunk: bytes) -> None:
        """Receive bytes."""

    async def finish(self) -> Staged:
        """Make the upload durable; raises `Retryable` if the store cannot."""

    async def abort(self) -> None:
        """Delete everything that is stored of it."""


class Stager(Protocol):
    """The storage of uploads."""

    def open(self, request_id: str, sender: Identity) -> Upload:
        """Begin an upload; nothing is sent before there is data."""


class S3Stager:
    """Stores in a bucket: with one PUT if the body fits into a part, else with a multipart upload, part by part."""

    def __init__(self, store: ObjectStore, bucket: str, url_expiry_seconds: int) -> None:
        self.store = store
        self.bucket = bucket
        self._url_expiry_seconds = url_expiry_seconds
        self._ending: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def ending(self, request_id: str) -> asyncio.Lock:
        """Serialise the ends of uploads with one id, because SeaweedFS checks and writes a key in two steps."""
        return self._ending.setdefault(request_id, asyncio.Lock())

    def open(self, request_id: str, sender: Identity) -> "S3Upload":
        """Begin an upload."""
        metadata = {"requestid": request_id, "account": sender.account_number, _OWNER: sender.org_id}
        return S3Upload(self, request_id, sender.org_id, metadata)

    def staged(self, key: str, size: int, etag: str, *, duplicate: bool) -> Staged:
        """Describe a stored object."""
        url = self.store.presign(self.bucket, key, expires_seconds=self._url_expiry_seconds)
        return Staged(url, size, self.bucket, key, etag, duplicate)

    async def twin(self, request_id: str, org_id: str, new: "Content") -> str | None:
        """Return the key under which the organisation stored the same bytes for this request id, or None."""
        async for other in self._uploads_of(request_id, org_id):
            if other.size != new.size or other.key == new.key:
                continue
            if other.etag == new.etag:
                return other.key
            # One was stored whole, the other in parts: their ETags differ in form, so their MD5s are compared.
            if "-" in new.etag + other.etag and await self.md5(other.key, other.etag) == await new.md5():
                return other.key
        return None

    async def md5(self, key: str, etag: str) -> str:
        """Return the MD5 of an object, computed from its bytes if its ETag is not one."""
        if "-" not in etag:
            return etag
        md5 = hashlib.md5(usedforsecurity=False)
        async with self.store.get(self.bucket, key) as chunks:
            async for chunk in chunks:
                md5.update(chunk)
        return md5.hexdigest()

    async def _uploads_of(self, request_id: str, org_id: str) -> AsyncIterator[ObjectInfo]:
        first = await retrying(RETRY, lambda: self.store.head(self.bucket, request_id))
        if first and owner_of(first) == org_id:
            yield first
        async for beside in self.store.list(self.bucket, sibling(request_id, org_id)):
            yield beside

    async def sweep(self) -> int:
        """Abort multipart uploads that a killed process left behind; return their number."""
        swept = 0
        now = utc_now().timestamp()
        for key, upload_id, started in await self.store.unfinished_multiparts(self.bucket):
            if now - started.timestamp() > _STALE_UPLOAD_SECONDS:
                await self.store.abort_multipart(self.bucket, key, upload_id)
                swept += 1
        return swept


def sibling(request_id: str, org_id: str, rest: str = "") -> str:
    """Return a separate key for an organisation's upload with this request id, ending in ``rest``."""
    return f"{request_id}{_SIBLING}{digest(org_id.encode())[:8]}{rest}"


def owner_of(stored: ObjectInfo) -> str:
    """Return the organisation that an upload was stored for."""
    return stored.metadata.get(_OWNER, "")


class S3Upload:
    """One body: stored in one request if it fits into ``hold_bytes``, else in parts of that size."""

    def __init__(self, stager: S3Stager, request_id: str, org_id: str, metadata: dict[str, str]) -> None:
        self._stager = stager
        self._store = stager.store
        self._bucket = stager.bucket
        self._request_id = request_id
        self._org_id = org_id
        self._metadata = metadata
        self._key = request_id
        self.hold_bytes = PART_BYTES
        self._buffer: list[bytes] = []
        self._buffered = 0
        self._crc32 = 0
        self._size = 0
        self._upload_id = ""
        self._parts: list[Part] = []

    async def write(self, chunk: bytes) -> None:
        """Receive bytes; wait while a full part is being stored."""
        while self._buffered + len(chunk) > self.hold_bytes:
            room = self.hold_bytes - self._buffered
            self._take(chunk[:room])
            chunk = chunk[room:]
            await self._put_part()
        self._take(chunk)

    async def finish(self) -> Staged:
        """Store the remaining bytes and complete the object."""
        async with self._stager.ending(self._request_id):
            staged = await self._finish()
        # Others can use its share of the memory from here on, although the upload lives until it is announced.
        self._buffer.clear()
        return staged

    async def _finish(self) -> Staged:
        if self._upload_id:
            return await self._finish_multipart()
        try:
            return await self._put(self._request_id)
        except ObjectExists:
            md5 = digest(self._buffer)

        async def own_md5() -> str:
            return md5

        for _ in range(2):
            content = Content(self._size, md5, own_md5)
            if twin := await self._stager.twin(self._request_id, self._org_id, content):
                return self._stager.staged(twin, self._size, md5, duplicate=True)
            with suppress(ObjectExists):
                return await self._put(sibling(self._request_id, self._org_id, md5[:16]))
        raise Retryable(f"both keys of the request id {self._request_id} are taken by other uploads")

    async def abort(self) -> None:
        """Delete the parts that are already stored."""
        self._buffer.clear()
        if upload_id := self._upload_id:
            self._upload_id = ""
            await retrying(RETRY, lambda: self._store.abort_multipart(self._bucket, self._key, upload_id))

    async def _put(self, key: str) -> Staged:
        stored = await retrying(
            RETRY,
            lambda: self._store.put(
                self._bucket,
                key,
                self._buffer,
                content_type=CONTENT_TYPE,
                metadata=self._metadata,
                if_absent=True,
                crc32=self._crc32,
            ),
        )
        return self._stager.staged(key, self._size, stored.etag, duplicate=False)

    def _take(self, chunk: bytes) -> None:
        # The checksum is cheapest while the bytes are in the processor's cache.
        self._crc32 = crc32(chunk, self._crc32)
        self._buffer.append(chunk)
        self._buffered += len(chunk)
        self._size += len(chunk)

    async def _put_part(self) -> None:
        if not self._upload_id:
            if await retrying(RETRY, lambda: self._store.head(self._bucket, self._request_id)):
                self._key = sibling(self._request_id, self._org_id, uuid.uuid4().hex[:16])
            self._upload_id = await retrying(
                RETRY,
                lambda: self._store.start_multipart(
                    self._bucket, self._key, content_type=CONTENT_TYPE, metadata=self._metadata
                ),
            )
        number = len(self._parts) + 1
        part = await retrying(
            RETRY,
            lambda: self._store.put_part(
                self._bucket, self._key, self._upload_id, number, self._buffer, crc32=self._crc32
            ),
        )
        self._parts.append(part)
        self._buffer = []
        self._buffered = 0
        self._crc32 = 0

    async def _finish_multipart(self) -> Staged:
        await self._put_part()
        etag = multipart_etag(self._parts)
        try:
            await retrying(
                RETRY,
                lambda: self._store.finish_multipart(
                    self._bucket, self._key, self._upload_id, self._parts, if_absent=True
                ),
            )
        except ObjectExists:
            # Either an earlier attempt of this upload succeeded, or another upload with this id was faster; the
            # sender's next attempt then finds the id taken and uses a separate key.
            stored = await retrying(RETRY, lambda: self._store.head(self._bucket, self._key))
            if stored is None or stored.etag != etag or owner_of(stored) != self._org_id:
                raise Retryable(f"another upload with the id {self._request_id} was stored first") from None
            await self.abort()
        self._upload_id = ""
        if self._key != self._request_id and (twin := await self._stored_twin(etag)):
            return self._stager.staged(twin, self._size, etag, duplicate=True)
        return self._stager.staged(self._key, self._size, etag, duplicate=False)

    async def _stored_twin(self, etag: str) -> str | None:
        """Delete one copy if the id was taken by the same bytes."""
        content = Content(self._size, etag, partial(self._stager.md5, self._key, etag), self._key)
        twin = await self._stager.twin(self._request_id, self._org_id, content)
        if twin:
            await retrying(RETRY, lambda: self._store.delete(self._bucket, self._key))
        return twin


class FileStager:
    """Stores in a directory and serves ``/download/<name>``; for installations without S3."""

    def __init__(self, directory: Path, base_url: str) -> None:
        self.directory = directory
        self._base_url = base_url.rstrip("/")

    def open(self, request_id: str, sender: Identity) -> "FileUpload":
        """Begin an upload."""
        return FileUpload(self, request_id, sender.org_id)

    def path(self, name: str) -> Path:
        """Return the file of a request id or separate key.

        A digest distinguishes names that differ only in punctuation.
        """
        plain = re.sub(r"[^A-Za-z0-9]", "", name)[:100]
        suffix = "" if plain == name else f"-{digest(name.encode())[:8]}"
        return self.directory / f"{plain}{suffix}.tar.gz"

    def url(self, name: str) -> str:
        """Return the URL for consumers."""
        return f"{self._base_url}/download/{name}"


class FileUpload:
    """One body, written to a temporary name and linked to its final name when complete."""

    def __init__(self, stager: FileStager, request_id: str, org_id: str) -> None:
        self._stager = stager
        self._request_id = request_id
        self._org_id = org_id
        self.hold_bytes = 0
        self._partial = stager.directory / f".{uuid.uuid4().hex}.partial"
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._file: IO[bytes] | None = None
        self._size = 0

    async def write(self, chunk: bytes) -> None:
        """Append bytes."""
        with self._translated():
            await asyncio.to_thread(self._write, chunk)

    async def finish(self) -> Staged:
        """Sync the file and link it to its name; an existing file with other bytes stays."""
        with self._translated():
            return await asyncio.to_thread(self._finish)

    async def abort(self) -> None:
        """Delete the partial file."""
        await asyncio.to_thread(self._discard)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise Retryable(f"cannot write {self._stager.directory}: {error.strerror}") from error

    def _write(self, chunk: bytes) -> None:
        if self._file is None:
            self._file = self._partial.open("xb")
        self._file.write(chunk)
        self._md5.update(chunk)
        self._size += len(chunk)

    def _finish(self) -> Staged:
        self._write(b"")
        if self._file:
            self._file.flush()
            os.fsync(self._file.fileno())
        etag = self._md5.hexdigest()
        own = sibling(self._request_id, self._org_id, etag[:16])
        _mark_owner(self._partial, self._org_id)
        try:
            for name in (self._request_id, own):
                path = self._stager.path(name)
                try:
                    path.hardlink_to(self._partial)
                    return Staged(self._stager.url(name), self._size, etag=etag)
                except FileExistsError:
                    known = name == own or _is_owner(path, self._org_id)
                    if known and filecmp.cmp(path, self._partial, shallow=False):
                        return Staged(self._stager.url(name), self._size, etag=etag, duplicate=True)
        finally:
            self._discard()
        raise Retryable(f"both names of the request id {self._request_id} are taken by other uploads")

    def _discard(self) -> None:
        if self._file:
            self._file.close()
        self._partial.unlink(missing_ok=True)


def _mark_owner(path: Path, org_id: str) -> None:
    # On a file system without extended attributes a repeated upload is stored a second time.
    with suppress(OSError):
        os.setxattr(path, _OWNER_ATTRIBUTE, org_id.encode())


def _is_owner(path: Path, org_id: str) -> bool:
    with suppress(OSError):
        return os.getxattr(path, _OWNER_ATTRIBUTE) == org_id.encode()
    return False
