"""Reading a whole archive, bounded while it comes."""

from dataclasses import dataclass

from headrace.objects.fetch import Fetcher, stored
from headrace.runtime.errors import Rejected
from services.rules_engine.messages import Upload


@dataclass(frozen=True)
class Downloader:
    """Reads by bucket and key with our own keys where the announcement has them, else by URL."""

    fetcher: Fetcher
    max_bytes: int

    async def download(self, upload: Upload) -> bytes:
        """The archive; raises `Rejected` when it is not there, too big, empty or nowhere we may read."""
        bucket, key = upload.attributes.get("bucket"), upload.attributes.get("object_key")
        if isinstance(bucket, str) and isinstance(key, str) and bucket and key:
            location = stored(bucket, key)
        else:
            location = self.fetcher.locate(upload.url, request_id=upload.request_id or "")
        pieces: list[bytes] = []
        size_bytes = 0
        async with self.fetcher.open(location) as chunks:
            async for chunk in chunks:
                size_bytes += len(chunk)
                if size_bytes > self.max_bytes:
                    raise Rejected(f"The archive is too big: more than {self.max_bytes} bytes")
                pieces.append(chunk)
        if not size_bytes:
            raise Rejected("Empty input archive")
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
