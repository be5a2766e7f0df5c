"""The ``x-rh-identity`` header: base64 of a JSON document that identifies the sender.

Source: RedHatInsights/platform-go-middlewares v2, identity; its order of checks and its texts are kept.

All services decode identities here, so that no two services find different organisations in the same header; an
ambiguous identity is refused. Organisations are compared as text: ``"01"`` is not ``"1"``.
"""

import base64
import binascii
import json
import re
from functools import lru_cache
from typing import Any, Final

import orjson
from pydantic import ConfigDict, Field, ValidationError

from headrace.contracts.message import Element, FoldedPart

ASSOCIATE: Final = "Associate"
# The organisation of everything in the local shape that names no organisation; it is the one in the ROS document's
# identity. All services use it, so that a cluster that is sent with a token and later with an identity stays with one
# organisation.
LOCAL_ORG_ID: Final = "12345"
WITHOUT_ORG: Final = frozenset({ASSOCIATE, "X509"})

# Organisations and accounts become parts of headers, object keys and rows; headers lose blanks at their ends.
NAME_PATTERN: Final = r"[!-~](?:[ -~]{0,253}[!-~])?"
_NAME: Final = re.compile(NAME_PATTERN)
# The URL-safe alphabet of RFC 4648, which clients of the aggregator may use.
_TO_STANDARD: Final = str.maketrans("-_", "+/")


class IdentityError(ValueError):
    """The header is not acceptable; the text is the answer to the sender."""


class MissingIdentity(IdentityError):
    """The header is missing."""


class NotBase64(IdentityError):
    """The text cannot be decoded."""


class NotJson(IdentityError):
    """The decoded text is not JSON, or not an identity."""


class BadOrganisation(IdentityError):
    """The identity names no organisation, or an invalid one."""


class Contradiction(IdentityError):
    """The identity is ambiguous: two readers could find two different senders in it."""


class _Part(FoldedPart):
    """A part of the identity; unknown keys are ignored."""

    model_config = ConfigDict(extra="ignore", strict=True)


class Internal(_Part):
    """The ``internal`` part."""

    org_id: str = ""
    account_number: str = ""
    auth_time: float | None = None
    cross_access: bool | None = None


class User(_Part):
    """The ``user`` part."""

    username: str = ""
    email: str = ""
    first_name: str = ""
    last_name: str = ""
    is_active: bool = False
    is_org_admin: bool = False
    is_internal: bool = False
    locale: str = ""
    user_id: str = ""


class System(_Part):
    """The ``system`` part: a host or a cluster."""

    cn: str = ""
    cert_type: str = ""
    cluster_id: str = ""


class Associate(_Part):
    """The ``associate`` part: an employee."""

    Role: list[Element] = Field(default_factory=list)
    email: str = ""
    givenName: str = ""  # noqa: N815 -- the wire's name
    rhatUUID: str = ""  # noqa: N815 -- the wire's name
    surname: str = ""


class X509(_Part):
    """The ``x509`` part."""

    subject_dn: str = ""
    issuer_dn: str = ""


class ServiceAccount(_Part):
    """The ``service_account`` part."""

    client_id: str = ""
    username: str = ""
    user_id: str = ""


class Identity(_Part):
    """The sender. ``org_id`` is filled from ``internal.org_id`` if only that was given."""

    account_number: str = ""
    employee_account_number: str = ""
    org_id: str = ""
    type: str = ""
    auth_type: str = ""
    internal: Internal = Internal()
    user: User | None = None
    system: System | None = None
    associate: Associate | None = None
    x509: X509 | None = None
    service_account: ServiceAccount | None = None

    @property
    def cluster_id(self) -> str:
        """The sending cluster's id, or ``""``."""
        return self.system.cluster_id if self.system else ""

    @property
    def is_associate(self) -> bool:
        """Whether the sender is an employee; other types are not, whatever their ``associate`` part says."""
        return self.type == ASSOCIATE or (not self.type and self.associate is not None)

    @property
    def roles(self) -> frozenset[str]:
        """The roles of an associate."""
        return frozenset(self.associate.Role) if self.is_associate and self.associate else frozenset()


class _Envelope(_Part):
    identity: Identity = Identity()


ANONYMOUS: Final = Identity()


# A sender's header is the same in each of its uploads.
@lru_cache(maxsize=1024)
def decode_identity(
    header: str | None, *, type_required: bool = True, org_required: bool = True, url_alphabet: bool = False
) -> Identity:
    """Decode and check the header; raises `IdentityError` with upstream's text.

    ``type_required=False`` accepts an identity without ``type``, as the ROS document's curl command sends it,
    ``org_required=False`` one that has only an account number, ``url_alphabet=True`` base64 of either
    alphabet, with or without its padding.
    """
    document = identity_document(header, url_alphabet=url_alphabet)
    try:
        identity = _Envelope.model_validate(document).identity
    except ValidationError as error:
        raise NotJson(f"x-rh-identity header does not contain valid JSON: {_reason(error)}") from None
    identity = _of_one_sender(identity)
    if identity.type in WITHOUT_ORG and not identity.account_number:
        return identity
    if not identity.org_id and (org_required or not identity.account_number):
        raise BadOrganisation("x-rh-identity header has an invalid or missing org_id")
    if type_required and not identity.type:
        raise IdentityError("x-rh-identity header is missing type")
    return identity


def identity_document(header: str | None, *, url_alphabet: bool = False) -> Any:
    """Return the header's JSON unchanged; raises `IdentityError`."""
    if not header:
        raise MissingIdentity("missing x-rh-identity header")
    if url_alphabet:
        header = header.translate(_TO_STANDARD).rstrip("=")
        header += "=" * (-len(header) % 4)
    try:
        text = base64.b64decode(header, validate=True)
    except (binascii.Error, ValueError):
        raise NotBase64("unable to b64 decode x-rh-identity header") from None
    try:
        # json.loads accepts lone surrogates and NaN, which fail as soon as the document is written again. orjson
        # refuses them.
        orjson.loads(text)
        return json.loads(text, object_pairs_hook=_object)
    except Contradiction:
        raise
    except (ValueError, RecursionError) as error:
        raise NotJson(f"x-rh-identity header does not contain valid JSON: {error}") from None


def check_same(name: str, *values: str) -> None:
    """Raise `Contradiction` if the non-empty values differ; ``name`` is their name in the error."""
    if len(set(values) - {""}) > 1:
        raise Contradiction(f"x-rh-identity header has more than one {name}, and they differ")


def encode_identity(identity: Identity) -> str:
    """Return the header's value for an identity."""
    body = {"identity": identity.model_dump(exclude_none=True, exclude_defaults=True)}
    return base64.b64encode(orjson.dumps(body)).decode()


def _of_one_sender(identity: Identity) -> Identity:
    """Return the identity with the organisation and account number from any of their places."""
    internal = identity.internal
    check_same("org_id", identity.org_id, internal.org_id)
    check_same("account_number", identity.account_number, internal.account_number)
    names = {
        "org_id": identity.org_id or internal.org_id,
        "account_number": identity.account_number or internal.account_number,
    }
    for name, value in names.items():
        if value and not _NAME.fullmatch(value):
            raise BadOrganisation(
                f"x-rh-identity header has an invalid or missing {name}: expected 1 to 255 printable ASCII "
                "characters without leading or trailing blanks"
            )
    return identity.model_copy(update=names)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Readers differ in which of two equal keys they use, and in whether they ignore case.
    if len({name.lower() for name, _ in pairs}) < len(pairs):
        raise Contradiction("x-rh-identity header contains a JSON key twice")
    return dict(pairs)


def _reason(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
