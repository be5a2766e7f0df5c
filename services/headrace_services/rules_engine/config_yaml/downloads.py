"""Downloads archives by the rules of a config.yaml."""

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from headrace.objects.fetch import Fetcher, Location, stored
from headrace.runtime.errors import Rejected
from headrace_services.rules_engine.config_yaml.adapters import OwnDownloader, read_bounded
from headrace_services.rules_engine.config_yaml.plan import Download, DownloadForm
from headrace_services.rules_engine.downloading import read_whole
from headrace_services.rules_engine.messages import Upload

# The URLs that the pipeline treats as presigned URLs of AWS.
_PRESIGNED: Final = re.compile(
    r"https://(?:[^/?#@:]+\.s3\.amazonaws\.com|s3\.[^/?#@:.]+\.amazonaws\.com/[^/?#]+)/[0-9a-zA-Z/-]+"
    r"\?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=[^/]+"
)
_INVALID: Final = "Invalid URL format"


@dataclass(frozen=True)
class PipelineDownloads:
    """Finds and reads uploads by the plan's rules.

    ``own_store``: the platform's S3 is configured, so a bucket and key in an announcement, or a URL of that S3, is read
    with Headrace's keys, however old the URL is.
    """

    plan: Download
    fetcher: Fetcher
    max_bytes: int
    own_store: bool
    own: OwnDownloader | None = None

    async def download(self, upload: Upload) -> bytes:
        """Return the archive; raises `Rejected` if it is missing, too large, empty, or where Headrace may not read."""
        archive = await self._bytes(upload)
        if not archive:
            raise Rejected("Empty input archive")
        return archive

    async def _bytes(self, upload: Upload) -> bytes:
        if self.own is not None:
            return await self.own.fetch(upload.url, self.max_bytes)
        if self.plan.form is DownloadForm.FILES:
            return await asyncio.to_thread(_local, upload.url, self.max_bytes)
        return await read_whole(self.fetcher, self._location(upload), self.max_bytes)

    def _location(self, upload: Upload) -> Location:
        if self.plan.form is DownloadForm.OBJECTS:
            return self._object(upload.url)
        if self.own_store:
            try:
                return self.fetcher.locate_upload(upload)
            except Rejected:
                # The URL is not of the platform's S3 and is checked like any other.
                pass
        return self._url(upload)

    def _object(self, path: str) -> Location:
        key = path.removeprefix("s3://").lstrip("/")
        bucket = self.plan.bucket
        if not bucket:
            bucket, _, key = key.partition("/")
        if not bucket or not key:
            raise Rejected(f"{_INVALID}: the path does not name an object")
        return stored(bucket, key)

    def _url(self, upload: Upload) -> Location:
        if self.plan.form is DownloadForm.PRESIGNED and not _PRESIGNED.fullmatch(upload.url):
            raise Rejected(
                f"{_INVALID}: not a presigned URL of AWS; set the downloader's allow_unsafe_links to "
                "accept others"
            )
        try:
            parts = urlsplit(upload.url)
            host = parts.hostname
            parts.port  # noqa: B018 -- raises when it is none
        except ValueError:
            raise Rejected(_INVALID) from None
        if parts.scheme not in {"http", "https"} or not host:
            raise Rejected(f"{_INVALID}: expected http:// or https:// and a host")
        # The query of a presigned URL is a credential, and names are logged.
        name = f"{upload.request_id or ''} {parts.scheme}://{host}{parts.path}".strip()
        return Location(name=name, path=parts.path, url=upload.url)


def _local(source: str, max_bytes: int) -> bytes:
    path = Path(source.removeprefix("file://"))
    try:
        return read_bounded(path, max_bytes)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Rejected(f"{path} cannot be read: {reason}") from None
