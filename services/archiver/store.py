"""What has been archived, and how far each archive has come."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from headrace.database.pool import Database, Record

_TAKE: Final = """
insert into series (endpoint, bucket, name, position) values ($1, $2, $3, $4)
on conflict (endpoint, bucket, name)
do update set position = greatest(series.position + 1, excluded.position)
returning position
"""

_CLAIM: Final = """
insert into archives (source, etag, request_id, org_id, service, cluster_id, endpoint, bucket, key, size_bytes)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
on conflict do nothing
returning *
"""


@dataclass(frozen=True)
class Claim:
    """An upload and the key it is to have; ``endpoint`` is ``""`` for the platform's own S3."""

    source: str
    etag: str
    request_id: str
    org_id: str
    service: str
    cluster_id: str
    endpoint: str
    bucket: str
    key: str
    size_bytes: int


@dataclass(frozen=True)
class Archive(Claim):
    """A claim on record. ``published_at`` is set when nothing is left to do."""

    id: int
    claimed_at: datetime
    copied_at: datetime | None
    published_at: datetime | None

    @classmethod
    def of(cls, row: Record) -> Self:
        """Read a row."""
        return cls(**dict(row))


class ArchiveTable:
    """The archiver's tables."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, source: str, etag: str) -> Archive | None:
        """The archive of an upload."""
        row = await self._database.fetch_row(
            "select * from archives where source = $1 and etag = $2", source, etag
        )
        return Archive.of(row) if row else None

    async def of_request(self, request_id: str) -> list[Archive]:
        """Every archive of a request id, in the order they were claimed."""
        rows = await self._database.fetch(
            "select * from archives where request_id = $1 order by id", request_id
        )
        return [Archive.of(row) for row in rows]

    async def take_position(self, endpoint: str, bucket: str, series: str, first: int) -> int:
        """The next free position of a series, at least ``first``; nobody else will be given it."""
        position: int = await self._database.fetch_value(_TAKE, endpoint, bucket, series, first)
        return position

    async def claim(self, claim: Claim) -> Archive | None:
        """Claim a key for an upload; None when the key, or the upload, is another's already."""
        row = await self._database.fetch_row(
            _CLAIM,
            claim.source,
            claim.etag,
            claim.request_id,
            claim.org_id,
            claim.service,
            claim.cluster_id,
            claim.endpoint,
            claim.bucket,
            claim.key,
            claim.size_bytes,
        )
        return Archive.of(row) if row else None

    async def mark_copied(self, archive: Archive) -> None:
        """The object is there."""
        await self._mark("copied_at", archive)

    async def mark_published(self, archive: Archive) -> None:
        """Whoever waits for it has been told."""
        await self._mark("published_at", archive)

    async def _mark(self, column: str, archive: Archive) -> None:
        await self._database.execute(
            f"update archives set {column} = coalesce({column}, now()) where id = $1",  # noqa: S608 -- two names
            archive.id,
        )
