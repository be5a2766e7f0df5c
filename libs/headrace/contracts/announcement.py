"""The announcement of an upload, as ingress publishes it."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol

from pydantic import ConfigDict, Field, SerializeAsAny

from headrace.contracts.identity import (
    Contradiction,
    Identity,
    IdentityError,
    check_same,
    decode_identity,
)
from headrace.contracts.message import Element, Message, Part, Unjudged

ZERO_TIME = "0001-01-01T00:00:00Z"
_SHOWN_CHARACTERS: Final = 64


class UploadMetadata(Part):
    """What the sender said about the host; empty fields are left out on the wire, except these two."""

    model_config = ConfigDict(extra="ignore")

    ip_addresses: list[Element] | None = None
    account: str | None = None
    org_id: str | None = None
    insights_id: str | None = None
    machine_id: str | None = None
    subscription_manager_id: str | None = None
    mac_addresses: list[Element] | None = None
    fqdn: str | None = None
    bios_uuid: str | None = None
    display_name: str | None = None
    ansible_host: str | None = None
    custom_metadata: dict[str, Element] | None = None
    reporter: str = ""
    stale_timestamp: str = ZERO_TIME
    queue_key: str | None = None


class Announcement(Message):
    """One stored upload. Fields up to ``timestamp`` are upstream's, in upstream's order.

    ``bucket``, ``object_key`` and ``etag`` are Headrace's: a consumer with credentials can read the object by
    name long after the presigned ``url`` has expired.
    """

    account: str = ""
    category: str = ""
    content_type: str = ""
    metadata: SerializeAsAny[UploadMetadata] = Field(default_factory=UploadMetadata)
    request_id: str
    principal: str = ""
    org_id: str = ""
    service: str = ""
    size: int = Field(default=0, ge=0, description="bytes of the file part")
    url: str
    id: str | None = None
    b64_identity: str = ""
    timestamp: str = ""
    bucket: str | None = None
    object_key: str | None = None
    etag: str | None = None

    def sender(self) -> Identity:
        """Return the sender according to the identity and the fields beside it; raises `Contradiction` if these differ.

        An ingress that checks no identities passes on whatever it receives; an unreadable identity is
        ignored.
        """
        try:
            identity = decode_identity(self.b64_identity, type_required=False, org_required=False)
        except Contradiction:
            raise
        except IdentityError:
            identity = Identity()
        return agreed(identity, org_id=self.org_id, account=self.account)

    @property
    def cluster_name(self) -> Any:
        """The cluster as some senders name it in a field that upstream's message does not have."""
        return (self.model_extra or {}).get("cluster_name")


class Announced(Protocol):
    """Where an uploaded object is according to its announcement: bucket and key, or only a URL."""

    @property
    def request_id(self) -> str | None:
        """The request id, or None if the sender gave none."""

    @property
    def url(self) -> str:
        """The presigned URL, for consumers without credentials for the bucket."""

    @property
    def bucket(self) -> str | None:
        """The bucket, or None if only the URL is known."""

    @property
    def object_key(self) -> str | None:
        """The key in the bucket, or None if only the URL is known."""


class NamedCluster(NamedTuple):
    """A cluster id that is not validated yet, and the field that contains it, for the text of a refusal."""

    cluster_id: str
    source: str


def agreed(identity: Identity, *, org_id: str, account: str = "") -> Identity:
    """Return the identity completed by the fields beside it; raises `Contradiction` if they differ.

    A field supplies what the identity leaves out. The rules engine passes no account number: upstream takes it from the
    identity alone.
    """
    check_same("org_id", identity.org_id, org_id)
    check_same("account_number", identity.account_number, account)
    found = {"org_id": identity.org_id or org_id, "account_number": identity.account_number or account}
    # Most identities are complete and need no copy.
    if found == {"org_id": identity.org_id, "account_number": identity.account_number}:
        return identity
    return identity.model_copy(update=found)


def named_cluster(
    identity: Identity, *, cluster_name: Any = None, custom_metadata: Mapping[str, str] | None = None
) -> NamedCluster | None:
    """Return the cluster that an announcement names; None if only the upload itself can name it.

    ``cluster_name`` is passed by services whose upstream reads that field (archiver, rules engine), ``custom_metadata``
    by koku, whose upstream reads only that.
    """
    found = (
        NamedCluster(str(cluster_name or ""), "the message's cluster_name"),
        NamedCluster(identity.cluster_id, "the identity"),
        NamedCluster((custom_metadata or {}).get("cluster_id", ""), "the custom metadata"),
    )
    return next((named for named in found if named.cluster_id), None)


class UnjudgedAnnouncement(Unjudged):
    """An announcement before validation.

    Senders other than our ingress write the account as a number or omit the request id. The reasons use the wording of
    ccx-messaging.
    """

    @classmethod
    def no_json(cls, error: Exception) -> str:
        """The reason why bytes cannot be decoded."""
        return f"Unable to decode received message: {error}"

    @classmethod
    def no_object(cls, document: Any) -> str:
        """Return the reason why a document is not an announcement."""
        return f"Invalid input message JSON schema: {repr(document)[:_SHOWN_CHARACTERS]} is not an object"
