"""Reading a whole archive, bounded while it comes."""

from dataclasses import dataclass

from headrace.objects.fetch import Fetcher, Location
from headrace.runtime.errors import Rejected
from headrace_services.rules_engine.messages import Upload


@dataclass(frozen=True)
class Downloader:
    """Reads by bucket and key with our own keys where the announcement has them, else by URL."""

    fetcher: Fetcher
    max_bytes: int

    async def download(self, upload: Upload) -> bytes:
        """The archive; raises `Rejected` when it is not there, too big, empty or nowhere we may read."""
        archive = await read_whole(self.fetcher, self.fetcher.locate_upload(upload), self.max_bytes)
        if not archive:
            raise Rejected("Empty input archive")
        return archive


async def read_whole(fetcher: Fetcher, location: Location, max_bytes: int) -> bytes:
    """What is there; raises `Rejected` at the first byte too many."""
    pieces: list[bytes] = []
    size_bytes = 0
    async with fetcher.open(location) as chunks:
        async for chunk in chunks:
            size_bytes += len(chunk)
            if size_bytes > max_bytes:
                raise Rejected(f"The archive is too big. Skipping: more than {max_bytes} bytes")
            pieces.append(chunk)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
