"""The announcement of an upload, as ingress publishes it."""

from typing import Any, Final

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
    """What the sender said about the host; empty fields are left out on the wire, these two never."""

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

    ``bucket``, ``object_key`` and ``etag`` are ours: a consumer with credentials reads the object by name, long
    after the presigned ``url`` has expired.
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
        """Who sent it, by the identity and by the fields beside it; raises `Contradiction` where these differ.

        An ingress that checks no identities passes on whatever came: what says nothing is left out.
        """
        try:
            identity = decode_identity(self.b64_identity, type_required=False, org_required=False)
        except Contradiction:
            raise
        except IdentityError:
            identity = Identity()
        check_same("org_id", identity.org_id, self.org_id)
        check_same("account_number", identity.account_number, self.account)
        org_id = identity.org_id or self.org_id
        return identity.model_copy(
            update={"org_id": org_id, "account_number": identity.account_number or self.account}
        )


class UnjudgedAnnouncement(Unjudged):
    """An announcement as it came, also from other senders than our ingress: account a number, no request id.

    Its faults are worded as ccx-messaging words them.
    """

    @classmethod
    def no_json(cls, error: Exception) -> str:
        """The reason why bytes cannot be decoded."""
        return f"Unable to decode received message: {error}"

    @classmethod
    def no_object(cls, document: Any) -> str:
        """The reason why a document is no message."""
        return f"Invalid input message JSON schema: {repr(document)[:_SHOWN_CHARACTERS]} is no object"
