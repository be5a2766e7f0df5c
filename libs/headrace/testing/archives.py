"""What the archiver keeps of an upload."""

import io
import tarfile
from dataclasses import dataclass, field

from headrace.objects.endpoint import S3Endpoint
from headrace.objects.store import ObjectStore
from headrace.runtime.settings import EngineSettings, load
from headrace.testing.places import Places


@dataclass(frozen=True)
class ArchivedUpload:
    """An archived upload: where it is, whose it is, and its bytes."""

    bucket: str
    key: str
    cluster_id: str
    content: bytes = field(repr=False)

    def members(self) -> dict[str, bytes]:
        """Return the files in the archive by their names; raises `tarfile.TarError` if it cannot be read."""
        with tarfile.open(fileobj=io.BytesIO(self.content)) as archive:
            opened = {member.name: archive.extractfile(member) for member in archive if member.isfile()}
            return {name: file.read() for name, file in opened.items() if file is not None}


async def fetched(places: Places, bucket: str, key: str) -> bytes:
    """Return an object of the stack's S3."""
    store = await ObjectStore.open(S3Endpoint.of(load(EngineSettings, s3=places.s3)))
    try:
        async with store.get(bucket, key) as chunks:
            return b"".join([chunk async for chunk in chunks])
    finally:
        await store.close()
