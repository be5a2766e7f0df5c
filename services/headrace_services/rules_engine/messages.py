"""The validated content of an announcement that rules and reports need. No I/O.

The texts of faults are upstream's.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from headrace.contracts.announcement import UnjudgedAnnouncement, agreed, named_cluster
from headrace.contracts.identity import (
    Contradiction,
    Identity,
    IdentityError,
    decode_identity,
    identity_document,
)
from headrace.runtime.errors import Poison, Rejected

_UINT32: Final = 0xFFFF_FFFF
_SHOWN_CHARACTERS: Final = 64
_STRINGS_OF_USER: Final = ("email", "first_name", "last_name", "locale", "username")
_BOOLEANS_OF_USER: Final = ("is_active", "is_internal", "is_org_admin")
_DIGITS: Final = re.compile(r"\d{1,10}", re.ASCII)
_WRONG_SCHEMA: Final = "Invalid input message JSON schema"
_WRONG_IDENTITY: Final = "Base64 encoded identity could not be parsed"
_WRONG_ORG: Final = "Error extracting the OrgID"


@dataclass(frozen=True)
class Upload:
    """The validated content of an announcement."""

    attributes: dict[str, Any]
    """The attributes as they were sent."""
    identity: dict[str, Any]
    """The decoded document, with ``identity`` as a key."""
    org_id: int
    account: int | None
    cluster_name: str | None
    taken_at: datetime
    gathered_at: datetime

    @property
    def request_id(self) -> str | None:
        """The request id, or None if the sender gave none."""
        return self._text("request_id")

    @property
    def url(self) -> str:
        """The presigned URL, for consumers without credentials for the bucket."""
        return str(self.attributes["url"])

    @property
    def bucket(self) -> str | None:
        """The bucket, or None if only the URL is known."""
        return self._text("bucket")

    @property
    def object_key(self) -> str | None:
        """The key in the bucket, or None if only the URL is known."""
        return self._text("object_key")

    @property
    def timestamp(self) -> str:
        """The time of the announcement, as it was sent."""
        return str(self.attributes["timestamp"])

    @property
    def seeds(self) -> dict[str, Any]:
        """The values that rules get beside the archive."""
        year, month, day, hour, minute, second = self.taken_at.strftime("%Y %m %d %H %M %S").split()
        return {
            "org_id": str(self.org_id),
            "cluster_id": self.cluster_name,
            "original_path": self.url,
            "year": year,
            "month": month,
            "day": day,
            "hour": hour,
            "minute": minute,
            "second": second,
            "time": hour + minute + second,
        }

    def _text(self, name: str) -> str | None:
        value = self.attributes.get(name)
        return value if isinstance(value, str) else None


def upload_of(message: UnjudgedAnnouncement) -> Upload:
    """Validate an announcement; raises `Poison` or `Rejected` with the reason."""
    if message.problem:
        raise Poison(message.problem)
    attributes = message.attributes
    for name in ("url", "b64_identity", "timestamp"):
        if not isinstance(attributes.get(name), str):
            wrong = "is required" if attributes.get(name) is None else "is not text"
            raise Poison(f"{_WRONG_SCHEMA}: {name!r} {wrong}")
    document, identity = _identity(attributes)
    taken_at = _moment(attributes["timestamp"])
    if taken_at is None:
        raise Poison(
            f"{_WRONG_SCHEMA}: the timestamp {_shown(attributes['timestamp'])} is not an ISO 8601 time"
        )
    named = named_cluster(identity, cluster_name=attributes.get("cluster_name"))
    return Upload(
        attributes=attributes,
        identity=document,
        org_id=_org_id(identity.org_id),
        account=_account(identity.account_number),
        cluster_name=named.cluster_id if named else None,
        taken_at=taken_at,
        gathered_at=_gathered_at(attributes.get("metadata")) or taken_at,
    )


def _identity(attributes: dict[str, Any]) -> tuple[dict[str, Any], Identity]:
    """Return the identity document for rules, and the sender that it names."""
    header = attributes["b64_identity"]
    try:
        document = identity_document(header)
        if fault := _fault_of_identity(document):
            raise Poison(f"{_WRONG_SCHEMA}: {fault}")
        org_id = (document["identity"].get("internal") or {}).get("org_id") or document["identity"].get(
            "org_id"
        )
        if not isinstance(org_id, str):
            raise Poison(
                f"{_WRONG_ORG}: {'the identity has none' if org_id is None else _not_a_number(org_id)}"
            )
        # Senders other than our ingress write numbers.
        beside = str(attributes.get("org_id") or "")
        identity = agreed(decode_identity(header, type_required=False), org_id=beside)
    except Contradiction as error:
        raise Rejected(f"{_WRONG_IDENTITY}: {error}") from None
    except IdentityError as error:
        raise Poison(f"{_WRONG_IDENTITY}: {error}") from None
    return document, identity


def _fault_of_identity(document: Any) -> str:
    identity = document.get("identity") if isinstance(document, dict) else None
    if not isinstance(identity, dict):
        return "the identity contains no object 'identity'"
    internal = identity.get("internal")
    # Our ingress also accepts an org id beside `internal`.
    if not isinstance(internal, dict) and not (internal is None and "org_id" in identity):
        return "'identity.internal' is required"
    auth_time = (internal or {}).get("auth_time")
    if isinstance(auth_time, bool) or not isinstance(auth_time, float | int | None):
        return "'identity.internal.auth_time' is not a number"
    user = identity.get("user") or {}
    if not isinstance(user, dict):
        return "'identity.user' is not an object"
    expected: list[tuple[dict[str, Any], str, type, tuple[str, ...]]] = [
        (identity, "identity", str, ("account_number", "auth_type", "type")),
        (user, "identity.user", str, _STRINGS_OF_USER),
        (user, "identity.user", bool, _BOOLEANS_OF_USER),
    ]
    for part, path, kind, names in expected:
        for name in names:
            if part.get(name) is not None and not isinstance(part[name], kind):
                return f"'{path}.{name}' is not {'text' if kind is str else 'a boolean'}"
    return ""


def _org_id(text: str) -> int:
    if not _DIGITS.fullmatch(text) or int(text) > _UINT32:
        raise Poison(f"{_WRONG_ORG}: {_not_a_number(text)}")
    # Two spellings of one number would be two organisations as texts and one as a number, so that reports would mix.
    if str(int(text)) != text:
        raise Rejected(f"{_WRONG_ORG}: {_shown(text)} has leading zeros, which a number cannot keep")
    return int(text)


def _not_a_number(value: Any) -> str:
    return f"{_shown(value)} is not a number from 0 to {_UINT32}"


def _account(text: str) -> int | None:
    if not _DIGITS.fullmatch(text):
        return None
    return int(text) if int(text) <= _UINT32 else None


def _gathered_at(metadata: Any) -> datetime | None:
    """Return the time of gathering, from its place in clients' messages or in the documented schema, or None."""
    custom = metadata.get("custom_metadata") if isinstance(metadata, dict) else None
    if not isinstance(custom, dict):
        return None
    deeper = custom.get("ccx_metadata")
    for place in (custom, deeper if isinstance(deeper, dict) else {}):
        text = place.get("gathering_time")
        if isinstance(text, str) and (found := _moment(text)) is not None:
            return found
    return None


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _shown(value: Any) -> str:
    return repr(value)[:_SHOWN_CHARACTERS]
