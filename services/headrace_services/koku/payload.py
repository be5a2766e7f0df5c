"""One upload: its sender, its cluster, and the outcome of its files. No I/O."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Final

from headrace.bus.delivery import Delivery
from headrace.contracts.announcement import Announcement, named_cluster
from headrace.contracts.clusters import local_cluster_id
from headrace.contracts.identity import Identity, Internal, encode_identity
from headrace.contracts.ros import RosMetadata
from headrace.objects.fetch import Location, sender_of
from headrace.runtime.errors import Rejected
from headrace_services.koku.manifest import checked_cluster_id
from headrace_services.koku.shipper import Place, tag_of
from headrace_services.koku.sources import Source, Tenant

# The organisation becomes a folder's name.
_ORG_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_NO_ACCOUNT: Final = "no_account"
_SHOWN_NAMES: Final = 5


@dataclass(frozen=True)
class Sender:
    """The sender, content and day of an announcement."""

    message: Announcement
    identity: Identity
    day: date

    @classmethod
    def of(cls, message: Announcement, delivery: Delivery) -> "Sender":
        """Read the announcement; raises `Rejected` if it names no organisation, or an ambiguous one."""
        if not message.org_id:
            raise Rejected("the announcement has no org_id")
        if not _ORG_ID.fullmatch(message.org_id):
            raise Rejected(f"the org_id {message.org_id[:64]!r} cannot be used as a folder name")
        return cls(message, sender_of(message), _day(message.timestamp, delivery))

    @property
    def request_id(self) -> str:
        """The request id of the upload."""
        return self.message.request_id

    @property
    def tenant(self) -> Tenant:
        """The organisation in the form of the Sources API."""
        return Tenant(self.message.org_id, self.identity.account_number)

    @property
    def account(self) -> str:
        """The account number in the event, which requires one."""
        return self.identity.account_number or _NO_ACCOUNT

    @property
    def b64_identity(self) -> str:
        """The identity header of the upload, else one that names the same organisation."""
        if self.message.b64_identity:
            return self.message.b64_identity
        org_id = self.message.org_id
        return encode_identity(
            Identity(
                account_number=self.identity.account_number,
                org_id=org_id,
                type="User",
                internal=Internal(org_id=org_id),
            )
        )

    def tag(self, upload: Location) -> str:
        """Return a text that identifies the upload's content within a day: its ETag if known, else its location."""
        return tag_of(self.message.etag or upload.name)

    def cluster_id(self, *, lenient: bool) -> str:
        """The cluster of a CSV without a manifest; raises `Rejected` if nothing names it."""
        named = named_cluster(self.identity, custom_metadata=self.message.metadata.custom_metadata)
        if named is None and lenient:
            return local_cluster_id(self.message.org_id, of="bare-csv")
        if named is None:
            raise Rejected(
                "the cluster of this CSV is unknown: no system.cluster_id in the identity and no "
                "cluster_id in the custom metadata"
            )
        try:
            return checked_cluster_id(named.cluster_id)
        except ValueError as error:
            raise Rejected(f"the cluster id {error}") from None


@dataclass(frozen=True)
class Payload:
    """An upload whose source is known. ``manifest_id`` and ``version`` are empty without a manifest."""

    sender: Sender
    cluster_id: str
    source: Source
    tag: str
    manifest_id: str = ""
    version: str | None = None

    def place(self, bucket: str) -> Place:
        """Return the folder, under upstream's name.

        The day is the announcement's, so that a redelivery uses the same folder.
        """
        folder = (
            f"org{self.sender.message.org_id}/source={self.source.uid}/date={self.sender.day.isoformat()}"
        )
        return Place(bucket, folder, self.tag, self.manifest_id)

    @property
    def ros_metadata(self) -> RosMetadata:
        """Return the metadata of the event."""
        return RosMetadata(
            account=self.sender.account,
            org_id=self.sender.message.org_id,
            source_id=self.source.id,
            provider_uuid=self.source.uid,
            cluster_uuid=self.cluster_id,
            operator_version=self.version,
            cluster_alias=self.source.name,
        )


@dataclass
class Report:
    """The listed files and their outcomes."""

    payload: Payload
    ros_files: list[str]
    cost_files: list[str]
    ros_keys: dict[str, str] = field(default_factory=dict)
    found_cost: set[str] = field(default_factory=set)

    @property
    def ros_keys_in_order(self) -> list[str]:
        """Keys in the manifest's order."""
        names = (*self.ros_files, *self.cost_files)
        return [self.ros_keys[name] for name in names if name in self.ros_keys]

    @property
    def absent(self) -> dict[str, list[str]]:
        """The listed files that are missing in the archive, by kind."""
        found = self.ros_keys.keys() | self.found_cost
        return {
            "ros": [name for name in self.ros_files if name not in found],
            "cost": [name for name in self.cost_files if name not in found],
        }

    def text(self, *, silent: bool, kept: bool) -> str:
        """Return the text of the payload's status."""
        payload = self.payload
        told = "stored but not announced (DISABLE_ROS_MSG)" if silent else "announced"
        parts = [
            f"{_counted(len(self.ros_keys), 'ROS file')} of cluster {payload.cluster_id}"
            f" (source {payload.source.id}) {told}"
            if self.ros_keys
            else f"no ROS file of cluster {payload.cluster_id} to announce"
            + ("" if self.ros_files else ": the manifest lists none")
        ]
        if self.found_cost and kept:
            parts.append(f"{_counted(len(self.found_cost), 'cost file')} kept")
        if missing := [name for names in self.absent.values() for name in names]:
            parts.append(f"listed but not in the archive: {_shown(missing)}")
        return "; ".join(parts)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _shown(names: Sequence[str]) -> str:
    rest = len(names) - _SHOWN_NAMES
    return ", ".join(names[:_SHOWN_NAMES]) + (f" and {rest} more" if rest > 0 else "")


def _day(timestamp: str, delivery: Delivery) -> date:
    """Return the UTC day of the announcement, by its own timestamp or the broker's."""
    try:
        moment = datetime.fromisoformat(timestamp)
        return (moment.astimezone(UTC) if moment.tzinfo else moment).date()
    except (ValueError, OverflowError):
        return delivery.timestamp.astimezone(UTC).date()
