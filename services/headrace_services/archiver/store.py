"""Stores which uploads are archived, and the progress of each archive."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from headrace.contracts.clusters import owned_name
from headrace.database.owners import foreign
from headrace.database.pool import Database, Record

# Moving the position of a series is the first effect on other archives, so the cluster is claimed in the same
# statement.
_TAKE: Final = """
with claimed as materialized (select case $5 when '' then true else claim_cluster($5, $6, $7) end as ours),
    taken as (
        insert into series (endpoint, bucket, name, position) select $1, $2, $3, $4 from claimed where ours
        on conflict (endpoint, bucket, name)
        do update set position = greatest(series.position + 1, excluded.position)
        returning position
    )
select position from claimed left join taken on true
"""

_CLAIM: Final = """
insert into archives (source, etag, request_id, org_id, service, cluster_id, endpoint, bucket, key, size_bytes)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
on conflict do nothing
returning *
"""


@dataclass(frozen=True)
class Claim:
    """An upload and its intended key; ``endpoint`` is ``""`` for the platform's own S3."""

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
    """A recorded claim. ``published_at`` is set when archiving is complete."""

    id: int
    claimed_at: datetime
    copied_at: datetime | None
    published_at: datetime | None

    @classmethod
    def of(cls, row: Record) -> Self:
        """Return the archive of a row."""
        return cls(**dict(row))


class ArchiveTable:
    """The archiver's tables."""

    def __init__(self, database: Database, *, follow: bool = False) -> None:
        """``follow``: a cluster belongs to the organisation that archived for it last."""
        self._database = database
        self._follow = follow

    async def find(self, source: str, etag: str) -> Archive | None:
        """Return the archive of an upload, or None."""
        row = await self._database.fetch_row(
            "select * from archives where source = $1 and etag = $2", source, etag
        )
        return Archive.of(row) if row else None

    async def of_request(self, request_id: str) -> list[Archive]:
        """Return every archive of a request id, in the order of their claims."""
        rows = await self._database.fetch(
            "select * from archives where request_id = $1 order by id", request_id
        )
        return [Archive.of(row) for row in rows]

    async def take_position(self, claim: Claim, series: str, first: int) -> int:
        """Return the next free position of a series, at least ``first``; each position is given once.

        Raises `ForeignCluster` if the claim's cluster belongs to another organisation.
        """
        position: int | None = await self._database.fetch_value(
            _TAKE,
            claim.endpoint,
            claim.bucket,
            series,
            first,
            owned_name(claim.cluster_id),
            claim.org_id,
            self._follow,
        )
        if position is None:
            raise foreign("archiver", claim.cluster_id, claim.org_id)
        return position

    async def claim(self, claim: Claim) -> Archive | None:
        """Claim a key for an upload; None if the key or the upload is already claimed by another."""
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
        """Record that the object is copied."""
        await self._mark("copied_at", archive)

    async def mark_published(self, archive: Archive) -> None:
        """Record that the message is published."""
        await self._mark("published_at", archive)

    async def _mark(self, column: str, archive: Archive) -> None:
        await self._database.execute(
            f"update archives set {column} = coalesce({column}, now()) where id = $1",  # noqa: S608 -- two names
            archive.id,
        )
