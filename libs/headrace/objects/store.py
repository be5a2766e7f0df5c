"""An object store: the operations of services on S3."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import reduce
from typing import TYPE_CHECKING, Any, Self

from isal import isal_zlib

from headrace.objects.endpoint import S3Endpoint
from headrace.objects.errors import ObjectExists, ObjectNotFound, UploadNotFound, failure
from headrace.objects.signing import quoted
from headrace.objects.wire import (
    Body,
    Wire,
    length,
    object_path,
    parse_xml,
    pieces,
)
from headrace.runtime import faultpoints
from headrace.runtime.errors import Retryable

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client

PART_BYTES = 5 << 20  # the smallest size that S3 accepts for a part before the last
OCTETS = "application/octet-stream"
_CONTROL_SECONDS = 10.0
_COPY_SECONDS = 60.0
# A slow disk under load still writes at this rate; the deadline of a body grows with its size.
_BYTES_PER_SECOND = 1 << 20


@dataclass(frozen=True)
class ObjectInfo:
    """The store's metadata of one object; ``etag`` has no quotes, ``metadata`` are the ``x-amz-meta-*`` values."""

    key: str
    size: int
    etag: str
    metadata: Mapping[str, str]
    content_type: str = OCTETS
    modified: datetime | None = None


@dataclass(frozen=True)
class Part:
    """A stored part of a multipart upload."""

    number: int
    etag: str
    crc32: str


