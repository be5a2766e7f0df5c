"""Handles an announcement.

Each step is recorded before the next begins (key claimed, object copied, message published), so the message can be
delivered again at any point: archiving continues where it stopped, at the same key.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from headrace.bus.delivery import Delivery
from headrace.bus.producer import Producer
from headrace.contracts.announcement import Announcement
from headrace.contracts.archive_synced import ArchiveMetadata, ArchiveSynced
from headrace.contracts.clusters import local_cluster_id
from headrace.contracts.identity import Identity
from headrace.contracts.message import utc_now
from headrace.contracts.topics import ARCHIVE_SYNCED
from headrace.objects.fetch import Fetcher, Location, sender_of
from headrace.objects.store import ObjectStore
from headrace.runtime import metrics
from headrace.runtime.errors import Rejected, Retryable
from headrace_services.archiver import clusters
from headrace_services.archiver.copier import copy
from headrace_services.archiver.store import Archive, ArchiveTable, Claim
from headrace_services.archiver.targets import Target
from headrace_services.archiver.templates import KeyTemplate, Series

# The most positions to skip because objects outside of the table occupy them (another archiver's, or older than the
# table).
_MAX_TRIES: Final = 100


@dataclass(frozen=True)
class Archiver:
    """Copies announced uploads into the layout and publishes their keys.

    ``stores`` are by endpoint; ``""`` is the platform's. ``lenient``: an archive that names no cluster is archived
    under its organisation's local cluster.
    """

    table: ArchiveTable
    fetcher: Fetcher
    targets: Mapping[str, Target]
    stores: Mapping[str, ObjectStore]
    producer: Producer
    now: Callable[[], datetime] = utc_now
    lenient: bool = False

    async def handle(self, message: Announcement, delivery: Delivery) -> str:
        """Archive one upload; return its place."""
        upload = self.fetcher.locate_upload(message)
        sender = sender_of(message)
        archive = await self.table.find(upload.name, message.etag or "")
        # An ingress that stores by request id alone lets one organisation overwrite another's upload.
        if archive is not None and archive.org_id != sender.org_id:
            raise Rejected("the object in the message was uploaded by another organisation")
        begun = archive is not None
        if begun:
            metrics.REDELIVERIES.labels("archiver").inc()
        archive = archive or await self._claim(message, sender, delivery, upload)
        if archive.copied_at is None:
            await self._copy(upload, archive, look_first=begun)
        if archive.published_at is None:
            await self._publish(upload, archive)
        return f"archived to {archive.bucket}/{archive.key}"

    async def _claim(
        self, message: Announcement, sender: Identity, delivery: Delivery, upload: Location
    ) -> Archive:
        service = delivery.headers.get("service") or message.service
        target = self.targets.get(service)
        if target is None:
            raise Rejected(
                f"the service {service!r} is missing in the archiver's table, so its archives are not stored"
            )
        if not upload.url and message.size == 0:
            raise Rejected("the upload is empty")
        draft = Claim(
            source=upload.name,
            etag=message.etag or "",
            request_id=message.request_id,
            org_id=sender.org_id,
            service=service,
            cluster_id=await self._cluster_id(message, sender, upload, service, target.template),
            endpoint=target.endpoint.url if target.endpoint else "",
            bucket=target.bucket,
            key="",
            size_bytes=message.size,
        )
        values = {
            **{name: getattr(draft, name) for name in ("cluster_id", "org_id", "service", "request_id")},
            "account": sender.account_number,
            "size": str(message.size),
            "original_path": upload.path,
        }
        return await self._take_key(draft, target.template.series(values))

    async def _cluster_id(
        self,
        message: Announcement,
        identity: Identity,
        upload: Location,
        service: str,
        template: KeyTemplate,
    ) -> str:
        """Return the archive's cluster id, ``""`` if it is unknown and the template does not need it."""
        known = clusters.announced(message, identity)
        if known is not None or not template.needs_cluster_id:
            return known or ""
        try:
            async with self.fetcher.open(upload) as chunks:
                return await clusters.inside(chunks, service)
        except clusters.NoCluster:
            if not self.lenient:
                raise
            return local_cluster_id(identity.org_id, of="an-archive-that-names-none")

    async def _take_key(self, draft: Claim, series: Series) -> Archive:
        """Claim the first free key of the series and record the claim."""
        for _ in range(_MAX_TRIES):
            now = self.now()
            first = series.first_position(now)
            series.key(first, now)  # a key that S3 does not allow is rejected before anything is claimed
            position = await self.table.take_position(draft, series.name, first)
            claim = replace(draft, key=series.key(position, now))
            # An object at the key is an archive, even if the table does not contain it.
            if await self.stores[claim.endpoint].head(claim.bucket, claim.key) is not None:
                continue
            # None: another delivery of this message was faster, or another series has the same key.
            archive = await self.table.claim(claim) or await self.table.find(claim.source, claim.etag)
            if archive is not None:
                return archive
        raise Retryable(f"no free key for {draft.source} in {_MAX_TRIES} tries")

    async def _copy(self, upload: Location, archive: Archive, *, look_first: bool) -> None:
        store = self.stores.get(archive.endpoint)
        if store is None:
            raise Retryable(
                f"archiving of {upload.name} started at {archive.endpoint}, which is no longer in "
                "ARCHIVER_ENDPOINTS"
            )
        # The key was free when it was claimed, and objects appear as a whole, so an existing object is this archive.
        if not look_first or await store.head(archive.bucket, archive.key) is None:
            await copy(self.fetcher, upload, store, archive.bucket, archive.key)
        await self.table.mark_copied(archive)

    async def _publish(self, upload: Location, archive: Archive) -> None:
        # Consumers need the cluster id, so an archive without one is not announced.
        if archive.cluster_id:
            synced = ArchiveSynced(
                path=archive.key,
                original_path=upload.path,
                metadata=ArchiveMetadata(cluster_id=archive.cluster_id, external_organization=archive.org_id),
                request_id=archive.request_id,
                bucket=archive.bucket,
                service=archive.service,
            )
            await self.producer.send(ARCHIVE_SYNCED, synced, key=archive.cluster_id)
        await self.table.mark_published(archive)
