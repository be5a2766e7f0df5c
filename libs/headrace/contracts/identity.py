"""The ``x-rh-identity`` header: base64 of JSON that says who sends.

Source: RedHatInsights/platform-go-middlewares v2, identity; its order of checks and its texts are kept.
"""

import base64
import binascii
from functools import lru_cache
from typing import Any, Final

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

WITHOUT_ORG: Final = frozenset({"Associate", "X509"})


class IdentityError(ValueError):
    """The header cannot be accepted; the text is what the sender is told."""


class _Part(BaseModel):
    """JSON keys match case-insensitively, unknown ones are ignored, null means absent."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _fold_keys(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        names = {name.lower(): name for name in cls.model_fields}
        return {names.get(key.lower(), key): item for key, item in value.items() if item is not None}


class Internal(_Part):
    """The ``internal`` part."""

    org_id: str = ""
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

    Role: list[str] = []
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
    """Who sends. ``org_id`` is filled from ``internal.org_id`` where only that was given."""

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


class _Envelope(_Part):
    identity: Identity = Identity()


ANONYMOUS: Final = Identity()


# A sender's header is the same from upload to upload.
@lru_cache(maxsize=1024)
def decode_identity(header: str | None, *, type_required: bool = True, org_required: bool = True) -> Identity:
    """Decode and check the header; raises `IdentityError` with upstream's text.

    ``type_required=False`` accepts an identity without ``type``, as the ROS document's curl sends it,
    ``org_required=False`` one that has an account number only.
    """
    if not header:
        raise IdentityError("missing x-rh-identity header")
    try:
        text = base64.b64decode(header, validate=True)
    except (binascii.Error, ValueError):
        raise IdentityError("unable to b64 decode x-rh-identity header") from None
    try:
        # Strict: a lone surrogate or a NaN would be accepted here and fail wherever it is written again.
        identity = _Envelope.model_validate(orjson.loads(text)).identity
    except (ValidationError, ValueError) as error:
        raise IdentityError(f"x-rh-identity header does not contain valid JSON: {_reason(error)}") from None
    if not identity.org_id and identity.internal.org_id:
        identity = identity.model_copy(update={"org_id": identity.internal.org_id})
    if identity.type in WITHOUT_ORG and not identity.account_number:
        return identity
    if not identity.org_id and (org_required or not identity.account_number):
        raise IdentityError("x-rh-identity header has an invalid or missing org_id")
    if type_required and not identity.type:
        raise IdentityError("x-rh-identity header is missing type")
    return identity


def encode_identity(identity: Identity) -> str:
    """The header's value for an identity."""
    body = {"identity": identity.model_dump(exclude_none=True, exclude_defaults=True)}
    return base64.b64encode(orjson.dumps(body)).decode()


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return str(error)