class ObjectStore:
    """One S3 endpoint. Every method raises `Retryable` if the store is away, busy or misconfigured."""

    def __init__(self, endpoint: S3Endpoint) -> None:
        self.endpoint = endpoint
        self._wire = Wire(endpoint)
        self._stack = AsyncExitStack()
        self._stack.push_async_callback(self._wire.close)
        self._client: S3Client | None = None
        self._opening = asyncio.Lock()

    @classmethod
    async def open(cls, endpoint: S3Endpoint) -> Self:
        """Create a store; the first request connects."""
        return cls(endpoint)

    @asynccontextmanager
    async def _control(self, what: str) -> AsyncIterator["S3Client"]:
        """Return the full client, created at its first use; ``what`` names the operation in errors."""
        async with self._opening:
            if self._client is None:
                # Loading the client takes most of a quarter of a second, so a thread does it.
                opening = await asyncio.to_thread(_full_client, self.endpoint)
                self._client = await self._stack.enter_async_context(opening)
        from headrace.objects import control

        with control.translated(what):
            yield self._client

    async def close(self) -> None:
        """Close all connections."""
        await self._stack.aclose()

    async def put(
        self,
        bucket: str,
        key: str,
        body: Body,
        *,
        content_type: str = OCTETS,
        metadata: Mapping[str, str] | None = None,
        if_absent: bool = False,
        crc32: int | None = None,
    ) -> ObjectInfo:
        """Store an object in one request; with ``if_absent`` an existing object raises `ObjectExists`.

        ``crc32`` is the body's CRC-32 if it was computed while the body arrived.
        """
        headers = {"content-type": content_type, **_metadata_headers(metadata)}
        if if_absent:
            headers["if-none-match"] = "*"
        etag = await self._put(bucket, key, body, headers, checksum(body, crc32))
        await _stored()
        return ObjectInfo(key, length(body), etag, metadata or {}, content_type)

    async def put_part(
        self, bucket: str, key: str, upload_id: str, number: int, body: Body, *, crc32: int | None = None
    ) -> "Part":
        """Store one part of a multipart upload, numbered from 1."""
        query = f"partNumber={number}&uploadId={quoted(upload_id)}"
        crc = checksum(body, crc32)
        return Part(number, await self._put(bucket, key, body, {}, crc, query), crc)

    async def _put(
        self, bucket: str, key: str, body: Body, headers: Mapping[str, str], crc: str, query: str = ""
    ) -> str:
        """Send a PUT and refuse an answer that does not confirm exactly the sent bytes; return the ETag."""
        async with self._wire.request(
            "PUT",
            bucket,
            key,
            headers={**headers, "x-amz-checksum-crc32": crc},
            query=query,
            body=body,
            timeout_seconds=_deadline_seconds(length(body)),
        ) as response:
            etag = response.headers.get("ETag", "").strip('"')
            confirmed = response.headers.get("x-amz-checksum-crc32")
        # A server that does not return checksums still returns the MD5 as ETag.
        if confirmed != crc if confirmed else etag != digest(body):
            raise Retryable(f"S3 stored other bytes than were sent for {bucket}/{key}: ETag {etag!r}")
        return etag

    async def start_multipart(
        self, bucket: str, key: str, *, content_type: str = OCTETS, metadata: Mapping[str, str] | None = None
    ) -> str:
        """Begin a multipart upload; return its id."""
        async with self._control(f"start a multipart upload of {bucket}/{key}") as client:
            answer = await client.create_multipart_upload(
                Bucket=bucket,
                Key=key,
                ContentType=content_type,
                Metadata=dict(metadata or {}),
                ChecksumAlgorithm="CRC32",
            )
        return answer["UploadId"]

    async def finish_multipart(
        self, bucket: str, key: str, upload_id: str, parts: Sequence[Part], *, if_absent: bool = False
    ) -> str:
        """Combine the parts into one object; return its ETag."""
        condition: dict[str, Any] = {"IfNoneMatch": "*"} if if_absent else {}
        async with self._control(f"finish the multipart upload of {bucket}/{key}") as client:
            answer = await client.complete_multipart_upload(
                Bucket=bucket,
                Key=key,
                UploadId=upload_id,
                MultipartUpload={
                    "Parts": [
                        {"ETag": f'"{part.etag}"', "PartNumber": part.number, "ChecksumCRC32": part.crc32}
                        for part in parts
                    ]
                },
                **condition,
            )
        await _stored()
        return answer["ETag"].strip('"')

    async def abort_multipart(self, bucket: str, key: str, upload_id: str) -> None:
        """Delete an unfinished upload with its parts; it may be deleted already."""
        with suppress(UploadNotFound):
            async with self._control(f"abort the multipart upload of {bucket}/{key}") as client:
                await client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id)

    async def unfinished_multiparts(self, bucket: str) -> list[tuple[str, str, datetime]]:
        """Return key, upload id and start of unfinished uploads (the first thousand)."""
        async with self._wire.request(
            "GET", bucket, "", query="uploads=", timeout_seconds=_CONTROL_SECONDS
        ) as response:
            uploads = parse_xml(await response.read()).iterfind("{*}Upload")
            return [
                (
                    upload.findtext("{*}Key", ""),
                    upload.findtext("{*}UploadId", ""),
                    datetime.fromisoformat(upload.findtext("{*}Initiated", "")),
                )
                for upload in uploads
            ]

    async def head(self, bucket: str, key: str) -> ObjectInfo | None:
        """Return the metadata of the object under a key, or None."""
        try:
            async with self._wire.request("HEAD", bucket, key, timeout_seconds=_CONTROL_SECONDS) as response:
                return _info(key, response.headers)
        except ObjectNotFound:
            return None

    @asynccontextmanager
    async def get(
        self, bucket: str, key: str, *, timeout_seconds: float = 300.0
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Stream an object's bytes: ``async with store.get(…) as chunks: async for chunk in chunks``."""
        async with self._wire.request("GET", bucket, key, timeout_seconds=timeout_seconds) as response:
            yield response.content.iter_chunked(1 << 18)

    async def copy(self, source_bucket: str, source_key: str, bucket: str, key: str) -> None:
        """Copy within the endpoint, including metadata; no byte passes through this process."""
        source = {"x-amz-copy-source": object_path(source_bucket, source_key)}
        async with self._wire.request(
            "PUT", bucket, key, headers=source, timeout_seconds=_COPY_SECONDS
        ) as response:
            answer = parse_xml(await response.read())
            # S3 reports a copy that fails midway in the body of an answer 200.
            if (code := answer.findtext("{*}Code")) is not None:
                raise failure(code, response.status, f"copy {source_bucket}/{source_key} to {bucket}/{key}")
        await _stored()

    async def delete(self, bucket: str, key: str) -> None:
        """Delete an object; it may be missing."""
        async with self._wire.request("DELETE", bucket, key, timeout_seconds=_CONTROL_SECONDS):
            pass

    async def list(self, bucket: str, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        """Yield every object whose key starts with ``prefix``, in key order."""
        async with self._control(f"list {bucket}/{prefix}") as client:
            pages = client.get_paginator("list_objects_v2")
            async for page in pages.paginate(Bucket=bucket, Prefix=prefix):
                for item in page.get("Contents", []):
                    etag = item["ETag"].strip('"')
                    yield ObjectInfo(item["Key"], item["Size"], etag, {}, modified=item["LastModified"])

    def presign(self, bucket: str, key: str, *, expires_seconds: int) -> str:
        """Return a URL that reads the object without keys; it uses the endpoint's public URL if there is one."""
        return self._wire.presign(bucket, key, expires_seconds)

    async def ensure_bucket(self, bucket: str) -> None:
        """Create the bucket if it is missing."""
        with suppress(ObjectExists):
            async with self._wire.request("PUT", bucket, "", timeout_seconds=_CONTROL_SECONDS):
                pass

    async def has_bucket(self, bucket: str) -> bool:
        """Return whether the bucket exists and may be used with Headrace's keys."""
        try:
            async with self._wire.request("HEAD", bucket, "", timeout_seconds=_CONTROL_SECONDS):
                return True
        except ObjectNotFound:
            return False


def _full_client(endpoint: S3Endpoint) -> "AbstractAsyncContextManager[S3Client]":
    from headrace.objects import control

    return control.client(endpoint)


async def _stored() -> None:
    if faultpoints.armed is not None:
        await faultpoints.armed.reach("after_store", Retryable)


def digest(body: Body) -> str:
    """Return the MD5 in hex, which is S3's ETag of an object that was stored in one request."""
    md5 = hashlib.md5(usedforsecurity=False)
    for chunk in pieces(body):
        md5.update(chunk)
    return md5.hexdigest()


def multipart_etag(parts: Sequence[Part]) -> str:
    """Return the ETag of an object that consists of these parts."""
    return f"{digest([bytes.fromhex(part.etag) for part in parts])}-{len(parts)}"


def crc32(chunk: bytes, before: int = 0) -> int:
    """Return the CRC-32 of the preceding bytes, given as their CRC-32, and ``chunk``."""
    return isal_zlib.crc32(chunk, before)


def checksum(body: Body, known: int | None = None) -> str:
    """Return a CRC-32 in base64, which S3 verifies and confirms; it costs far less than MD5."""
    value = reduce(lambda before, chunk: crc32(chunk, before), pieces(body), 0) if known is None else known
    return base64.b64encode(value.to_bytes(4, "big")).decode()


def _deadline_seconds(size_bytes: int) -> float:
    return _CONTROL_SECONDS / 2 + size_bytes / _BYTES_PER_SECOND


def _metadata_headers(metadata: Mapping[str, str] | None) -> dict[str, str]:
    return {f"x-amz-meta-{name}": value for name, value in (metadata or {}).items()}


def _info(key: str, headers: Mapping[str, str]) -> ObjectInfo:
    lowered = {name.lower(): value for name, value in headers.items()}
    prefix = "x-amz-meta-"
    modified = lowered.get("last-modified")
    return ObjectInfo(
        key=key,
        size=int(lowered.get("content-length", "0")),
        etag=lowered.get("etag", "").strip('"'),
        metadata={name.removeprefix(prefix): v for name, v in lowered.items() if name.startswith(prefix)},
        content_type=lowered.get("content-type", OCTETS),
        modified=parsedate_to_datetime(modified) if modified else None,
    )
