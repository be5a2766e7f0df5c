"""Downloads a whole archive with a limit on its size."""

from dataclasses import dataclass

from headrace.objects.fetch import Fetcher, Location
from headrace.runtime.errors import Rejected
from headrace_services.rules_engine.messages import Upload


@dataclass(frozen=True)
class Downloader:
    """Reads by bucket and key with Headrace's keys if the announcement has them, else by URL."""

    fetcher: Fetcher
    max_bytes: int

    async def download(self, upload: Upload) -> bytes:
        """Return the archive; raises `Rejected` if it is missing, too large, empty, or where Headrace may not read."""
        archive = await read_whole(self.fetcher, self.fetcher.locate_upload(upload), self.max_bytes)
        if not archive:
            raise Rejected("Empty input archive")
        return archive


async def read_whole(fetcher: Fetcher, location: Location, max_bytes: int) -> bytes:
    """Return the whole content; raises `Rejected` at the first byte beyond the limit."""
    pieces: list[bytes] = []
    size_bytes = 0
    async with fetcher.open(location) as chunks:
        async for chunk in chunks:
            size_bytes += len(chunk)
            if size_bytes > max_bytes:
                raise Rejected(f"The archive is too big. Skipping: more than {max_bytes} bytes")
            pieces.append(chunk)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
