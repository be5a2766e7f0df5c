"""An object store: the effects every service has on S3."""

import base64
import hashlib
import zlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Self

from aiobotocore.session import get_session
from botocore.exceptions import ClientError

from headrace.objects.endpoint import S3Endpoint
from headrace.objects.signing import quoted
from headrace.objects.wire import CONFIG, Body, ObjectNotFound, Wire, length, translated
from headrace.runtime.errors import Retryable

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client

PART_BYTES = 5 << 20  # the least S3 takes for a part that is not the last
OCTETS = "application/octet-stream"
_CONTROL_SECONDS = 10.0
# A slow disk under load still writes this much; a body's deadline grows with its size.
_BYTES_PER_SECOND = 1 << 20
_BUCKET_THERE = {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}


@dataclass(frozen=True)
class ObjectInfo:
    """What the store says of one object; ``etag`` without its quotes, ``metadata`` the ``x-amz-meta-*`` values."""

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
    """One S3 endpoint. Every method raises `Retryable` when the store is away, busy or misconfigured."""

    def __init__(self, endpoint: S3Endpoint, client: "S3Client", wire: Wire) -> None:
        self.endpoint = endpoint
        self._client = client
        self._wire = wire
        self._stack = AsyncExitStack()

    @classmethod
    async def open(cls, endpoint: S3Endpoint) -> Self:
        """Connect lazily; building the client costs 0.2 s, so that a process has one an endpoint."""
        async with AsyncExitStack() as stack:
            session = get_session()
            client = await stack.enter_async_context(
                session.create_client(
                    "s3",
                    endpoint_url=endpoint.url,
                    region_name=endpoint.region,
                    aws_access_key_id=endpoint.access_key,
                    aws_secret_access_key=endpoint.secret_key,
                    config=CONFIG,
                )
            )
            wire = Wire(endpoint)
            stack.push_async_callback(wire.close)
            store = cls(endpoint, client, wire)
            store._stack = stack.pop_all()
            return store

    async def close(self) -> None:
        """Close every connection."""
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
    ) -> ObjectInfo:
        """Store in one request; with ``if_absent`` an object that is there raises `ObjectExists`."""
        headers = {"content-type": content_type, **_metadata_headers(metadata)}
        if if_absent:
            headers["if-none-match"] = "*"
        etag = await self._put(bucket, key, body, headers)
        return ObjectInfo(key, length(body), etag, metadata or {}, content_type)

    async def put_part(self, bucket: str, key: str, upload_id: str, number: int, body: Body) -> "Part":
        """Store one part of a multipart upload, numbered from 1."""
        query = f"partNumber={number}&uploadId={quoted(upload_id)}"
        return Part(number, await self._put(bucket, key, body, {}, query), checksum(body))

    async def _put(
        self, bucket: str, key: str, body: Body, headers: Mapping[str, str], query: str = ""
    ) -> str:
        """PUT, and refuse an answer that does not confirm the very bytes sent; returns the ETag."""
        crc = checksum(body)
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
        # A server that does not echo checksums still names the MD5.
        if confirmed != crc if confirmed else etag != digest(body):
            raise Retryable(f"S3 stored other bytes than were sent for {bucket}/{key}: ETag {etag!r}")
        return etag

    async def start_multipart(
        self, bucket: str, key: str, *, content_type: str = OCTETS, metadata: Mapping[str, str] | None = None
    ) -> str:
        """Begin a multipart upload; returns its id."""
        with translated(f"start a multipart upload of {bucket}/{key}"):
            answer = await self._client.create_multipart_upload(
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
        """Make the parts one object; returns its ETag."""
        condition: dict[str, Any] = {"IfNoneMatch": "*"} if if_absent else {}
        with translated(f"finish the multipart upload of {bucket}/{key}"):
            answer = await self._client.complete_multipart_upload(
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
        return answer["ETag"].strip('"')

    async def abort_multipart(self, bucket: str, key: str, upload_id: str) -> None:
        """Drop an unfinished upload and its parts; one that is gone is fine."""
        with translated(f"abort the multipart upload of {bucket}/{key}"):
            try:
                await self._client.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id)
            except ClientError as error:
                if error.response["Error"]["Code"] != "NoSuchUpload":
                    raise

    async def unfinished_multiparts(self, bucket: str) -> list[tuple[str, str, datetime]]:
        """Key, upload id and start of uploads that were begun and not ended."""
        with translated(f"list the multipart uploads of {bucket}"):
            answer = await self._client.list_multipart_uploads(Bucket=bucket)
        return [(item["Key"], item["UploadId"], item["Initiated"]) for item in answer.get("Uploads", [])]

    async def head(self, bucket: str, key: str) -> ObjectInfo | None:
        """What is stored under the key, or None."""
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
        """Copy inside the endpoint, metadata included; no byte passes through this process."""
        with translated(f"copy {source_bucket}/{source_key} to {bucket}/{key}"):
            await self._client.copy_object(
                Bucket=bucket, Key=key, CopySource={"Bucket": source_bucket, "Key": source_key}
            )

    async def delete(self, bucket: str, key: str) -> None:
        """Remove an object; one that is not there is fine."""
        with translated(f"delete {bucket}/{key}"):
            await self._client.delete_object(Bucket=bucket, Key=key)

    async def list(self, bucket: str, prefix: str = "") -> AsyncIterator[ObjectInfo]:
        """Every object whose key starts with ``prefix``, in key order."""
        with translated(f"list {bucket}/{prefix}"):
            pages = self._client.get_paginator("list_objects_v2")
            async for page in pages.paginate(Bucket=bucket, Prefix=prefix):
                for item in page.get("Contents", []):
                    etag = item["ETag"].strip('"')
                    yield ObjectInfo(item["Key"], item["Size"], etag, {}, modified=item["LastModified"])

    def presign(self, bucket: str, key: str, *, expires_seconds: int) -> str:
        """A URL that reads the object without our keys; names the public endpoint where there is one."""
        return self._wire.presign(bucket, key, expires_seconds)

    async def ensure_bucket(self, bucket: str) -> None:
        """Create the bucket unless it is there."""
        with translated(f"create the bucket {bucket}"):
            try:
                await self._client.create_bucket(Bucket=bucket)
            except ClientError as error:
                if error.response["Error"]["Code"] not in _BUCKET_THERE:
                    raise

    async def has_bucket(self, bucket: str) -> bool:
        """Whether the bucket is there and ours to use."""
        with translated(f"look for the bucket {bucket}"):
            try:
                await self._client.head_bucket(Bucket=bucket)
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                    return False
                raise
        return True


def digest(body: Body) -> str:
    """MD5 in hex: what S3 gives as the ETag of an object stored in one request."""
    md5 = hashlib.md5(usedforsecurity=False)
    for chunk in (body,) if isinstance(body, bytes) else body:
        md5.update(chunk)
    return md5.hexdigest()


def multipart_etag(parts: Sequence[Part]) -> str:
    """The ETag of an object made of these parts."""
    return f"{digest([bytes.fromhex(part.etag) for part in parts])}-{len(parts)}"


def checksum(body: Body) -> str:
    """CRC-32 in base64: what S3 confirms when asked to. Five times cheaper than MD5, and verified by the store."""
    crc = 0
    for chunk in (body,) if isinstance(body, bytes) else body:
        crc = zlib.crc32(chunk, crc)
    return base64.b64encode(crc.to_bytes(4, "big")).decode()


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
