"""Staging: a body becomes an object while it comes in.

An object's key is the request id. When the id is taken, the same bytes of the same organisation are recognised by their
ETag and stored once; other bytes, and other organisations' bytes, get a key of their own beside it
(``<request id>~<digest>``, which begins with one of the organisation), so that nothing is ever overwritten, and nobody
is told of another's upload.
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
# Of a stored object's metadata: whose it is.
_OWNER: Final = "org"
_OWNER_ATTRIBUTE: Final = f"user.headrace.{_OWNER}"
# Eight tries pass a store that throttles three requests in ten all but once in 15,000 times, at fewer than 1.5
# requests each.
RETRY: Final = RetryPolicy(attempts=8, budget_seconds=6.0, base_seconds=0.1, cap_seconds=2.0)
_STALE_UPLOAD_SECONDS: Final = 3600.0


@dataclass(frozen=True)
class Staged:
    """Where an upload is now. ``duplicate``: its bytes were there before."""

    url: str
    size: int
    bucket: str | None = None
    key: str | None = None
    etag: str | None = None
    duplicate: bool = False


@dataclass(frozen=True)
class Content:
    """What an upload holds; ``key`` where it is stored already."""

    size: int
    etag: str
    md5: Callable[[], Awaitable[str]]
    key: str = ""


class Upload(Protocol):
    """A body on its way into the store. It keeps at most ``hold_bytes`` in memory."""

    hold_bytes: int

    async def write(self, chunk: bytes) -> None:
        """Take some bytes."""

    async def finish(self) -> Staged:
        """Make it durable; raises `Retryable` when the store cannot."""

    async def abort(self) -> None:
        """Leave nothing behind."""


class Stager(Protocol):
    """Where uploads are put."""

    def open(self, request_id: str, sender: Identity) -> Upload:
        """Begin one; nothing is sent before there is something to send."""


class S3Stager:
    """Stages in a bucket: one PUT when the body fits a part, else a multipart upload, a part at a time."""

    def __init__(self, store: ObjectStore, bucket: str, url_expiry_seconds: int) -> None:
        self.store = store
        self.bucket = bucket
        self._url_expiry_seconds = url_expiry_seconds
        self._ending: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def ending(self, request_id: str) -> asyncio.Lock:
        """Held while an upload of the id ends: SeaweedFS looks whether a key is free, then writes, not in one step."""
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
        """The key under which the organisation has stored the same bytes for this request id already."""
        async for other in self._uploads_of(request_id, org_id):
            if other.size != new.size or other.key == new.key:
                continue
            if other.etag == new.etag:
                return other.key
            # Stored whole the one, in parts the other: their ETags cannot be compared, their bytes can.
            if "-" in new.etag + other.etag and await self.md5(other.key, other.etag) == await new.md5():
                return other.key
        return None

    async def md5(self, key: str, etag: str) -> str:
        """MD5 of an object, read back where its ETag is something else."""
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
        """Abort multipart uploads that a killed process left; returns how many."""
        swept = 0
        now = utc_now().timestamp()
        for key, upload_id, started in await self.store.unfinished_multiparts(self.bucket):
            if now - started.timestamp() > _STALE_UPLOAD_SECONDS:
                await self.store.abort_multipart(self.bucket, key, upload_id)
                swept += 1
        return swept


def sibling(request_id: str, org_id: str, rest: str = "") -> str:
    """A key beside the request id's own, for an organisation: what ends in ``rest``."""
    return f"{request_id}{_SIBLING}{digest(org_id.encode())[:8]}{rest}"


def owner_of(stored: ObjectInfo) -> str:
    """The organisation that an upload was stored for."""
    return stored.metadata.get(_OWNER, "")


class S3Upload:
    """One body: whole in one request if it fits ``hold_bytes``, else in parts of that size."""

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
        """Take some bytes; waits while a full part is being stored."""
        while self._buffered + len(chunk) > self.hold_bytes:
            room = self.hold_bytes - self._buffered
            self._take(chunk[:room])
            chunk = chunk[room:]
            await self._put_part()
        self._take(chunk)

    async def finish(self) -> Staged:
        """Store what is left and make the object whole."""
        async with self._stager.ending(self._request_id):
            staged = await self._finish()
        # Its share of the memory is free for others from here on, though the upload lives until it is announced.
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
        """Drop the parts already stored."""
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
        # Now, while the bytes are in the processor's cache.
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
            # Our own first try was heard after all, or another upload of this id was quicker: then its sender's
            # next try finds the id taken, and a key of its own.
            stored = await retrying(RETRY, lambda: self._store.head(self._bucket, self._key))
            if stored is None or stored.etag != etag or owner_of(stored) != self._org_id:
                raise Retryable(f"another upload with the id {self._request_id} was stored first") from None
            await self.abort()
        self._upload_id = ""
        if self._key != self._request_id and (twin := await self._stored_twin(etag)):
            return self._stager.staged(twin, self._size, etag, duplicate=True)
        return self._stager.staged(self._key, self._size, etag, duplicate=False)

    async def _stored_twin(self, etag: str) -> str | None:
        """The id was taken when we began: if it was by the same bytes, one copy goes."""
        content = Content(self._size, etag, partial(self._stager.md5, self._key, etag), self._key)
        twin = await self._stager.twin(self._request_id, self._org_id, content)
        if twin:
            await retrying(RETRY, lambda: self._store.delete(self._bucket, self._key))
        return twin


class FileStager:
    """Stages in a directory and serves ``/download/<name>``; for installations without S3."""

    def __init__(self, directory: Path, base_url: str) -> None:
        self.directory = directory
        self._base_url = base_url.rstrip("/")

    def open(self, request_id: str, sender: Identity) -> "FileUpload":
        """Begin an upload."""
        return FileUpload(self, request_id, sender.org_id)

    def path(self, name: str) -> Path:
        """The file of a request id (or sibling name); a digest keeps names apart that differ in punctuation."""
        plain = re.sub(r"[^A-Za-z0-9]", "", name)[:100]
        suffix = "" if plain == name else f"-{digest(name.encode())[:8]}"
        return self.directory / f"{plain}{suffix}.tar.gz"

    def url(self, name: str) -> str:
        """Where consumers get it."""
        return f"{self._base_url}/download/{name}"


class FileUpload:
    """One body, written beside its final name and linked to it when whole."""

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
        """Append some bytes."""
        with self._translated():
            await asyncio.to_thread(self._write, chunk)

    async def finish(self) -> Staged:
        """Sync and give it its name; a name that is taken by other bytes stays theirs."""
        with self._translated():
            return await asyncio.to_thread(self._finish)

    async def abort(self) -> None:
        """Remove the partial file."""
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
    # A file system without attributes: then a repetition is stored once more, beside it.
    with suppress(OSError):
        os.setxattr(path, _OWNER_ATTRIBUTE, org_id.encode())


def _is_owner(path: Path, org_id: str) -> bool:
    with suppress(OSError):
        return os.getxattr(path, _OWNER_ATTRIBUTE) == org_id.encode()
    return False
