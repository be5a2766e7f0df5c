"""Handles an announcement: stores objects first, then publishes the event, then the validation.

Keys are derived from the announcement alone, so a redelivery leads to the same objects and the same event.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, TypeVar

from headrace.archives.reader import Member, read_members
from headrace.bus.delivery import Delivery
from headrace.bus.producer import Producer
from headrace.contracts.announcement import Announcement
from headrace.contracts.message import Message
from headrace.contracts.ros import RosEvent, UploadValidation
from headrace.contracts.topics import ROS_EVENTS, UPLOAD_VALIDATION, Topic
from headrace.objects.fetch import Fetcher, Location
from headrace.runtime.errors import Permanent, Rejected, Retryable
from headrace_services.koku import manifest as manifests
from headrace_services.koku import metrics
from headrace_services.koku.columns import HEADER_BYTES, is_binary, ros_kind
from headrace_services.koku.manifest import Manifest
from headrace_services.koku.payload import Payload, Report, Sender
from headrace_services.koku.peeking import first_line, peeked
from headrace_services.koku.shipper import Shipper
from headrace_services.koku.sources import NoSource, Sources

M = TypeVar("M", bound=Message)

_GZIP: Final = b"\x1f\x8b"
# A message with this many names and URLs stays well below the topic's limit of 1 MiB.
_FILES_A_MESSAGE: Final = 250


@dataclass(frozen=True)
class Buckets:
    """The target buckets; without a ``cost`` bucket the files for cost reports are discarded."""

    ros: str
    cost: str


@dataclass(frozen=True)
class Koku:
    """Processes cost uploads."""

    fetcher: Fetcher
    sources: Sources
    shipper: Shipper
    producer: Producer
    buckets: Buckets
    url_seconds: int
    silent: bool = False
    lenient: bool = False

    async def handle(self, message: Announcement, delivery: Delivery) -> str:
        """Process one upload and return its outcome; the validation informs the storage broker."""
        try:
            note = await self._work(message, delivery)
        except NoSource:
            # Upstream's validation is "success" too; the reason is in the payload's status.
            await self._validate(message, "success")
            raise
        except Permanent:
            await self._validate(message, "failure")
            raise
        await self._validate(message, "success")
        return note

    async def _work(self, message: Announcement, delivery: Delivery) -> str:
        sender = Sender.of(message, delivery)
        upload = self.fetcher.locate_upload(message)
        async with self.fetcher.open(upload) as chunks:
            head, whole = await peeked(chunks, lambda head: len(head) >= len(_GZIP))
            if not head:
                raise Rejected("the upload is empty")
            if not head.startswith(_GZIP):
                return await self._ship_csv(whole, sender, upload)
            async with aclosing(read_members(whole)) as members:
                manifest, is_first = await _manifest_in(members)
                report = await self._report(manifest, sender, upload)
                if is_first:
                    await self._ship_members(members, report)
        if not is_first:
            # The manifest came late in the archive, so the files before it are read from the store again.
            async with self.fetcher.open(upload) as chunks, aclosing(read_members(chunks)) as members:
                await self._ship_members(members, report)
        return await self._publish(report)

    async def _report(self, manifest: Manifest, sender: Sender, upload: Location) -> Report:
        cluster_id = manifest.cluster_id
        source = await self.sources.of_cluster(
            cluster_id,
            sender.tenant,
            name=manifest.source_name or cluster_id,
            check=partial(self._check_whole, upload),
        )
        return Report(
            Payload(sender, cluster_id, source, sender.tag(upload), str(manifest.uuid), manifest.version),
            ros_files=manifest.ros_files,
            cost_files=manifest.cost_files,
        )

    async def _check_whole(self, upload: Location) -> None:
        """Read an upload to its end before a source is registered for it; raises `Rejected` if it is damaged."""
        async with self.fetcher.open(upload) as chunks:
            head, whole = await peeked(chunks, lambda head: len(head) >= len(_GZIP))
            if head.startswith(_GZIP):
                async with aclosing(read_members(whole)) as members:
                    async for _ in members:
                        pass
                return
            async for chunk in whole:
                if is_binary(chunk):
                    raise Rejected("the upload begins as a CSV but continues with bytes that are not text")

    async def _ship_csv(self, chunks: AsyncIterator[bytes], sender: Sender, upload: Location) -> str:
        """Store a CSV without a manifest."""
        head, whole = await peeked(chunks, first_line(HEADER_BYTES))
        kind = ros_kind(head)
        if kind is None:
            beginning = head[:40].decode("ascii", "backslashreplace")
            raise Rejected(
                f"the upload is neither a gzip-compressed tar nor a ROS CSV: it begins with '{beginning}'"
            )
        cluster_id = sender.cluster_id(lenient=self.lenient)
        source = await self.sources.of_cluster(
            cluster_id, sender.tenant, name=cluster_id, check=partial(self._check_whole, upload)
        )
        payload = Payload(sender, cluster_id, source, sender.tag(upload))
        name = f"ros-openshift-{kind}-{payload.tag}.0.csv"
        report = Report(payload, ros_files=[name], cost_files=[])
        await self._ship_ros(whole, name, report)
        return await self._publish(report)

    async def _ship_members(self, members: AsyncGenerator[Member, None], report: Report) -> None:
        """Store the listed files in the archive's order; reading to the end proves that the archive is complete."""
        ros, cost = set(report.ros_files), set(report.cost_files)
        async for member in members:
            if not member.is_file:
                continue
            if member.name in ros:
                await self._ship_ros(aiter(member), member.name, report)
            elif member.name in cost:
                await self._ship_other(aiter(member), member.name, report)

    async def _ship_other(self, chunks: AsyncIterator[bytes], name: str, report: Report) -> None:
        """Store a file of the cost report, or a ROS file if the manifest does not list ROS files separately."""
        if not report.ros_files:
            head, chunks = await peeked(chunks, first_line(HEADER_BYTES))
            if ros_kind(head):
                await self._ship_ros(chunks, name, report)
                return
        if self.buckets.cost:
            place = report.payload.place(self.buckets.cost)
            await self.shipper.ship(chunks, place, name, kind="cost")
        report.found_cost.add(name)

    async def _ship_ros(self, chunks: AsyncIterator[bytes], name: str, report: Report) -> None:
        place = report.payload.place(self.buckets.ros)
        report.ros_keys[name] = await self.shipper.ship(chunks, place, name, kind="ros")

    async def _publish(self, report: Report) -> str:
        for kind, names in report.absent.items():
            metrics.FILES.labels(kind, "absent").inc(len(names))
        if not self.silent:
            keys = report.ros_keys_in_order
            for start in range(0, len(keys), _FILES_A_MESSAGE):
                end = start + _FILES_A_MESSAGE
                event = self._event(report.payload, keys[start:end], more_follow=end < len(keys))
                # All events of a cluster have one key, so they are handled in order.
                await self._send(ROS_EVENTS, event, key=report.payload.cluster_id)
        return report.text(silent=self.silent, kept=bool(self.buckets.cost))

    def _event(self, payload: Payload, keys: list[str], *, more_follow: bool) -> RosEvent:
        store, bucket = self.shipper.store, self.buckets.ros
        return RosEvent(
            request_id=payload.sender.request_id,
            b64_identity=payload.sender.b64_identity,
            metadata=payload.ros_metadata,
            files=[store.presign(bucket, key, expires_seconds=self.url_seconds) for key in keys],
            object_keys=keys,
            more_follow=more_follow or None,
        )

    async def _validate(self, message: Announcement, validation: Literal["success", "failure"]) -> None:
        await self._send(
            UPLOAD_VALIDATION, UploadValidation(request_id=message.request_id, validation=validation)
        )

    async def _send(self, topic: Topic[M], message: M, *, key: str | None = None) -> None:
        try:
            await self.producer.send(topic, message, key=key)
        except Retryable:
            metrics.KAFKA_CONNECTION_ERRORS.inc()
            raise


async def _manifest_in(members: AsyncGenerator[Member, None]) -> tuple[Manifest, bool]:
    """Return the manifest, and whether no file that it could list precedes it."""
    is_first = True
    async for member in members:
        if member.name == manifests.NAME and member.is_file:
            return Manifest.parse(await member.read(manifests.MAX_BYTES)), is_first
        if member.is_file and "/" not in member.name and not manifests.is_apple_double(member.name):
            is_first = False
    raise Rejected(f"the archive has no {manifests.NAME} at its top")
