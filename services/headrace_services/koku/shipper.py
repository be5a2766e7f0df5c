"""Stores an upload's files so that a redelivery finds the same keys and bytes.

A key contains the day, not the hour, and operators reuse a name in every upload of a day. The first upload of the day
takes the plain key; a later one with other bytes is stored beside it (``<name>~<upload>.csv``), so that a late reader
still reads the file that its event named. Upstream overwrites.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final
from weakref import WeakValueDictionary

from headrace.objects.errors import ObjectExists
from headrace.objects.store import ObjectStore
from headrace.objects.streaming import store_stream
from headrace.runtime import metrics as runtime_metrics
from headrace.runtime.errors import Retryable
from headrace_services.koku import metrics

_CONTENT_TYPE: Final = "text/csv"
_UPLOAD: Final = "upload"
_MANIFEST_ID: Final = "manifestid"  # names of metadata are case-insensitive


def tag_of(name: str) -> str:
    """Return a short text for keys that distinguishes an upload from others of its cluster and day."""
    return hashlib.sha256(name.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Shipper:
    """Stores files, one at a time per key, because some S3 servers cannot check and write in one step."""

    store: ObjectStore
    _storing: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    async def ship(self, chunks: AsyncIterator[bytes], place: "Place", name: str, *, kind: str) -> str:
        """Store one file unless the same upload already stored it; return its key."""
        plain = f"{place.folder}/{name}"
        async with self._storing.setdefault(f"{place.bucket}/{plain}", asyncio.Lock()):
            for key in (plain, _beside(plain, place.tag)):
                found = await self.store.head(place.bucket, key)
                if found is None:
                    await self._store(chunks, place, key)
                    metrics.FILES.labels(kind, "stored").inc()
                    return key
                if found.metadata.get(_UPLOAD) == place.tag:
                    runtime_metrics.REDELIVERIES.labels("koku").inc()
                    metrics.FILES.labels(kind, "found").inc()
                    return key
        raise Retryable(f"both keys for {plain} are used by other uploads")

    async def _store(self, chunks: AsyncIterator[bytes], place: "Place", key: str) -> None:
        metadata = {_UPLOAD: place.tag}
        if place.manifest_id:
            metadata[_MANIFEST_ID] = place.manifest_id
        try:
            await store_stream(
                chunks,
                self.store,
                place.bucket,
                key,
                content_type=_CONTENT_TYPE,
                metadata=metadata,
                if_absent=True,
            )
        except ObjectExists as error:
            # The stream is consumed; the next attempt finds the other object.
            raise Retryable(f"{key} was stored by another process in the meantime") from error


@dataclass(frozen=True)
class Place:
    """The place of an upload's files: ``tag`` identifies the upload, ``manifest_id`` its manifest, if any."""

    bucket: str
    folder: str
    tag: str
    manifest_id: str = ""


def _beside(key: str, tag: str) -> str:
    path = PurePosixPath(key)
    return str(path.with_name(f"{path.stem}~{tag}{path.suffix}"))
